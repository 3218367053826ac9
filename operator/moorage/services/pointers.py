"""Whether tenants' own names lead here: asked beside the queue, and remembered until the next look."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from moorage.model.domain_seen import NOT_SEEN, Owner, ProofAnswer, Sight, Thing
from moorage.model.names import Key
from moorage.model.reasons import Reason
from moorage.providers.ports import Proofs

# A tenant who has just set the record waits for it; one who forgot is asked less and less often.
FIRST_SECONDS, MAX_SECONDS = 10.0, 600.0
HERE_SECONDS = 3600.0

_SIGHTS = {
    ProofAnswer.SHOWN: Thing(sight=Sight.THERE),
    ProofAnswer.MISSING: Thing(sight=Sight.UNDER_WAY, problem=Reason.HOSTNAME_NOT_POINTED),
}


@dataclass(slots=True)
class _Look:
    target: str
    pause_seconds: float = FIRST_SECONDS
    due_at: float = 0.0  # on the process's clock, which only says when to look
    seen: Thing = NOT_SEEN
    task: "asyncio.Task[None] | None" = None


class Pointers:
    """One look per name at a time. An answer that is none leaves what was seen before."""

    def __init__(
        self, proofs: Proofs, ring: Callable[[Key, bool], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._proofs = proofs
        self._ring = ring
        self._clock = clock
        self._looks: dict[str, _Look] = {}

    def wish(self, owner: Owner, hostname: str, target: str) -> None:
        """Know from now on whether the host name leads to the target; rings the owner when it was looked at."""
        look = self._looks.get(owner.uid)
        if look is None or look.target != target:
            look = self._looks[owner.uid] = _Look(target)
        if look.task is None and self._clock() >= look.due_at:
            look.task = asyncio.create_task(self._ask(look, owner, hostname), name=f"pointer-{owner.uid}")

    def seen(self, uid: str) -> Thing:
        """THERE when it leads here; UNKNOWN until resolvers have said something."""
        return self._looks[uid].seen if uid in self._looks else NOT_SEEN

    def forget(self, uid: str) -> None:
        """Nobody asks any more."""
        self._looks.pop(uid, None)

    async def _ask(self, look: _Look, owner: Owner, hostname: str) -> None:
        try:
            answer = await self._proofs.leads_to(hostname, look.target)
        finally:
            look.task = None
        look.seen = _SIGHTS.get(answer, look.seen)
        pause_seconds = HERE_SECONDS
        if answer is ProofAnswer.SHOWN:
            look.pause_seconds = FIRST_SECONDS
        else:
            pause_seconds, look.pause_seconds = look.pause_seconds, min(MAX_SECONDS, 2 * look.pause_seconds)
        look.due_at = self._clock() + pause_seconds
        self._ring(owner.key, False)
        # Nobody rings when somebody changes a record in a zone that is not ours.
        asyncio.get_running_loop().call_later(pause_seconds, self._ring, owner.key, False)
