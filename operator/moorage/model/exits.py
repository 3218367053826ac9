"""How a container or its pod ended, in words of ours: what the kubelet writes beside them is foreign text."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ExitReason(StrEnum):
    """Why it ended; `docs/reasons.md` has a line for each."""

    COMPLETED = "Completed"
    ERROR = "Error"
    OOM_KILLED = "OOMKilled"
    CONTAINER_CANNOT_RUN = "ContainerCannotRun"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"  # the node gave the pod up
    EPHEMERAL_STORAGE_FULL = "EphemeralStorageFull"  # the pod wrote more beside its volume than it may
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One end; times are the kubelet's."""

    reason: ExitReason
    code: int | None  # of the process; a pod that never ran has none
    at: datetime | None  # None: the kubelet did not say
    ran_seconds: int | None  # how long that container had run
