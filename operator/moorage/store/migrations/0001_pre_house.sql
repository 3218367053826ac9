-- Roles, leadership, tenants, agents, snapshots: the state the operator owns.
-- The ledger's tables follow in 0002; agent rows live here because settle moves them in its own transaction.

DO $$
DECLARE
    wanted text;
BEGIN
    -- Roles belong to the whole server, so another database (or a second clone) may have made them already.
    FOREACH wanted IN ARRAY ARRAY['moorage_app', 'moorage_gateway', 'moorage_read', 'moorage_verify'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;

CREATE SCHEMA moorage;
GRANT USAGE ON SCHEMA moorage TO moorage_app, moorage_gateway, moorage_read, moorage_verify;

CREATE TABLE moorage.leader (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch       bigint NOT NULL DEFAULT 0,
    holder      text NOT NULL DEFAULT '',
    expires_at  timestamptz NOT NULL DEFAULT '-infinity',
    timeline    bigint  -- of the server, when the epoch was taken
);
INSERT INTO moorage.leader DEFAULT VALUES;

CREATE TABLE moorage.tenant (
    uid             uuid PRIMARY KEY,
    name            text NOT NULL,
    core_namespace  text NOT NULL,
    wallet_id       bigint NOT NULL,
    sandboxed       boolean NOT NULL DEFAULT false,  -- its pods may only run in the platform's sandbox
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at      timestamptz
);
CREATE UNIQUE INDEX tenant_core_namespace ON moorage.tenant (core_namespace) WHERE removed_at IS NULL;
CREATE INDEX tenant_wallet ON moorage.tenant (wallet_id) WHERE removed_at IS NULL;

CREATE TABLE moorage.snapshot (
    id           uuid PRIMARY KEY,
    agent_uid    uuid NOT NULL,
    tenant_uid   uuid NOT NULL REFERENCES moorage.tenant,
    attempt_id   uuid NOT NULL,          -- the attempt that wrote it
    object_key   text NOT NULL UNIQUE,
    wrapped_key  bytea,                  -- the data key, sealed with the tenant's key; gone once it is purged
    taken_at     timestamptz NOT NULL,
    object_bytes bigint NOT NULL CHECK (object_bytes > 0),
    plain_bytes  bigint NOT NULL CHECK (plain_bytes >= 0),
    disk_bytes   bigint NOT NULL DEFAULT 0 CHECK (disk_bytes >= 0),  -- what the volume really held, as the mover saw it
    file_count   bigint NOT NULL CHECK (file_count >= 0),
    sha256       bytea NOT NULL CHECK (length(sha256) = 32),  -- of the encrypted object
    verified_at  timestamptz NOT NULL,
    tested_at    timestamptz,             -- when it was last restored for a test
    test_failure text,                    -- what came of that: NULL when all was well, else a code of ours
    purpose      text NOT NULL CHECK (purpose IN ('Suspension', 'Demand', 'Schedule', 'Deletion')),
    keep_until   timestamptz,             -- from when on it may be removed; NULL: it is kept
    purge_after  timestamptz,             -- its tombstone: it is removed after this moment unless it is needed again
    purged_at    timestamptz,             -- the data key was destroyed
    object_tried_at   timestamptz,        -- when its object was last asked away
    object_removed_at timestamptz,        -- the object is gone in all its versions
    CHECK ((wrapped_key IS NULL) = (purged_at IS NOT NULL)),
    CHECK (object_removed_at IS NULL OR purged_at IS NOT NULL)
);
CREATE INDEX snapshot_agent ON moorage.snapshot (agent_uid, taken_at DESC);
CREATE INDEX snapshot_living ON moorage.snapshot (keep_until) WHERE purged_at IS NULL;
CREATE INDEX snapshot_object_left ON moorage.snapshot (object_tried_at)
    WHERE purged_at IS NOT NULL AND object_removed_at IS NULL;
CREATE INDEX snapshot_tested ON moorage.snapshot (tested_at NULLS FIRST, taken_at);

-- Who was given the key of which snapshot: it opens the object wherever a copy of it is, also after a purge.
CREATE TABLE moorage.key_export (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    snapshot_id uuid NOT NULL,
    actor       text NOT NULL
);

-- Catalogue and object store compared, both ways.
CREATE TABLE moorage.store_census (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    living   bigint NOT NULL,             -- snapshots that should be in the store
    lacking  bigint NOT NULL,             -- those of them that are not there in their size
    unknown  bigint NOT NULL              -- objects that nobody has on record
);

CREATE TABLE moorage.attempt (
    id             uuid PRIMARY KEY,
    agent_uid      uuid NOT NULL,
    tenant_uid     uuid NOT NULL REFERENCES moorage.tenant,
    snapshot_id    uuid NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('Snapshot', 'Restore')),
    purpose        text CHECK (purpose IN ('Suspension', 'Demand', 'Schedule', 'Deletion')),
    state          text NOT NULL CHECK (state IN ('Created', 'Started', 'Uploaded', 'Committed', 'Verified', 'Failed')),
    object_key     text NOT NULL,
    upload_id      text,
    wrapped_key    bytea,                 -- gone once its snapshot is purged
    volume_name    text NOT NULL,
    node           text,                  -- where the volume is; NULL while nobody knows
    granted_at     timestamptz,           -- since when it has a place in the mover queue
    turn           bigint,                -- the how-manieth place that was given
    mover_pod_uid  uuid,                  -- the one pod that may act for this attempt
    report         jsonb,                 -- what the mover said: parts, counts, hash
    failure        text,                  -- a code of ours, never foreign text
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (state <> 'Started' OR granted_at IS NOT NULL),
    CHECK ((granted_at IS NULL) = (turn IS NULL)),
    CHECK ((kind = 'Snapshot') = (purpose IS NOT NULL))
);
CREATE INDEX attempt_agent ON moorage.attempt (agent_uid, created_at DESC);

CREATE TABLE moorage.agent (
    uid               uuid PRIMARY KEY,
    tenant_uid        uuid NOT NULL REFERENCES moorage.tenant,
    wallet_id         bigint NOT NULL,
    namespace         text NOT NULL,
    name              text NOT NULL,
    size              text NOT NULL,
    state             text NOT NULL DEFAULT 'Running' CHECK (state IN
                      ('Running', 'Draining', 'Snapshotting', 'Verifying', 'Suspended', 'Archived', 'Restoring',
                       'PurgePending', 'Purged', 'Deleted')),
    state_since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    fence             bigint NOT NULL DEFAULT 1,
    veto              text CHECK (veto IN ('ZeroBalance', 'BudgetReached', 'BillingOnHold')),  -- the money's
    budget_picos_per_day bigint CHECK (budget_picos_per_day > 0),
    reached_until     bigint,                -- its budget is spent until this midnight
    user_paused       boolean NOT NULL DEFAULT false,
    incarnation       integer NOT NULL DEFAULT 1 CHECK (incarnation > 0),
    pod_uid           uuid,
    endings           integer NOT NULL DEFAULT 0 CHECK (endings >= 0),  -- pods in a row that ended by themselves
    start_at          timestamptz,           -- no new pod before this
    exit_reason       text CHECK (exit_reason IN ('Completed', 'Error', 'OOMKilled', 'ContainerCannotRun',
                      'DeadlineExceeded', 'Evicted', 'EphemeralStorageFull', 'Unknown')),
    exit_code         integer,
    exit_at           timestamptz,
    exit_ran_seconds  integer,
    volume_floor_mib  bigint NOT NULL DEFAULT 0 CHECK (volume_floor_mib >= 0),  -- what its volume must at least hold
    silent_since      timestamptz,           -- its node was first found lost
    fenced_incarnation integer NOT NULL DEFAULT 0,  -- pods up to this one were left on a lost node
    left_generation   integer NOT NULL DEFAULT 0,   -- volumes up to this one, too
    left_until        timestamptz,           -- and are kept until then
    stop_recorded     boolean NOT NULL DEFAULT false,
    has_storage       boolean NOT NULL DEFAULT false,
    volume_generation integer NOT NULL DEFAULT 1 CHECK (volume_generation > 0),
    volume_uid        uuid,
    failures          integer NOT NULL DEFAULT 0,
    retry_at          timestamptz,
    archive_at        timestamptz,
    attempt_id        uuid REFERENCES moorage.attempt,
    snapshot_id       uuid REFERENCES moorage.snapshot,
    restore_id        uuid REFERENCES moorage.snapshot,  -- what the volume is filled from before it runs again
    wish              text CHECK (wish IN ('Demand', 'Schedule')),  -- a snapshot that was asked for while it runs
    request_seen      text,
    schedule          text,
    next_snapshot_at  timestamptz,
    grace_since       timestamptz,           -- since then the money keeps it down and its data is kept for it
    purge_at          timestamptz,           -- the end of that grace
    purge_after       timestamptz,           -- its tombstone (PurgePending): its data is purged after this moment
    purged_at         timestamptz,           -- its data was purged: from here on nothing can bring it back
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((grace_since IS NULL) = (purge_at IS NULL) AND (purge_after IS NULL OR purge_at IS NOT NULL)),
    CHECK ((state = 'PurgePending') = (purge_after IS NOT NULL)),
    CHECK (state <> 'Purged' OR purged_at IS NOT NULL),
    CHECK (reached_until IS NULL OR budget_picos_per_day IS NOT NULL),
    CHECK (fenced_incarnation < incarnation AND left_generation < volume_generation)
) WITH (fillfactor = 80);
CREATE INDEX agent_wallet ON moorage.agent (wallet_id) WHERE state <> 'Deleted';
CREATE INDEX agent_budget ON moorage.agent (wallet_id) WHERE budget_picos_per_day IS NOT NULL;
CREATE INDEX agent_tenant ON moorage.agent (tenant_uid) WHERE state <> 'Deleted';
CREATE INDEX agent_grace ON moorage.agent (purge_at) WHERE purge_at IS NOT NULL;
CREATE UNIQUE INDEX agent_name ON moorage.agent (namespace, name) WHERE state <> 'Deleted';

-- Wake-ups for the operator: written in the transaction that changes what an agent or wallet may do.
CREATE TABLE moorage.outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('Agent', 'Wallet', 'Namespace', 'Domain')),
    namespace  text NOT NULL DEFAULT '',
    name       text NOT NULL,
    reason     text NOT NULL,
    fence      bigint,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at    timestamptz
);
CREATE INDEX outbox_unsent ON moorage.outbox (id) WHERE sent_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON moorage.tenant, moorage.outbox TO moorage_app;
-- What of these the application may change is said column by column, in functions/rights.sql.
GRANT SELECT, INSERT ON moorage.agent, moorage.attempt, moorage.snapshot TO moorage_app;
GRANT SELECT, UPDATE ON moorage.leader TO moorage_app;
GRANT SELECT, INSERT ON moorage.store_census, moorage.key_export TO moorage_app;
GRANT SELECT ON moorage.leader TO moorage_read;
GRANT SELECT ON public.moorage_migrations TO moorage_app, moorage_read;
