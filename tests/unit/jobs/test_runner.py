"""The runner: our own errors are retried, a lost lead and bugs end it."""

import asyncio
import random

import pytest

from moorage.jobs import runner
from moorage.model.errors import LostLeadership, Unavailable
from moorage.observability import Metrics


class Work:
    """Raises what it is told to, then asks for no wait."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self) -> float:
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome
        return 0.0


class NoWait(random.Random):
    """Jitter of nothing."""

    def uniform(self, a: float, b: float) -> float:
        assert 0 < a <= b <= runner.BACK_OFF_SECONDS_MAX
        return 0.0


async def _repeat(work: Work, metrics: Metrics | None = None) -> None:
    await runner.repeat("job", work, rng=NoWait(), metrics=metrics or Metrics())


def test_our_own_errors_are_retried_until_the_lead_is_lost() -> None:
    work = Work(None, *(Unavailable("down") for _ in range(12)), None, LostLeadership("other"))
    metrics = Metrics()
    with pytest.raises(LostLeadership):
        asyncio.run(_repeat(work, metrics))
    assert work.outcomes == []
    read = metrics.registry.get_sample_value
    assert read("moorage_fencing_rejections_total", {"by": "epoch"}) == 1
    assert read("moorage_job_runs_total", {"task": "job", "result": "retry"}) == 12


def test_a_bug_ends_the_job() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(_repeat(Work(None, ZeroDivisionError())))
