-- Frozen copies: where a CSI driver can snapshot a volume, a mover reads such a copy and its agent runs on meanwhile.
-- A row outlives its attempt until nothing of the copy is left in the cluster.

CREATE TABLE moorage.frozen_copy (
    attempt_id uuid PRIMARY KEY REFERENCES moorage.attempt,
    namespace  text NOT NULL,
    state      text NOT NULL DEFAULT 'Asked' CHECK (state IN ('Asked', 'Ready', 'GivenUp')),
    asked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz
);
CREATE INDEX frozen_copy_left ON moorage.frozen_copy (attempt_id) WHERE removed_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON moorage.frozen_copy TO moorage_app;
