"""Frozen copies: a mover reads one while its agent runs on. Only the object that the mover writes is a snapshot.

Everything a CSI driver gets wrong is tried again until the lifecycle gives up and lets the mover read the volume
itself; only a wish that the cluster refuses is given up at once.
"""

import logging

from moorage.desired import frozen
from moorage.kube import kinds, volume_snapshots
from moorage.kube.client import Client
from moorage.model import names
from moorage.model.agent import Agent
from moorage.model.errors import MoorageError, Permanent
from moorage.model.observation import VolumeView
from moorage.model.reasons import Reason
from moorage.model.record import CopyState
from moorage.store.database import Database
from moorage.store.frozen_copies import FrozenCopyRows

SWEEP_MAX = 50

log = logging.getLogger(__name__)


class FrozenCopies:
    """Which storage can be frozen here, and the copies that exist."""

    def __init__(self, *, database: Database, client: Client) -> None:
        self._rows = FrozenCopyRows(database)
        self._client = client
        self._classes: dict[str, str] = {}

    @property
    def storage_classes(self) -> frozenset[str]:
        """The StorageClasses whose volumes can be frozen, as of the last look."""
        return frozenset(self._classes)

    async def look(self) -> None:
        """Ask the cluster again what it can freeze."""
        found = await volume_snapshots.classes(self._client)
        if found != self._classes:
            log.info("volumes of these storage classes can be frozen", extra={"classes": sorted(found)})
        self._classes = found

    async def freeze(self, *, epoch: int, agent: Agent, attempt_id: str, volume: VolumeView) -> bool:
        """Bring a copy of a volume one step nearer to being ready; True when it is, or will never be."""
        state = await self._rows.ask(epoch, attempt_id)
        if state is not CopyState.ASKED:
            return state is not None
        try:
            ready = await self._frozen(agent, attempt_id, volume)
        except Permanent as error:
            log.warning("a copy is refused", extra={"attempt": attempt_id, "why": str(error)})
            return await self._rows.move(epoch, attempt_id, CopyState.GIVEN_UP)
        except MoorageError as error:
            log.warning("a copy is not made yet", extra={"attempt": attempt_id, "why": str(error)})
            return False
        return ready and await self._rows.move(epoch, attempt_id, CopyState.READY)

    async def give_up(self, *, epoch: int, attempt_id: str) -> None:
        """Make no copy for this attempt after all."""
        await self._rows.move(epoch, attempt_id, CopyState.GIVEN_UP)

    async def sweep(self, *, epoch: int) -> int:
        """Remove the copies that nobody needs; returns how many are not gone yet."""
        left = await self._rows.left(SWEEP_MAX)
        for one in left:
            name = names.frozen_copy(one.attempt_id)
            try:
                # The claim first: it is what a mover may still hold, and the copy waits for it.
                claim_gone = await volume_snapshots.remove_claim(self._client, one.namespace, name)
                if await volume_snapshots.remove(self._client, one.namespace, name) and claim_gone:
                    await self._rows.removed(epoch, one.attempt_id)
            except MoorageError as error:
                log.warning("a copy waits to be removed", extra={"attempt": one.attempt_id, "why": str(error)})
        return len(left)

    async def _frozen(self, agent: Agent, attempt_id: str, volume: VolumeView) -> bool:
        assert volume.storage_class is not None
        snapshot_class = self._classes.get(volume.storage_class)
        if snapshot_class is None:
            raise Permanent(Reason.SNAPSHOT_FAILED, "its class can no longer be frozen")
        wanted = frozen.volume_snapshot(
            agent, attempt_id=attempt_id, volume_name=volume.name, snapshot_class=snapshot_class
        )
        name, namespace = wanted["metadata"]["name"], wanted["metadata"]["namespace"]
        found = await volume_snapshots.find(self._client, namespace, name)
        if found is None:
            await volume_snapshots.make(self._client, kinds.VOLUME_SNAPSHOT, wanted)
            return False
        if not found.ready:
            return False
        size = found.size or f"{volume.mib or 1}Mi"
        claim = frozen.claim(agent, attempt_id=attempt_id, storage_class=volume.storage_class, size=size)
        await volume_snapshots.make(self._client, kinds.PERSISTENT_VOLUME_CLAIM, claim)
        return True
