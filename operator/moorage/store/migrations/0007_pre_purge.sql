-- Purge: data that is removed for good. What was announced before, what may stop it, and what was done.

-- What the owner of an agent was told before its data is purged, and the owner of a host name before it is given up. A
-- new deadline asks for new notices.
CREATE TABLE moorage.notice (
    about_uid    uuid NOT NULL,             -- an agent, or a Domain
    deadline     timestamptz NOT NULL,
    stage        text NOT NULL CHECK (stage IN ('SevenDays', 'ThreeDays', 'OneDay',
                                                'MonthEnds', 'MonthUnpaid', 'ReleaseSoon')),
    due_at       timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    retry_at     timestamptz NOT NULL,      -- not to be sent before this moment
    tries        integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    failure      text,                      -- a code of ours, never foreign text
    PRIMARY KEY (about_uid, deadline, stage),
    CHECK (delivered_at IS NULL OR failure IS NULL)
);
CREATE INDEX notice_unsent ON moorage.notice (retry_at) WHERE delivered_at IS NULL;

-- The one gate that every purge passes.
CREATE TABLE moorage.purge_gate (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    stopped_at  timestamptz,                            -- a person lets nothing be purged
    engaged_at  timestamptz,                            -- the brake: more was due at once than is plausible
    released_to bigint NOT NULL DEFAULT 0               -- a person looked: what was done up to here does not count
);
INSERT INTO moorage.purge_gate DEFAULT VALUES;

CREATE TABLE moorage.purge_audit (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL,
    step           text NOT NULL CHECK (step IN ('Started', 'KeyDestroyed', 'ObjectRefused', 'ObjectRemoved',
                                                 'VolumeRemoved', 'BrakeEngaged', 'BrakeReleased', 'Stopped', 'Allowed')),
    cause          text CHECK (cause IN ('ZeroBalance', 'AgentDeleted', 'NotKept')),
    agent_uid      uuid,
    tenant_uid     uuid,
    snapshot_id    uuid,
    volume_uid     uuid,
    actor          text NOT NULL DEFAULT 'operator' CHECK (length(actor) BETWEEN 1 AND 200),
    reason         text NOT NULL DEFAULT '' CHECK (length(reason) <= 1000),
    -- Of an agent whose wallet could not pay: what was true in the transaction that started, under the wallet's lock.
    balance_micros bigint,
    held_micros    bigint,
    second_micros  bigint,                  -- what one second of all that the wallet pays for costs
    deadline       timestamptz,
    told_at        timestamptz,             -- when the last of its notices was delivered
    CONSTRAINT started_for_want_of_credit CHECK (step <> 'Started' OR cause <> 'ZeroBalance' OR (
        held_micros = 0 AND balance_micros < greatest(1, second_micros)
        AND deadline <= at AND told_at <= at - interval '24 hours') IS TRUE)
);
-- A step of one thing is done once, however often it is asked for.
CREATE UNIQUE INDEX purge_audit_snapshot ON moorage.purge_audit (snapshot_id, step) WHERE snapshot_id IS NOT NULL;
CREATE UNIQUE INDEX purge_audit_volume ON moorage.purge_audit (volume_uid) WHERE volume_uid IS NOT NULL;
CREATE INDEX purge_audit_agent ON moorage.purge_audit (agent_uid);
CREATE INDEX purge_audit_keys ON moorage.purge_audit (at) WHERE step = 'KeyDestroyed';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON moorage.purge_audit
FOR EACH STATEMENT EXECUTE FUNCTION money.refuse_change();

GRANT SELECT ON moorage.notice, moorage.purge_gate, moorage.purge_audit TO moorage_app;
GRANT SELECT ON moorage.notice, moorage.purge_audit TO moorage_verify;
GRANT SELECT (id, agent_uid, purged_at) ON moorage.snapshot TO moorage_verify;
