"""Runs one piece of work again and again until it is cancelled: bounded back-off, no error ends it but a lost lead."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from moorage.model.errors import LostLeadership, MoorageError
from moorage.observability import Metrics

log = logging.getLogger(__name__)

BACK_OFF_SECONDS_MAX = 30.0


async def repeat(name: str, work: Callable[[], Awaitable[float]], *, rng: random.Random, metrics: Metrics) -> None:
    """Call `work` for ever; it returns the seconds to wait before the next time.

    Our own errors are retried with jittered back-off. LostLeadership and bugs end the task, and with it the process.
    """
    failures = 0
    while True:
        begun = time.perf_counter()
        try:
            wait_seconds = await work()
            failures = 0
            metrics.job_last_success.labels(name).set_to_current_time()
        except LostLeadership:
            metrics.fencing_rejections.labels("epoch").inc()
            raise
        except MoorageError as error:
            failures += 1
            wait_seconds = rng.uniform(0.1, min(BACK_OFF_SECONDS_MAX, 0.5 * 2 ** min(failures, 8)))
            log.warning("job failed", extra={"job": name, "why": str(error), "failures": failures})
        metrics.job_runs.labels(name, "retry" if failures else "ok").inc()
        metrics.job_seconds.labels(name).observe(time.perf_counter() - begun)
        await asyncio.sleep(wait_seconds)
