"""Ask a second process what an object really holds."""

import asyncio
from collections.abc import Sequence

from moorage.model.errors import Unavailable
from moorage.model.snapshots import Failure, VerifyAnswer, VerifyRequest
from moorage.services import mover_child

AT_ONCE_MAX = 2
LIMIT_SECONDS_BASE = 120.0
# A store slower than this is not waited for. It is half of what a very slow one does: a look that is broken off begins
# from the start, and would never end. A connection that is dead is noticed much sooner, by its own timeout.
BYTES_PER_SECOND_MIN = 500_000

WORLD_IN_THE_WAY = {Failure.STORE_UNREACHABLE, Failure.STORE_REFUSED, Failure.INTERRUPTED, Failure.MOVER_FAILED}


def limit_seconds(size_bytes: int) -> float:
    """How long a look at an object of this size may take."""
    return LIMIT_SECONDS_BASE + size_bytes / BYTES_PER_SECOND_MIN


class Readback:
    """Starts verifiers, a few at a time; the key goes in through standard input and nowhere else."""

    def __init__(self, command: Sequence[str] = (*mover_child.MOVER, "verify")) -> None:
        self._command = tuple(command)
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def read(self, request: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        """The verifier's finding; raises Unavailable or Transient when it could not look."""
        async with self._turn:
            answer = await mover_child.ask(self._command, request, limit_seconds=limit_seconds(object_bytes))
        if answer.failure in WORLD_IN_THE_WAY:
            raise Unavailable("the snapshot could not be read back")
        return answer
