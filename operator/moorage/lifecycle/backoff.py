"""How soon a pod that ended by itself is followed by the next one: as the kubelet does it with containers."""

from dataclasses import replace
from datetime import timedelta

from moorage.model.exits import Exit, ExitReason
from moorage.model.observation import PodView
from moorage.model.record import AgentRecord

SECONDS_FIRST = 10
SECONDS_MAX = 300
# A pod that ran so long is no sign of a loop.
LONG_RUN = timedelta(minutes=10)


def ended(record: AgentRecord, pod: PodView) -> AgentRecord:
    """The record after its pod ended by itself: another incarnation, not before its time. Durable before the delete."""
    last = pod.last_exit or Exit(reason=ExitReason.UNKNOWN, code=None, at=None, ran_seconds=None)
    last = replace(last, at=last.at or record.now)
    endings = 1 if _ran_long(record, pod, last) else record.endings + 1
    start_at = record.now + timedelta(seconds=wait_seconds(endings))
    return replace(record, incarnation=record.incarnation + 1, endings=endings, start_at=start_at, last_exit=last)


def left_seconds(record: AgentRecord) -> float | None:
    """How long the next pod has to wait; None when it may start."""
    if record.start_at is None or record.start_at <= record.now:
        return None
    return (record.start_at - record.now).total_seconds()


def wait_seconds(endings: int) -> int:
    """The pause after so many ends in a row."""
    return int(min(SECONDS_MAX, SECONDS_FIRST * 2 ** min(endings - 1, 10)))


def _ran_long(record: AgentRecord, pod: PodView, last: Exit) -> bool:
    return pod.started_at is not None and (last.at or record.now) - pod.started_at >= LONG_RUN
