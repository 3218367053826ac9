"""Records whose Agent has vanished without a goodbye: their meters are closed and their snapshots kept.

kopf never reports a deletion it missed, and a finalizer can be removed by hand, so absence is looked for.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from moorage.model import clock
from moorage.model.names import AgentUid, PodUid
from moorage.store.agents import Agents
from moorage.store.ledger import Ledger
from moorage.store.meters import Meters

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0

Ends = Iterable[tuple[PodUid, datetime]]  # of an agent's pods that have vanished


class SweepOrphans:
    """`exists(uid, namespace, name)` asks the API server itself: a cache is no proof of absence."""

    def __init__(
        self,
        agents: Agents,
        ledger: Ledger,
        meters: Meters,
        *,
        exists: Callable[[str, str, str], Awaitable[bool]],
        has_pods: Callable[[str], bool],
        ends: Callable[[str], Ends],
        epoch: Callable[[], int],
        grace: timedelta,
    ) -> None:
        self._agents = agents
        self._ledger = ledger
        self._meters = meters
        self._exists = exists
        self._has_pods = has_pods
        self._ends = ends
        self._epoch = epoch
        self._grace = grace

    async def sweep(self) -> float:
        """Look once through all living records."""
        for uid, namespace, name in await self._agents.living():
            if self._has_pods(uid) or await self._exists(uid, namespace, name):
                continue
            log.warning("agent vanished", extra={"agent": uid, "namespace": namespace})
            await self._forget(uid)
        await self._agents.keep_orphaned_snapshots(epoch=self._epoch(), grace=self._grace)
        return SWEEP_SECONDS

    async def _forget(self, uid: str) -> None:
        record = await self._agents.load(AgentUid(uid))
        if record is None:
            return
        if record.pod_uid is not None:
            # Nobody is asked to pay from the pod's end until this sweep, if the kubelet said when it was.
            ended_at = dict(self._ends(uid)).get(record.pod_uid)
            ended_s = None if ended_at is None else clock.floor_seconds(ended_at)
            await self._ledger.close_run(
                epoch=self._epoch(), pod_uid=record.pod_uid, ended_s=ended_s, reason="AgentVanished"
            )
        for stored in record.stored:
            await self._meters.close_storage(epoch=self._epoch(), stored=stored)
        await self._agents.keep_snapshots(epoch=self._epoch(), uid=uid, grace=self._grace)
        await self._agents.mark_deleted(epoch=self._epoch(), uid=uid)
