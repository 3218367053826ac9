"""An installation's keys on a real database: tenants with snapshots, and a root key that a test can stop anywhere."""

import itertools
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import asyncpg

from moorage.model.names import AgentUid, SnapshotId, TenantUid
from moorage.model.record import AttemptKind, SnapshotPurpose
from moorage.providers.file_root_key import FileRootKey
from moorage.services.key_rotation import KeyRotation
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.services.snapshots import data_key_place
from moorage.store.attempt_row import NewAttempt
from moorage.store.database import Database
from moorage.store.owner_keys import OwnerKeys
from moorage.store.rotations import Rotations
from moorage.store.snapshots import SnapshotRows

EPOCH = 0
OLD, NEW = b"o" * 32, b"n" * 32
_numbers = itertools.count(1)

KEPT = """
INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key, taken_at, object_bytes,
                              plain_bytes, file_count, sha256, verified_at, purpose)
SELECT snapshot_id, agent_uid, tenant_uid, id, object_key, wrapped_key, clock_timestamp(), 1, 1, 1, sha256(''),
       clock_timestamp(), 'Suspension'
FROM moorage.attempt WHERE id = $1
"""


class Killed(BaseException):
    """The process is gone; nothing of ours catches this."""


class MortalRootKey(FileRootKey):
    """Asks a test before it wraps, which may let others work meanwhile, or end the process."""

    def __init__(self, key: bytes, before_wrap: Callable[[], Awaitable[None]]) -> None:
        super().__init__(key)
        self._before_wrap = before_wrap

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """As ever."""
        await self._before_wrap()
        return await super().wrap(plain, context)


async def nothing() -> None:
    """What usually happens in between."""


@dataclass
class Stage:
    """Tenants, their agents, and the data keys that must be readable throughout."""

    database: Database
    admin: "asyncpg.Connection[asyncpg.Record]"
    secrets: dict[str, bytes] = field(default_factory=dict)  # data keys by the attempt that wrote with them
    agents: dict[str, str] = field(default_factory=dict)  # by tenant

    def roots(self, *keys: bytes, before_wrap: Callable[[], Awaitable[None]] = nothing) -> RootKeys:
        """Root keys, the newest first."""
        return RootKeys([MortalRootKey(key, before_wrap) for key in keys])

    def keyring(self, *keys: bytes) -> Keyring:
        """As a process has it that starts now."""
        return Keyring(self.roots(*keys), OwnerKeys(self.database))

    def rows(self) -> Rotations:
        """As the person at the terminal writes."""
        return Rotations(self.database, actor="cli:ada")

    def rotation(
        self, *keys: bytes, before_wrap: Callable[[], Awaitable[None]] = nothing, step_rows: int = 2
    ) -> KeyRotation:
        """A rotation in small steps."""
        roots = self.roots(*keys, before_wrap=before_wrap)
        return KeyRotation(roots, Keyring(roots, OwnerKeys(self.database)), self.rows(), step_rows=step_rows)

    async def tenant(self) -> str:
        """A tenant with one agent."""
        uid, agent, name = str(uuid.uuid4()), str(uuid.uuid4()), f"t{next(_numbers)}"
        wallet = await self.admin.fetchval(
            "INSERT INTO money.wallet (name, as_of, standing) VALUES ($1, 0, 'Funded') RETURNING id", name
        )
        await self.admin.execute(
            "INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id) VALUES ($1, $2, 'mn-' || $2, $3)",
            *(uid, name, wallet),
        )
        await self.admin.execute(
            "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state, has_storage)"
            " VALUES ($1, $2, $3, 'mn-' || $4, 'bot', 'small', 'Snapshotting', true)",
            *(agent, uid, wallet, name),
        )
        self.agents[uid] = agent
        return uid

    async def snapshot(self, tenant: str, keyring: Keyring, *, kept: bool = True) -> str:
        """A snapshot begun as the operator begins one, and kept in the catalogue; returns the attempt."""
        attempt, data_key = str(uuid.uuid4()), os.urandom(32)
        sealed = await keyring.seal(data_key_place(attempt), tenant, data_key)
        await self.admin.execute("UPDATE moorage.agent SET attempt_id = NULL WHERE uid = $1", self.agents[tenant])
        assert await self.begin(tenant, attempt, sealed)
        if kept:
            await self.admin.execute(KEPT, attempt)
        self.secrets[attempt] = data_key
        return attempt

    async def begin(self, tenant: str, attempt: str, sealed: bytes) -> bool:
        """The row of an attempt, through the door that writes it."""
        fence = await self.admin.fetchval("SELECT fence FROM moorage.agent WHERE uid = $1", self.agents[tenant])
        new = NewAttempt(
            id=attempt, agent_uid=AgentUid(self.agents[tenant]), tenant_uid=TenantUid(tenant),
            snapshot_id=SnapshotId(str(uuid.uuid4())), kind=AttemptKind.SNAPSHOT, purpose=SnapshotPurpose.SUSPENSION,
            object_key=f"s/{attempt}", wrapped_key=sealed, volume_name="v",
        )  # fmt: skip
        return await SnapshotRows(self.database).add(EPOCH, new, node=None, fence=fence, replaces=None)

    async def restore(self, attempt: str) -> str:
        """An attempt that restores the snapshot another attempt wrote; it carries a copy of its data key."""
        copy = str(uuid.uuid4())
        await self.admin.execute(
            "INSERT INTO moorage.attempt (id, agent_uid, tenant_uid, snapshot_id, kind, state, object_key, wrapped_key,"
            " volume_name) SELECT $2, agent_uid, tenant_uid, id, 'Restore', 'Created', object_key, wrapped_key, 'v'"
            " FROM moorage.snapshot WHERE attempt_id = $1",
            *(attempt, copy),
        )
        return copy

    async def all_open(self, keyring: Keyring) -> None:
        """Every data key in every table is the one it always was; a destroyed one is nowhere."""
        rows = await self.admin.fetch(
            "SELECT t.tenant_uid::text, coalesce(s.attempt_id, t.id)::text AS written_by, t.wrapped_key"
            " FROM moorage.attempt t LEFT JOIN moorage.snapshot s ON t.kind = 'Restore' AND s.id = t.snapshot_id"
            " UNION ALL SELECT tenant_uid::text, attempt_id::text, wrapped_key FROM moorage.snapshot"
        )
        for row in rows:
            if self.secrets[row["written_by"]] == b"":
                assert row["wrapped_key"] is None
                continue
            place = data_key_place(row["written_by"])
            found = await keyring.open(place, row["tenant_uid"], row["wrapped_key"])
            assert found == self.secrets[row["written_by"]]

    async def purge(self, attempt: str) -> None:
        """Destroy what one attempt wrote, as a purge does."""
        await self.admin.execute(
            "SELECT moorage.destroy_keys(ARRAY[snapshot_id], 'AgentDeleted', clock_timestamp())"
            " FROM moorage.attempt WHERE id = $1",
            attempt,
        )
        self.secrets[attempt] = b""

    async def roots_in_use(self) -> set[str]:
        """The ids of the root keys that wrap anything."""
        return set(await OwnerKeys(self.database).roots())
