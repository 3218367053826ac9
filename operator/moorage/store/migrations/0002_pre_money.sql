-- The ledger's tables: accounts, wallets, entries, rates, runs, statement lines, timers, nodes, policy.
-- Units: micro-credits for amounts, pico-credits per second for prices, whole epoch seconds for time.
-- Lock order everywhere: wallets by ascending id, then runs, timers, appends, and agents last.

CREATE SCHEMA money;
GRANT USAGE ON SCHEMA money TO moorage_app, moorage_gateway, moorage_read, moorage_verify;

-- System accounts have no balance column: a live revenue row would serialise every charge of the platform.
CREATE TABLE money.account (
    id    bigint PRIMARY KEY CHECK (id < 0),
    code  text NOT NULL UNIQUE,
    class text NOT NULL CHECK (class IN ('Asset', 'Revenue', 'Expense', 'Clearing'))
);
INSERT INTO money.account (id, code, class) VALUES
    (-1, 'funding:grants', 'Asset'), (-2, 'revenue:compute', 'Revenue'), (-3, 'expense:absorbed', 'Expense'),
    (-4, 'revenue:storage', 'Revenue'), (-5, 'revenue:domain', 'Revenue'), (-6, 'revenue:model', 'Revenue'),
    (-7, 'cash:stripe', 'Asset'), (-8, 'cash:tribute', 'Asset'), (-9, 'cash:chain', 'Asset'),
    (-10, 'expense:promo', 'Expense'), (-11, 'expense:plan', 'Expense'), (-12, 'expense:fees', 'Expense'),
    (-13, 'expense:chargeback', 'Expense'), (-14, 'clearing:merge', 'Clearing'), (-15, 'suspense', 'Clearing'),
    (-16, 'funding:manual', 'Asset');

CREATE TABLE money.policy (
    one                    boolean PRIMARY KEY DEFAULT true CHECK (one),
    resume_minimum_seconds bigint NOT NULL DEFAULT 600 CHECK (resume_minimum_seconds BETWEEN 1 AND 2592000),
    catchup_max_seconds    bigint NOT NULL DEFAULT 21600 CHECK (catchup_max_seconds BETWEEN 60 AND 2592000),
    silent_after_seconds   bigint NOT NULL DEFAULT 40 CHECK (silent_after_seconds BETWEEN 1 AND 86400),
    -- What the storage of one wallet may cost the platform while the wallet is empty.
    storage_grace_micros   bigint NOT NULL DEFAULT 1000000 CHECK (storage_grace_micros BETWEEN 0 AND 1000000000),
    -- A price that changes by more than this factor, against the last or yesterday's, needs a second person.
    rate_factor_max        bigint NOT NULL DEFAULT 3 CHECK (rate_factor_max BETWEEN 1 AND 1000),
    -- Longer than any transaction: whoever charges beyond a price change has seen that change.
    rate_lead_seconds      bigint NOT NULL DEFAULT 60 CHECK (rate_lead_seconds BETWEEN 60 AND 86400),
    low_runway_seconds     bigint NOT NULL DEFAULT 86400 CHECK (low_runway_seconds BETWEEN 1 AND 2592000)  -- empty so soon
);
INSERT INTO money.policy DEFAULT VALUES;

-- No index on a column that changes with a charge, so that every charge is a HOT update.
CREATE TABLE money.wallet (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (id > 0),
    name           text NOT NULL CHECK (name <> ''),
    cr_uid         uuid,
    balance_micros bigint NOT NULL DEFAULT 0 CHECK (balance_micros BETWEEN -9000000000000 AND 9000000000000),
    held_micros    bigint NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    seq            bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
    burn_picos     bigint NOT NULL DEFAULT 0 CHECK (burn_picos >= 0),  -- sum of the rates of its runs in burn
    waiting        integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),    -- its open runs out of burn
    as_of          bigint NOT NULL,                                    -- next uncharged second of its runs in burn
    carry_picos    bigint NOT NULL DEFAULT 0 CHECK (carry_picos BETWEEN 0 AND 999999),
    zero_at        bigint,                                             -- the first second it cannot pay, as it stands
    due_at         bigint,                                             -- copy of its timer
    standing       text NOT NULL CHECK (standing IN ('Funded', 'Low', 'Exhausted', 'OnHold')),
    cut_at         bigint,                                             -- nothing is charged from this second on
    on_hold        boolean NOT NULL DEFAULT false,                     -- a dispute, a check or a person stops it
    low_micros     bigint NOT NULL DEFAULT 0 CHECK (low_micros >= 0),  -- below it, or empty soon, it is low; 0: never
    limit_picos_per_day bigint CHECK (limit_picos_per_day > 0),          -- what its agents may spend in a day
    reached_until  bigint,                                             -- the limit is spent until this midnight
    reach_at       bigint,                                             -- when a budget or the limit will be reached
    grace_picos    bigint NOT NULL DEFAULT 0 CHECK (grace_picos >= 0),  -- what its storage has cost us since the cut
    closed_at      timestamptz,
    merged_into    bigint REFERENCES money.wallet CHECK (merged_into IS NULL OR closed_at IS NOT NULL),
    CONSTRAINT reached_has_a_limit CHECK (reached_until IS NULL OR limit_picos_per_day IS NOT NULL),
    CONSTRAINT stopped_has_a_cut CHECK ((standing IN ('Exhausted', 'OnHold')) = (cut_at IS NOT NULL)),
    CONSTRAINT hold_is_its_standing CHECK ((standing = 'OnHold') = on_hold),
    CONSTRAINT nothing_charged_after_cut CHECK (as_of <= cut_at)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX wallet_name ON money.wallet (name) WHERE closed_at IS NULL;

-- One row is one balanced movement between a wallet and a system account. No foreign keys here: the
-- functions are the only writers, and a check per row would double the price of a charge.
CREATE TABLE money.entry (
    wallet_id            bigint NOT NULL,
    seq                  bigint NOT NULL CHECK (seq > 0),
    contra               bigint NOT NULL,
    amount_micros        bigint NOT NULL CHECK (amount_micros <> 0),
    balance_after_micros bigint NOT NULL,
    kind                 text NOT NULL CHECK (kind IN (
        'Grant', 'Usage', 'Correction', 'Model', 'Domain', 'TopUp', 'Refund', 'Dispute', 'Reinstatement', 'Promo', 'Plan',
        'Expiry', 'Manual', 'Merge')),
    key                  text CHECK (length(key) BETWEEN 1 AND 200),
    run_id               bigint,   -- the run a correction belongs to
    reason               text,
    actor                text,
    effective_at         bigint NOT NULL,
    at                   timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid                  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (wallet_id, seq),
    -- What is metered is keyed by the second (or the flush) it is metered to; everything else by what caused it.
    CONSTRAINT cause_has_a_key CHECK ((kind IN ('Usage', 'Correction', 'Model')) = (key IS NULL))
);
CREATE UNIQUE INDEX entry_key ON money.entry (key) WHERE key IS NOT NULL;

-- Who did what by hand, and why: prices, holds, corrections. Each action of a person is one row.
CREATE TABLE money.audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor   text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
    action  text NOT NULL CHECK (length(action) BETWEEN 1 AND 200),
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 400),
    reason  text NOT NULL CHECK (length(reason) <= 1000),
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A price somebody asked for. It becomes a rate at once, or, where it differs much, when a second person agrees.
CREATE TABLE money.rate_proposal (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meter      text NOT NULL CHECK (meter IN ('Pod', 'Volume', 'Snapshot', 'Domain', 'Model')),
    class      text NOT NULL CHECK (length(class) <= 200),
    rate_picos bigint NOT NULL,
    valid_from bigint NOT NULL,
    actor      text NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((meter IN ('Volume', 'Snapshot', 'Domain')) = (class = '')),
    -- A day of a thousand runs at the highest price stays below 2^62; a volume is metered up to 16 TiB.
    CONSTRAINT price_is_bounded CHECK (rate_picos <= CASE meter WHEN 'Pod' THEN 53375995583
        WHEN 'Domain' THEN 9000000000000000 WHEN 'Model' THEN 1000000000000 ELSE 3181 END)
);

-- Prices by meter and class: per second of a Pod of a size, per MiB and second of a Volume or Snapshot, per month of a
-- Domain, per token of a Model. A version is valid until the next one of its class is, so versions cannot overlap.
CREATE TABLE money.rate (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    proposal_id bigint UNIQUE REFERENCES money.rate_proposal,
    meter       text NOT NULL,
    class       text NOT NULL,
    rate_picos  bigint NOT NULL CHECK (rate_picos >= 0),
    valid_from  bigint NOT NULL,
    UNIQUE (meter, class, valid_from)
);
-- Storage is metered from the first day, at no price until somebody sets one.
INSERT INTO money.rate (meter, class, rate_picos, valid_from) VALUES ('Volume', '', 0, 0), ('Snapshot', '', 0, 0);

-- How far we can prove that the pods of a node ran.
CREATE TABLE money.node (
    name    text PRIMARY KEY,
    proven  bigint NOT NULL DEFAULT 0,      -- seconds before this one are proven
    seen_at bigint NOT NULL,                -- database second of the last proof that moved it
    silent  boolean NOT NULL DEFAULT false
);

-- One billable life of one thing: a container, whose node proves it, or a volume or snapshot, which is there until it
-- is freed. In burn, its next uncharged second is its wallet's as_of; out of burn it is its own cursor.
CREATE TABLE money.run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id    bigint NOT NULL REFERENCES money.wallet,
    agent_uid    uuid NOT NULL,
    meter        text NOT NULL DEFAULT 'Pod' CHECK (meter IN ('Pod', 'Volume', 'Snapshot')),
    pod_uid      uuid,
    container_id text,
    node         text REFERENCES money.node,
    object       text,                                  -- the volume's or snapshot's own id
    quantity     bigint NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 16777216),  -- MiB of storage
    rate_id      bigint NOT NULL REFERENCES money.rate,
    rate_picos   bigint NOT NULL CHECK (rate_picos BETWEEN 0 AND 53375995583),  -- the rate's price times the quantity
    started      bigint NOT NULL CHECK (started > 0),
    cursor       bigint NOT NULL,
    in_burn      boolean NOT NULL DEFAULT false,
    -- Seconds before the cursor that the wallet does not pay.
    absorbed     int8multirange NOT NULL DEFAULT '{}',  -- by us: there was no credit
    overdue      int8multirange NOT NULL DEFAULT '{}',  -- by us: older than the catch-up limit when we could charge
    waived       int8multirange NOT NULL DEFAULT '{}',  -- by nobody: unproven, or storage beyond its grace
    lined_to     bigint NOT NULL,                       -- its statement lines reach to here
    lines        integer NOT NULL DEFAULT 0,
    cut_at       bigint,                                -- set when the wallet was topped up but its agent stays down
    ended        bigint,
    end_reason   text,
    UNIQUE (pod_uid, container_id),
    CHECK (cursor >= started),
    CHECK (ended >= started),
    CHECK (NOT in_burn OR ended IS NULL),
    CHECK ((ended IS NULL) = (end_reason IS NULL)),
    CONSTRAINT pods_have_nodes_and_storage_has_a_size CHECK (
        CASE meter WHEN 'Pod' THEN num_nulls(pod_uid, container_id, node) = 0 AND object IS NULL AND quantity = 1
                   ELSE num_nonnulls(pod_uid, container_id, node) = 0 AND object IS NOT NULL END)
);
CREATE INDEX run_open ON money.run (wallet_id) WHERE ended IS NULL;
CREATE UNIQUE INDEX run_open_agent ON money.run (agent_uid) WHERE ended IS NULL AND meter = 'Pod';
CREATE UNIQUE INDEX run_open_object ON money.run (meter, object) WHERE ended IS NULL AND meter <> 'Pod';
CREATE INDEX run_open_storage ON money.run (agent_uid) WHERE ended IS NULL AND meter <> 'Pod';
CREATE INDEX run_object ON money.run (meter, object) WHERE ended IS NOT NULL AND meter <> 'Pod';
CREATE INDEX run_agent ON money.run (agent_uid, ended DESC) WHERE ended IS NOT NULL AND meter = 'Pod';
CREATE INDEX run_wallet ON money.run (wallet_id, ended) WHERE ended IS NOT NULL;
CREATE INDEX run_burning ON money.run (node) WHERE in_burn;
CREATE INDEX run_waiting ON money.run (node) WHERE NOT in_burn AND ended IS NULL;
CREATE INDEX run_priced ON money.run (rate_id) WHERE ended IS NULL;

-- A price change as it concerns one open run, at the second from which the run has the new price.
CREATE TYPE money.price_step AS (run_id bigint, second bigint, rate_id bigint, rate_picos bigint, delta_picos bigint);

-- The statement of a run: a path from its start to its end, a line per price and about one an hour. A line that goes
-- back (hi < lo, negative seconds) takes back what a late proof of an earlier end has shown to be too much.
CREATE TABLE money.line (
    run_id           bigint NOT NULL,
    no               integer NOT NULL CHECK (no > 0),
    wallet_id        bigint NOT NULL,
    lo               bigint NOT NULL,
    hi               bigint NOT NULL CHECK (hi <> lo),
    charged_seconds  bigint NOT NULL,
    absorbed_seconds bigint NOT NULL,  -- without credit, or older than the catch-up limit: booked as our expense
    waived_seconds   bigint NOT NULL,
    rate_id          bigint NOT NULL,
    rate_picos       bigint NOT NULL,
    amount_picos     bigint NOT NULL,
    at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, no, lo),
    CHECK (hi - lo = charged_seconds + absorbed_seconds + waived_seconds),
    CHECK (amount_picos = rate_picos * charged_seconds)
) PARTITION BY RANGE (lo);
-- What no month's partition takes; the months themselves are made ahead by the statement loop.
CREATE TABLE money.line_rest PARTITION OF money.line DEFAULT;

-- Movements between two system accounts: what the platform absorbs, and what of the collected usage is storage's.
CREATE TABLE money.system_entry (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    debit        bigint NOT NULL REFERENCES money.account,
    credit       bigint NOT NULL REFERENCES money.account,
    amount_picos bigint NOT NULL CHECK (amount_picos > 0),
    cause        text NOT NULL CHECK (cause IN ('Zero', 'Overdue', 'Storage', 'Late')),
    seconds      bigint NOT NULL DEFAULT 0,  -- of the statement line that it belongs to, negative where that goes back
    run_id       bigint,
    line_no      integer,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (run_id, line_no, cause),
    CHECK (num_nulls(run_id, line_no) IN (0, 2)),
    CHECK (debit <> credit)
);

-- When to look at a wallet next: when it is low, or at zero, whichever comes first. Early is allowed, late is not.
CREATE TABLE money.timer (
    wallet_id bigint PRIMARY KEY REFERENCES money.wallet,
    due_at    bigint NOT NULL
);
CREATE INDEX timer_due ON money.timer (due_at);

CREATE FUNCTION money.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'money.% is append-only', TG_TABLE_NAME USING ERRCODE = 'MO006';
END $$;

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['entry', 'line', 'line_rest', 'rate', 'rate_proposal', 'system_entry', 'account', 'audit'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change()', kept);
    END LOOP;
END $$;

-- Rows are written by the ledger's functions only, which run with their owner's rights.
GRANT SELECT ON ALL TABLES IN SCHEMA money TO moorage_app, moorage_read;
