-- Proof: seals over what was booked, what the checks of the books found, and which history of the database is ours.

-- A block of whole transactions, chained to the one before. Transaction ids are kept as plain numbers.
CREATE TABLE money.seal (
    no             bigint PRIMARY KEY CHECK (no > 0),
    from_xid       bigint NOT NULL,
    to_xid         bigint NOT NULL,  -- the first one that is not in it
    entries        bigint NOT NULL CHECK (entries >= 0),
    system_entries bigint NOT NULL CHECK (system_entries >= 0),
    leaves         bytea NOT NULL,   -- eight bytes of each row's hash, to say which row was changed
    previous       bytea NOT NULL CHECK (length(previous) = 32),
    hash           bytea NOT NULL CHECK (length(hash) = 32),
    at             timestamptz NOT NULL,
    CHECK (from_xid < to_xid),
    CHECK (entries + system_entries > 0),
    CHECK (length(leaves) = 8 * (entries + system_entries))
);
ALTER TABLE money.seal ALTER COLUMN leaves SET STORAGE EXTERNAL;  -- hashes do not compress

-- Rows arrive nearly in the order of their transactions, so a summary per few pages finds a block, and costs a charge
-- nothing. A tree would be written by every one of them.
CREATE INDEX entry_xid ON money.entry USING brin ((xid::text::bigint)) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX system_entry_xid ON money.system_entry USING brin ((xid::text::bigint))
    WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE money.verification (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since_seal   bigint NOT NULL,         -- seals up to this one were taken as they are
    through_seal bigint NOT NULL CHECK (through_seal >= since_seal),  -- the newest one it read
    checks       integer NOT NULL CHECK (checks > 0),
    broken       text[] NOT NULL,         -- the invariants that do not hold
    examples     text[] NOT NULL,
    wallets      bigint[] NOT NULL,       -- where they do not hold
    held         bigint[] NOT NULL,       -- which of them this check put on hold
    milliseconds bigint NOT NULL,
    actor        text NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which history of the database is ours, newest row last. A server that was restored writes a new timeline.
CREATE TABLE money.lineage (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system_identifier bigint NOT NULL,
    timeline          bigint NOT NULL,
    trusted           boolean NOT NULL,
    reason            text NOT NULL,
    actor             text NOT NULL,
    at                timestamptz NOT NULL DEFAULT clock_timestamp()
);

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['seal', 'verification', 'lineage'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON money.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change()', kept);
    END LOOP;
END $$;

GRANT SELECT ON money.seal, money.verification, money.lineage TO moorage_app, moorage_read, moorage_verify;
