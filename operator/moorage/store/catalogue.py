"""The catalogue of verified snapshots, as those read it who test, count, and export it.

A snapshot lives while its data key is there: a purge destroys that first.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from moorage.model.names import SnapshotId
from moorage.model.snapshots import Binding, Totals
from moorage.store.database import Database

KNOWN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogued:
    """One living snapshot with what opens and what describes its object."""

    id: SnapshotId
    binding: Binding
    object_key: str
    wrapped_key: bytes
    totals: Totals


@dataclass(frozen=True, slots=True)
class TestState:
    """How many snapshots live, and how many of them were tested within the last day."""

    living: int
    tested: int


_SELECT = """
SELECT s.id::text, s.tenant_uid::text, s.agent_uid::text, s.attempt_id::text, s.object_key, s.wrapped_key,
       encode(s.sha256, 'hex') AS sha256, s.object_bytes, s.plain_bytes,
       s.file_count
FROM moorage.snapshot s
WHERE s.wrapped_key IS NOT NULL
"""

# Room on a disk: each file may fill its last block with nothing.
_UNTESTED = f"""{_SELECT}
  AND (s.tested_at IS NULL OR s.tested_at < clock_timestamp() - interval '1 day')
  AND s.plain_bytes + 4096 * s.file_count <= $1
ORDER BY s.tested_at NULLS FIRST, s.taken_at LIMIT $2
"""

_TEST_STATE = """
SELECT count(*) AS living, count(*) FILTER (WHERE tested_at >= clock_timestamp() - interval '1 day') AS tested
FROM moorage.snapshot WHERE wrapped_key IS NOT NULL
"""

_TESTED = """
UPDATE moorage.snapshot SET tested_at = clock_timestamp(), test_failure = $3
FROM moorage.require_epoch($1) WHERE id = $2
"""

# Objects of attempts that are under way, or that failed and wait to be swept, are on record too.
_ATTEMPTED = """
SELECT object_key FROM moorage.attempt
WHERE id = ANY($1::uuid[]) AND (state <> 'Failed' OR upload_id IS NOT NULL)
"""


class Catalogue:
    """Reads `moorage.snapshot`; writes only what tests and censuses have found, and who was given a key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, snapshot_id: str) -> Catalogued | None:
        """One snapshot; None when it does not live, or never did."""
        row = await self._database.row(f"{_SELECT} AND s.id = $1", snapshot_id)
        return None if row is None else _catalogued(row)

    async def page(self, after: str, limit: int) -> list[Catalogued]:
        """Living snapshots in the order of their ids, from the one behind `after` on (the first UUID begins)."""
        rows = await self._database.rows(f"{_SELECT} AND s.id > $1 ORDER BY s.id LIMIT $2", after, limit)
        return [_catalogued(row) for row in rows]

    async def untested(self, *, bytes_max: int, limit: int) -> list[Catalogued]:
        """Those that fit into this much room, the longest untested first; none that was tested within a day."""
        return [_catalogued(row) for row in await self._database.rows(_UNTESTED, bytes_max, limit)]

    async def test_state(self) -> TestState:
        """How far the tests of the last day have come."""
        row = await self._database.row(_TEST_STATE)
        assert row is not None
        return TestState(row["living"], row["tested"])

    async def tested(self, *, epoch: int, snapshot_id: str, failure: str | None) -> None:
        """Remember that a snapshot was restored for a test, and what came of it."""
        await self._database.run(_TESTED, epoch, snapshot_id, failure)

    async def exported(self, *, snapshot_id: str, actor: str) -> None:
        """Write down for good that somebody is given a key, before it is given."""
        await self._database.run(
            "INSERT INTO moorage.key_export (snapshot_id, actor) VALUES ($1, $2)", snapshot_id, actor
        )

    async def unknown(self, keys: list[str]) -> list[str]:
        """Those keys of objects (at most KNOWN_AT_ONCE) that neither a snapshot nor an attempt has on record."""
        rows = await self._database.rows(
            "SELECT object_key FROM moorage.snapshot WHERE object_key = ANY($1::text[])", keys
        )
        rest = set(keys) - {row["object_key"] for row in rows}
        attempts = [tail for tail in (key.rpartition("/")[2] for key in rest) if _is_uuid(tail)]
        rows = await self._database.rows(_ATTEMPTED, attempts)
        return sorted(rest - {row["object_key"] for row in rows})

    async def last_census(self) -> tuple[float, int, int] | None:
        """Age in seconds, lacking and unknown of the last census; None before the first."""
        row = await self._database.row(
            "SELECT extract(epoch FROM clock_timestamp() - at)::float8 AS age, lacking, unknown"
            " FROM moorage.store_census ORDER BY id DESC LIMIT 1"
        )
        return None if row is None else (row["age"], row["lacking"], row["unknown"])

    async def remember_census(self, *, epoch: int, living: int, lacking: int, unknown: int) -> None:
        """Keep what a census has found."""
        await self._database.run(
            "INSERT INTO moorage.store_census (living, lacking, unknown) SELECT $2, $3, $4"
            " FROM moorage.require_epoch($1)",
            *(epoch, living, lacking, unknown),
        )


def _catalogued(row: Any) -> Catalogued:  # Any: asyncpg.Record, whose columns are those of _SELECT
    return Catalogued(
        id=SnapshotId(row["id"]),
        binding=Binding(row["tenant_uid"], row["agent_uid"], row["id"], row["attempt_id"]),
        object_key=row["object_key"],
        wrapped_key=row["wrapped_key"],
        totals=Totals(row["sha256"], row["object_bytes"], row["plain_bytes"], row["file_count"]),
    )


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
