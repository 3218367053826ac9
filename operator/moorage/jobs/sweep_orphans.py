"""Records whose Agent has vanished without a goodbye: their meters are closed and their snapshots kept.

kopf never reports a deletion it missed, and a finalizer can be removed by hand, so absence is looked for.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from moorage.model.names import AgentUid
from moorage.store.agents import Agents
from moorage.store.ledger import Ledger
from moorage.store.meters import Meters

log = logging.getLogger(__name__)

SWEEP_SECONDS = 600.0


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
        epoch: Callable[[], int],
        grace: timedelta,
    ) -> None:
        self._agents = agents
        self._ledger = ledger
        self._meters = meters
        self._exists = exists
        self._has_pods = has_pods
        self._epoch = epoch
        self._grace = grace

    async def sweep(self) -> float:
        """Look once through all living records."""
        for uid, namespace, name in await self._agents.living():
            if self._has_pods(uid) or await self._exists(uid, namespace, name):
                continue
            log.warning("agent vanished", extra={"agent": uid, "namespace": namespace})
            await self._forget(uid)
        return SWEEP_SECONDS

    async def _forget(self, uid: str) -> None:
        record = await self._agents.load(AgentUid(uid))
        if record is None:
            return
        if record.pod_uid is not None:
            await self._ledger.close_run(
                epoch=self._epoch(), pod_uid=record.pod_uid, ended_s=None, reason="AgentVanished"
            )
        for stored in record.stored:
            await self._meters.close_storage(epoch=self._epoch(), stored=stored)
        await self._agents.keep_snapshots(epoch=self._epoch(), uid=uid, grace=self._grace)
        await self._agents.mark_deleted(epoch=self._epoch(), uid=uid)
