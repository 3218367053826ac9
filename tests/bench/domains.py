"""A thousand host names at once against Cloudflare's documented limit, with the real SDK over HTTP to a played account.

Prints one JSON object. Seconds of the limit are virtual: the clock jumps to the next moment at which something is due,
so the provider answers at once and what is left is the limit and our own patience. CPU is real.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from moorage.model.domain_seen import Sight
from moorage.providers.cloudflare_origin import CloudflareOrigin
from moorage.services.certificates import AT_ONCE_MAX
from tests.fakes.cloudflare.account import LIMIT, WINDOW_SECONDS
from tests.simulation import virtual_time
from tests.unit.zones import stage as stages
from tests.unit.zones.stage import Stage, owner, record

HOUR = 3600.0
LIST_SECONDS = 600.0


async def measure(count: int) -> dict[str, Any]:
    """One round: all there, then an hour in which nobody wishes for anything."""
    async with stages.opened() as stage:
        await stage.pass_time(1)
        request = _request()
        begun, cpu, calls = stage.account.clock(), time.process_time(), stage.account.calls.total()
        for number in range(count):
            stage.zones.wish(owner(number), record(number))
        names = deque(record(number).name for number in range(count))
        signing = asyncio.gather(*(_sign(stage, names, request) for _ in range(AT_ONCE_MAX)))
        while not signing.done() or not _all_there(stage, count):
            await stage.pass_time(0.5)
        await signing
        spent, used = stage.account.clock() - begun, stage.account.calls.total() - calls
        cpu = time.process_time() - cpu
        assert len(stage.account.certificates) == count
        assert stage.account.blocked_until == 0, "the limit was broken"
        await stage.pass_time(LIST_SECONDS)
        stage.account.calls.clear()
        await stage.pass_time(HOUR)
        idle = dict(stage.account.calls)
    allowed = used / (LIMIT / WINDOW_SECONDS)
    return {
        "seconds": round(spent, 1), "allowed_seconds": round(allowed, 1), "calls": used,
        "calls_per_domain": round(used / count, 3), "cpu_ms_per_domain": round(1000 * cpu / count, 2),
        "idle_hour": idle,
    }  # fmt: skip


async def _sign(stage: Stage, names: deque[str], request: bytes) -> None:
    origin = CloudflareOrigin(stage.calls)
    while names:
        await origin.issue(names.popleft(), request, delegation=None)


def _all_there(stage: Stage, count: int) -> bool:
    seen = (stage.zones.seen(owner(number).uid, record(number).name) for number in range(count))
    return all(thing.sight is Sight.THERE for thing in seen)


def _request() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.domains", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found = [virtual_time.run(measure(arguments.count)) for _ in range(arguments.rounds)]
    together = {key: [one[key] for one in found] for key in found[0] if key != "idle_hour"}
    idle = [sum(one["idle_hour"].values()) for one in found]
    sys.stdout.write(json.dumps({"count": arguments.count, "rounds": arguments.rounds, "idle_calls": idle, **together}))


if __name__ == "__main__":
    main()
