"""Purges: tell the owner, ask the database to start, and then clean up what no key opens any more.

Each call to the outside stands between two rows: killed anywhere, the next run does what is left, and no step that was
done counts twice. Credentials that are missing and a store that refuses leave the object where it is, and are retried.
"""

import logging

from moorage.model.errors import MoorageError
from moorage.model.purges import GATE_SHUT, Outcome
from moorage.model.record import AgentRecord
from moorage.observability import Metrics
from moorage.providers.ports import Notices, ObjectStore
from moorage.store.purges import PurgeRows

NOTICES_MAX = 100
SNAPSHOTS_MAX = 100
OBJECTS_MAX = 50
NOT_ACCEPTED = "NotAccepted"

log = logging.getLogger(__name__)


class Purges:
    """What the reconcile of an agent and the leader's jobs ask for."""

    def __init__(self, *, rows: PurgeRows, store: ObjectStore, notices: Notices, metrics: Metrics) -> None:
        self._rows = rows
        self._store = store
        self._notices = notices
        self._metrics = metrics
        self._braked = False

    async def tell(self, *, epoch: int) -> int:
        """Send the notices that are due; returns how many were taken, accepted or not."""
        due = await self._rows.take_notices(epoch=epoch, limit=NOTICES_MAX)
        for notice in due:
            failure = None
            try:
                await self._notices.send(notice)
            except MoorageError as error:
                failure = NOT_ACCEPTED
                self._metrics.purge_notices_failed.inc()
                log.warning("a notice was not accepted", extra={notice.kind.lower(): notice.uid, "why": str(error)})
            await self._rows.note_delivery(epoch=epoch, notice=notice, failure=failure)
        return len(due)

    async def start(self, *, epoch: int, record: AgentRecord) -> Outcome:
        """Purge an agent under its tombstone, unless anything stands in the way."""
        outcome = await self._rows.purge_agent(epoch=epoch, uid=record.uid, fence=record.fence)
        self._metrics.purges.labels("agent", outcome.value).inc()
        log.info("purge asked for", extra={"agent": record.uid, "outcome": outcome.value})
        return outcome

    async def note_volume(self, *, epoch: int, agent_uid: str, volume_uid: str) -> None:
        """Write down that a volume of a purged agent was deleted."""
        await self._rows.note_volume(epoch=epoch, agent_uid=agent_uid, volume_uid=volume_uid)

    async def remove_snapshots(self, *, epoch: int) -> int:
        """Put tombstones on what is over, and purge what lay long enough; returns how many keys were destroyed."""
        await self._rows.entomb_snapshots(epoch=epoch, limit=SNAPSHOTS_MAX)
        started = 0
        for snapshot_id in await self._rows.due_snapshots(SNAPSHOTS_MAX):
            outcome = await self._rows.purge_snapshot(epoch=epoch, snapshot_id=snapshot_id)
            self._metrics.purges.labels("snapshot", outcome.value).inc()
            if outcome in GATE_SHUT:
                break  # nothing else passes either
            started += outcome is Outcome.STARTED
        return started

    async def remove_objects(self, *, epoch: int) -> int:
        """Remove objects whose key is destroyed, in all their versions; returns how many the store did not remove."""
        refused = 0
        for snapshot_id, key in await self._rows.objects_left(OBJECTS_MAX):
            try:
                await self._store.abort(key)
                await self._store.delete(key)
                removed = await self._store.head(key) is None
            except MoorageError as error:
                removed = False
                log.warning("a purged object waits", extra={"snapshot": snapshot_id, "why": str(error)})
            await self._rows.note_object(epoch=epoch, snapshot_id=snapshot_id, removed=removed)
            refused += not removed
        return refused

    async def show(self) -> None:
        """Bring the metrics up to date, and say once that the brake is engaged."""
        gate = await self._rows.gate()
        braked = gate.engaged_at is not None
        if braked and not self._braked:
            log.error(
                "purges are stopped: more was due in an hour than is plausible; see `moorage purge status`",
                extra={"per_hour": gate.per_hour},
            )
        self._braked = braked
        self._metrics.purge_brake.set(braked)
        self._metrics.purge_stopped.set(gate.stopped_at is not None)
        self._metrics.purge_objects_left.set(gate.objects_left)
