"""From what the kubelet says of an end to our closed list; pure. Its texts are read here and go no further."""

from datetime import datetime

from moorage.kube.objects import ContainerStatus, Pod, Terminated
from moorage.model.exits import Exit, ExitReason
from moorage.model.observation import PodPhase

_OF_CONTAINER = {
    "Completed": ExitReason.COMPLETED,
    "Error": ExitReason.ERROR,
    "OOMKilled": ExitReason.OOM_KILLED,
    "ContainerCannotRun": ExitReason.CONTAINER_CANNOT_RUN,
    "StartError": ExitReason.CONTAINER_CANNOT_RUN,
    "DeadlineExceeded": ExitReason.DEADLINE_EXCEEDED,
}
# An eviction for what the pod itself wrote, in the kubelet's words; any other one is the node's doing.
_OWN_DISK = ("ephemeral storage limit", "ephemeral local storage usage exceeds", "EmptyDir volume")


def real(time: datetime | None) -> datetime | None:
    """A time the kubelet has seen; of what never happened it writes the first second of 1970."""
    return time if time is not None and time.timestamp() > 0 else None


def last_exit(pod: Pod, container: ContainerStatus) -> Exit | None:
    """The last end of the agent's container, or of the whole pod; None while it has not ended by itself."""
    over = pod.status.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)
    # What ends while the pod is being deleted was stopped, and is no news of the agent's health.
    stopped = pod.metadata.deleting and not over
    run = None if stopped else container.state.terminated
    run = run or container.last_state.terminated
    if run is None and not over:
        return None
    run = run or Terminated()
    return Exit(
        reason=(_of_pod(pod) if over else None) or _of_container(run),
        code=run.exit_code,
        at=real(run.finished_at),
        ran_seconds=_ran_seconds(run),
    )


def _of_pod(pod: Pod) -> ExitReason | None:
    """Why a pod that is over ended, when it was not its container's own doing."""
    said = pod.status.reason
    if not said:
        return None
    if said == "DeadlineExceeded":
        return ExitReason.DEADLINE_EXCEEDED
    if any(words in pod.status.message for words in _OWN_DISK):
        return ExitReason.EPHEMERAL_STORAGE_FULL
    return ExitReason.EVICTED


def _of_container(run: Terminated) -> ExitReason:
    if run.reason:
        return _OF_CONTAINER.get(run.reason, ExitReason.UNKNOWN)
    match run.exit_code:
        case None:
            return ExitReason.UNKNOWN
        case 0:
            return ExitReason.COMPLETED
        case _:
            return ExitReason.ERROR


def _ran_seconds(run: Terminated) -> int | None:
    started, finished = real(run.started_at), real(run.finished_at)
    return None if started is None or finished is None else max(0, int((finished - started).total_seconds()))
