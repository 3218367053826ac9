"""Ask a second process what an object really holds."""

import asyncio
from collections.abc import Sequence

from moorage.model.errors import Unavailable
from moorage.model.snapshots import Failure, VerifyAnswer, VerifyRequest
from moorage.services import mover_child

AT_ONCE_MAX = 2
LIMIT_SECONDS_BASE = 120.0
BYTES_PER_SECOND_MIN = 20 << 20  # a store slower than this is not waited for

WORLD_IN_THE_WAY = {Failure.STORE_UNREACHABLE, Failure.STORE_REFUSED, Failure.INTERRUPTED, Failure.MOVER_FAILED}


class Readback:
    """Starts verifiers, a few at a time; the key goes in through standard input and nowhere else."""

    def __init__(self, command: Sequence[str] = (*mover_child.MOVER, "verify")) -> None:
        self._command = tuple(command)
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def read(self, request: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        """The verifier's finding; raises Unavailable or Transient when it could not look."""
        async with self._turn:
            limit_seconds = LIMIT_SECONDS_BASE + object_bytes / BYTES_PER_SECOND_MIN
            answer = await mover_child.ask(self._command, request, limit_seconds=limit_seconds)
        if answer.failure in WORLD_IN_THE_WAY:
            raise Unavailable("the snapshot could not be read back")
        return answer
