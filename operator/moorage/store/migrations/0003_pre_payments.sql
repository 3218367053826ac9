-- Money from outside: what providers told us, what we made of it, and what holds a wallet meanwhile.
-- Lock order: a payment's row before its wallet.

-- Events as they came. An event only says which object to read again; nothing in it is believed.
CREATE TABLE money.inbox (
    source      text NOT NULL CHECK (source IN ('Stripe', 'Tribute', 'Chain')),
    ext_id      text NOT NULL CHECK (length(ext_id) BETWEEN 1 AND 160),
    obj_id      text NOT NULL CHECK (length(obj_id) BETWEEN 1 AND 160),
    payload     jsonb NOT NULL,
    received_at bigint NOT NULL,
    retry_at    bigint NOT NULL,               -- not to be taken before this second
    attempts    integer NOT NULL DEFAULT 0,
    last_error  text,                          -- a code of ours, never foreign text
    done_at     bigint,
    PRIMARY KEY (source, ext_id)
);
CREATE INDEX inbox_undone ON money.inbox (retry_at) WHERE done_at IS NULL;
CREATE INDEX inbox_object ON money.inbox (source, obj_id) WHERE done_at IS NULL;

-- What a reader made of a provider's object, in the provider's own units; each amount is a sum over the object's life.
CREATE TYPE money.payment_snapshot AS (
    source        text,
    obj_id        text,
    version       bigint,         -- of two snapshots of one object the larger is the newer
    wallet_id     bigint,         -- whom the object names; or else
    payer         text,           -- who paid, as the provider knows them
    currency      text,
    paid_ext      numeric,
    refunded_ext  numeric,
    disputed_ext  numeric,        -- withdrawn by a dispute that is not decided
    lost_ext      numeric,        -- withdrawn for good
    fee_micros    bigint,         -- what the provider kept of it
    penalty_micros bigint,        -- what the provider asks for disputes
    rate_num      bigint,         -- micro-credits per unit, as a fraction; the first one applied stays
    rate_den      bigint
);

-- One row per external payment; every entry it causes is the difference between this row and a newer snapshot.
CREATE TABLE money.payment (
    source          text NOT NULL CHECK (source IN ('Stripe', 'Tribute', 'Chain')),
    obj_id          text NOT NULL CHECK (length(obj_id) BETWEEN 1 AND 160),
    wallet_id       bigint REFERENCES money.wallet,  -- NULL while nobody knows whose it is
    payer           text,
    currency        text NOT NULL,
    ext_amount      numeric(78, 0) NOT NULL CHECK (ext_amount >= 0),
    rate_num        bigint NOT NULL CHECK (rate_num > 0),
    rate_den        bigint NOT NULL CHECK (rate_den > 0),
    granted_micros  bigint NOT NULL DEFAULT 0 CHECK (granted_micros BETWEEN 0 AND 9000000000000),
    reversed_micros bigint NOT NULL DEFAULT 0 CHECK (reversed_micros >= 0),
    lost_micros     bigint NOT NULL DEFAULT 0 CHECK (lost_micros BETWEEN 0 AND reversed_micros),  -- by disputes
    disputed_micros bigint NOT NULL DEFAULT 0 CHECK (disputed_micros >= 0),
    fee_micros      bigint NOT NULL DEFAULT 0 CHECK (fee_micros >= 0),
    penalty_micros  bigint NOT NULL DEFAULT 0 CHECK (penalty_micros >= 0),
    steps           integer NOT NULL DEFAULT 0,  -- movements so far; numbers their keys
    version         bigint NOT NULL,
    first_seen_at   bigint NOT NULL,
    changed_at      bigint NOT NULL,
    state           text NOT NULL GENERATED ALWAYS AS (
        CASE WHEN granted_micros = 0 THEN 'Pending' WHEN disputed_micros > 0 THEN 'Disputed'
             WHEN reversed_micros = granted_micros THEN 'Reversed'
             WHEN reversed_micros > 0 THEN 'PartlyReversed' ELSE 'Paid' END) STORED,
    PRIMARY KEY (source, obj_id),
    CHECK (reversed_micros + disputed_micros <= granted_micros),
    CHECK (granted_micros = 0 OR wallet_id IS NOT NULL)
);
CREATE INDEX payment_wallet ON money.payment (wallet_id);

-- Which wallet a payer of a provider pays for: a linked messenger account, a deposit address.
CREATE TABLE money.payer (
    source    text NOT NULL CHECK (source IN ('Stripe', 'Tribute', 'Chain')),
    payer     text NOT NULL CHECK (length(payer) BETWEEN 1 AND 160),
    wallet_id bigint NOT NULL REFERENCES money.wallet,
    linked_at bigint NOT NULL,
    actor     text NOT NULL,
    PRIMARY KEY (source, payer)
);

-- Payments that cannot be booked. Nothing of them is in the books: this row is the record, and a person has until
-- its deadline to decide.
CREATE TABLE money.suspense (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL,
    obj_id      text NOT NULL,
    reason      text NOT NULL CHECK (reason IN (
        'UnknownWallet', 'WalletClosed', 'UnknownCurrency', 'UnknownProduct', 'AmountRefused', 'AmountOverflow',
        'RefundAbovePayment', 'PaymentChanged', 'MalformedPayload', 'Unreadable')),
    snapshot    jsonb,                          -- what would have been applied, where it could be read at all
    opened_at   bigint NOT NULL,
    deadline    bigint NOT NULL,
    resolved_at bigint,
    resolution  text CHECK (resolution IN ('Applied', 'Assigned', 'Dismissed')),
    note        text,
    actor       text,
    CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE UNIQUE INDEX suspense_open ON money.suspense (source, obj_id) WHERE resolved_at IS NULL;

-- Movements between two system accounts that a payment causes: what providers keep and ask for.
CREATE TABLE money.platform_entry (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    debit         bigint NOT NULL REFERENCES money.account,
    credit        bigint NOT NULL REFERENCES money.account,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    key           text NOT NULL UNIQUE,
    effective_at  bigint NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid           xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK (debit <> credit)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.platform_entry
FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change();

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

-- Credit that is given, not bought: by a campaign, or by a plan for a period. It is used up before bought credit.
CREATE TABLE money.credit_grant (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id      bigint NOT NULL REFERENCES money.wallet,
    kind           text NOT NULL CHECK (kind IN ('Promo', 'Plan')),
    campaign       text NOT NULL CHECK (length(campaign) BETWEEN 1 AND 100),  -- or plan and period
    entry_seq      bigint NOT NULL,
    amount_micros  bigint NOT NULL CHECK (amount_micros > 0),
    granted_at     bigint NOT NULL,
    expires_at     bigint NOT NULL CHECK (expires_at > granted_at),
    expired_micros bigint CHECK (expired_micros BETWEEN 0 AND amount_micros),  -- NULL until it has expired
    UNIQUE (kind, campaign, wallet_id)
);
CREATE INDEX credit_grant_expiry ON money.credit_grant (expires_at) WHERE expired_micros IS NULL;
CREATE INDEX credit_grant_wallet ON money.credit_grant (wallet_id, entry_seq);

-- Which credit (the entry that brought it) paid for what was spent up to an entry. Written behind the charges.
CREATE TABLE money.consumption (
    wallet_id     bigint NOT NULL,
    upto_seq      bigint NOT NULL,
    credit_seq    bigint NOT NULL,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    PRIMARY KEY (wallet_id, upto_seq, credit_seq)
);
CREATE INDEX consumption_credit ON money.consumption (wallet_id, credit_seq);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.consumption
FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change();

CREATE TABLE money.consumption_head (
    wallet_id      bigint PRIMARY KEY,
    upto_seq       bigint NOT NULL,
    pending_micros bigint NOT NULL  -- spent and no credit found for it, or, negative, given back and not used up yet
);

-- A change of a balance by hand: one person asks, another one agrees.
CREATE TABLE money.correction (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key           text NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 160),
    wallet_id     bigint NOT NULL REFERENCES money.wallet,
    amount_micros bigint NOT NULL CHECK (amount_micros <> 0 AND abs(amount_micros) <= 9000000000000),
    reason        text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
    requested_by  text NOT NULL,
    requested_at  bigint NOT NULL,
    approved_by   text CHECK (approved_by <> requested_by),
    approved_at   bigint,
    CHECK ((approved_by IS NULL) = (approved_at IS NULL))
);

GRANT SELECT ON money.credit_grant, money.consumption, money.consumption_head, money.correction
TO moorage_app, moorage_read, moorage_verify;
GRANT SELECT ON money.inbox, money.payment, money.payer, money.suspense, money.platform_entry, money.billing_hold
TO moorage_app, moorage_read, moorage_verify;
