"""A mover as a child of this process: the request on its standard input, the answer on its standard output."""

import asyncio
import contextlib
import os
import sys

import msgspec

from moorage.model.errors import Transient
from moorage.model.snapshots import VerifyAnswer

MOVER = (sys.executable, "-m", "moorage", "mover")


async def ask(command: tuple[str, ...], request: msgspec.Struct, *, limit_seconds: float) -> VerifyAnswer:
    """Run it to its end; raises Transient when it takes longer, or ends without an answer."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
    )
    try:
        async with asyncio.timeout(limit_seconds):
            output, _ = await child.communicate(msgspec.json.encode(request))
        return msgspec.json.decode(output, type=VerifyAnswer)
    except TimeoutError as error:
        raise Transient("the mover took too long") from error
    except msgspec.MsgspecError as error:
        raise Transient("the mover ended without an answer") from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _environment() -> dict[str, str]:
    """What a Python child needs to find its code; none of our settings, which name secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MOORAGE_")}
