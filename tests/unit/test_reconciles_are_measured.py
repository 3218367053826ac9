"""What a reconcile ended in is counted, and a refused leader as what it is."""

import asyncio
import random

import pytest

from moorage import operation
from moorage.model.errors import LostLeadership, Unavailable
from moorage.model.names import Key
from moorage.observability import Metrics

KEY = Key("Agent", "mn-a", "helper")


def counted(error: Exception | None) -> Metrics:
    """The metrics after one reconcile that ended so."""
    metrics = Metrics()

    async def reconcile(_: Key) -> None:
        if error is not None:
            raise error

    run = operation.measured({"Agent": reconcile}, metrics, random.Random(1))
    if error is None:
        asyncio.run(run(KEY))
    else:
        with pytest.raises(type(error)):
            asyncio.run(run(KEY))
    return metrics


@pytest.mark.parametrize(
    ("error", "result"),
    [(None, "ok"), (Unavailable("away"), "retry"), (LostLeadership("other"), "retry"), (ValueError(), "bug")],
    ids=str,
)
def test_the_result_is_counted(error: Exception | None, result: str) -> None:
    read = counted(error).registry.get_sample_value
    assert read("moorage_reconciles_total", {"kind": "Agent", "result": result}) == 1
    assert read("moorage_reconcile_seconds_count", {"kind": "Agent"}) == 1


def test_a_write_under_an_old_epoch_is_counted_as_fenced() -> None:
    read = counted(LostLeadership("other")).registry.get_sample_value
    assert read("moorage_fencing_rejections_total", {"by": "epoch"}) == 1
    assert (
        counted(Unavailable("away")).registry.get_sample_value("moorage_fencing_rejections_total", {"by": "epoch"})
        is None
    )
