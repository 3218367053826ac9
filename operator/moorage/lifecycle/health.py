"""Healthy: whether something has gone wrong with an agent lately, whatever it looks like at this very moment.

`Ready` says whether it can be reached now; an agent in a crash loop is Ready for some seconds of every minute.
"""

from datetime import timedelta

from moorage.lifecycle import backoff, decision, storage
from moorage.model.conditions import Status
from moorage.model.exits import Exit, ExitReason
from moorage.model.observation import Observation, PodView, Unknown
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState

Verdict = tuple[Status, Reason]

LATELY = timedelta(minutes=10)

# The kubelet's words for a container that waits because it cannot be started, or not again so soon.
CRASHING = frozenset({"CrashLoopBackOff", "CreateContainerError", "RunContainerError", "StartError"})

# A pod that ended by itself, and the agent waits for its next one.
_OF_PAUSE: dict[ExitReason, Reason] = {
    ExitReason.EVICTED: Reason.EVICTED,
    ExitReason.EPHEMERAL_STORAGE_FULL: Reason.EPHEMERAL_STORAGE_FULL,
}
_OF_EXIT = _OF_PAUSE | {ExitReason.OOM_KILLED: Reason.OUT_OF_MEMORY}


def healthy(record: AgentRecord, seen: Observation) -> Verdict:
    """Healthy: no crash loop, no lack of memory and no eviction lately, a node that speaks, a volume that fits."""
    if isinstance(seen.pods, Unknown):
        return Status.UNKNOWN, Reason.STATE_UNKNOWN
    if any(pod.node is not None and not pod.node_ready for pod in decision.present(record, seen.pods)):
        return Status.UNKNOWN, Reason.NODE_UNREACHABLE
    pod = decision.current_pod(record, seen.pods)
    if record.state is AgentState.RUNNING:
        last = last_exit(record, pod)
        if last is not None and _left(record, last) > timedelta(0):
            return Status.FALSE, _why(record, pod, last)
        if pod is not None and pod.waiting_reason in CRASHING:
            return Status.FALSE, Reason.CRASH_LOOP
    if not isinstance(seen.volumes, Unknown) and storage.is_overfull(record, seen.volumes):
        return Status.FALSE, Reason.VOLUME_OVERFULL
    return Status.TRUE, Reason.HEALTHY


def changes_in_seconds(record: AgentRecord, seen: Observation) -> float | None:
    """When the last end will no longer be lately; None when nothing waits for that."""
    if record.state is not AgentState.RUNNING or isinstance(seen.pods, Unknown):
        return None
    last = last_exit(record, decision.current_pod(record, seen.pods))
    left = timedelta(0) if last is None else _left(record, last)
    return left.total_seconds() if left > timedelta(0) else None


def last_exit(record: AgentRecord, pod: PodView | None) -> Exit | None:
    """How the agent ended last: in its present pod, or with the pod before it."""
    if pod is not None and pod.last_exit is not None:
        return pod.last_exit
    return record.last_exit


def pausing(record: AgentRecord) -> Reason:
    """Why an agent without a pod waits for its next one."""
    last = record.last_exit
    return Reason.CRASH_LOOP if last is None else _OF_PAUSE.get(last.reason, Reason.CRASH_LOOP)


def _left(record: AgentRecord, last: Exit) -> timedelta:
    """How long it will still be lately; a node whose clock runs ahead does not make it longer."""
    ago = max(timedelta(0), record.now - (last.at or record.now))
    return LATELY - ago


def _why(record: AgentRecord, pod: PodView | None, last: Exit) -> Reason:
    """The cause if there is one, else whether it happens again and again: nothing flaps from one try to the next."""
    if last.reason in _OF_EXIT:
        return _OF_EXIT[last.reason]
    short = last.ran_seconds is None or last.ran_seconds < backoff.LONG_RUN.total_seconds()
    again = record.endings > 1 or (pod is not None and (pod.restarts > 1 or pod.waiting_reason in CRASHING))
    return Reason.CRASH_LOOP if short and again else Reason.RESTARTED
