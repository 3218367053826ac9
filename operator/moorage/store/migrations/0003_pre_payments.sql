-- Money from outside: what providers told us, what we made of it, and what holds a wallet meanwhile.
-- Lock order: inbox and payment keys before wallets.

-- Why a wallet is on hold, and until when. A wallet is on hold while one row of it is not lifted.
CREATE TABLE money.billing_hold (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id  bigint NOT NULL REFERENCES money.wallet,
    cause      text NOT NULL CHECK (cause IN ('Dispute', 'Verification', 'Manual')),
    ref        text NOT NULL CHECK (length(ref) BETWEEN 1 AND 200),  -- the payment, the check or the note it is about
    placed_at  bigint NOT NULL,
    actor      text NOT NULL,
    lifted_at  bigint,
    lifted_by  text,
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
CREATE UNIQUE INDEX billing_hold_open ON money.billing_hold (wallet_id, cause, ref) WHERE lifted_at IS NULL;

GRANT SELECT ON money.billing_hold TO moorage_app, moorage_read, moorage_verify;
