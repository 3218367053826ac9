"""Ask a second process what an object really holds."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence

import msgspec

from moorage.model.errors import Transient, Unavailable
from moorage.model.snapshots import Failure, VerifyAnswer, VerifyRequest

COMMAND = (sys.executable, "-m", "moorage", "mover", "verify")
AT_ONCE_MAX = 2
LIMIT_SECONDS_BASE = 120.0
BYTES_PER_SECOND_MIN = 20 << 20  # a store slower than this is not waited for

WORLD_IN_THE_WAY = {Failure.STORE_UNREACHABLE, Failure.STORE_REFUSED, Failure.INTERRUPTED, Failure.MOVER_FAILED}


class Readback:
    """Starts verifiers, a few at a time; the key goes in through standard input and nowhere else."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)

    async def read(self, request: VerifyRequest, *, object_bytes: int) -> VerifyAnswer:
        """The verifier's finding; raises Unavailable or Transient when it could not look."""
        async with self._turn:
            output = await self._run(
                msgspec.json.encode(request), LIMIT_SECONDS_BASE + object_bytes / BYTES_PER_SECOND_MIN
            )
        try:
            answer = msgspec.json.decode(output, type=VerifyAnswer)
        except msgspec.MsgspecError as error:
            raise Transient("the verifier ended without an answer") from error
        if answer.failure in WORLD_IN_THE_WAY:
            raise Unavailable("the snapshot could not be read back")
        return answer

    async def _run(self, request: bytes, limit_seconds: float) -> bytes:
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(limit_seconds):
                output, _ = await child.communicate(request)
        except TimeoutError as error:
            raise Transient("the verifier took too long") from error
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return output


def _environment() -> dict[str, str]:
    """What a Python child needs to find its code; none of our settings, which name secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MOORAGE_")}
