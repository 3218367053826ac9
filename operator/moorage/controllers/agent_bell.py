"""The doorbell of Agents: our own reflector, for they are many, and a deletion missed in a gap must ring too."""

import logging
import random
import time
from collections.abc import Callable

import msgspec

from moorage.controllers.objects import Objects
from moorage.kube import agents, kinds
from moorage.kube.agents import AgentObject
from moorage.kube.reflector import ObjectKey, Reflector, Restarted, Source, View
from moorage.model.names import Key

log = logging.getLogger(__name__)


class AgentBell:
    """Watches Agents, keeps them in the cache, and rings for those that changed."""

    def __init__(
        self,
        source: Source,
        objects: Objects,
        ring: Callable[[Key, bool], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        restarted: Restarted = lambda *_: None,
    ) -> None:
        self._objects = objects
        self._ring = ring
        view = View(kind=kinds.AGENT, type=AgentObject)
        self._reflector = Reflector(source, view, self._changed, clock=clock, rng=rng, restarted=restarted)

    async def run(self) -> None:
        """Watch for ever."""
        await self._reflector.run()

    def _changed(self, place: ObjectKey, _: AgentObject | None, new: AgentObject | None) -> None:
        key = Key("Agent", place.namespace, place.name)
        if new is None:
            self._objects.forget(key)
            self._ring(key, True)
            return
        try:
            agent = agents.parse(new)
        except msgspec.MsgspecError as error:
            # Only an object stored under an older schema can get here; the CRD refuses the rest at the door.
            log.warning("agent does not fit its schema", extra={"agent": new.metadata.uid, "why": str(error)})
            return
        if self._objects.keep(key, agent):
            self._ring(key, agent.metadata.deleting)
