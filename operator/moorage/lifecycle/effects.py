"""Effects: what a transition asks the actuators to do; each is safe to repeat until it is seen to have happened."""

from dataclasses import dataclass
from datetime import datetime

from moorage.model.names import PodUid
from moorage.model.observation import PodView, VolumeView
from moorage.model.rates import Stored
from moorage.model.record import AttemptKind, SnapshotPurpose


@dataclass(frozen=True, slots=True)
class ApplyChildren:
    """Make the agent's children exist as desired; the pod of the current incarnation only `with_pod`."""

    with_pod: bool


@dataclass(frozen=True, slots=True)
class ApplyVolume:
    """Make only the claim of the current volume generation exist (the target of a restore)."""


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete one pod, by UID."""

    name: str
    uid: PodUid


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Start metering a pod whose container runs."""

    pod: PodView


@dataclass(frozen=True, slots=True)
class CloseRun:
    """Stop metering a pod that is proven gone; without `ended_at` the last proof counts."""

    pod_uid: PodUid
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """Start metering a volume or snapshot that is there, or change its size."""

    stored: Stored


@dataclass(frozen=True, slots=True)
class CloseStorage:
    """Stop metering a volume or snapshot that is gone, or that the agent no longer counts on."""

    stored: Stored


@dataclass(frozen=True, slots=True)
class BeginAttempt:
    """Write the intent of a snapshot or restore: id, data key, object key; and queue for a mover."""

    kind: AttemptKind
    node: str | None  # where the mover will work; None when nobody knows
    purpose: SnapshotPurpose = SnapshotPurpose.SUSPENSION  # says nothing for a restore


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Open the multipart upload of the attempt (a restore has nothing to open)."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class RunMover:
    """Make the attempt's Job exist, with a limit to its life."""

    attempt_id: str
    kind: AttemptKind
    volume_name: str
    limit_seconds: int


@dataclass(frozen=True, slots=True)
class FreezeVolume:
    """Bring a frozen copy of the volume one step nearer, for the attempt's mover to read."""

    attempt_id: str
    volume: VolumeView


@dataclass(frozen=True, slots=True)
class GiveUpCopy:
    """Ask no longer for a frozen copy: the mover reads the volume itself."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class CommitAttempt:
    """Complete the multipart upload."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class VerifyAttempt:
    """Read the object back, decrypt and count (a restore: compare the mover's count)."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class FailAttempt:
    """Give an attempt up for a reason of the closed list."""

    attempt_id: str
    code: str


@dataclass(frozen=True, slots=True)
class DropMover:
    """Delete a mover Job that is no longer needed, by UID."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class KeepNewest:
    """Give up all verified snapshots of the agent but the newest `count`; the last one always stays."""

    count: int


@dataclass(frozen=True, slots=True)
class Archive:
    """Check once more that the verified object exists; then give the volume up in the record."""


@dataclass(frozen=True, slots=True)
class FreeVolume:
    """Delete a claim that the record no longer counts on, by UID."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class StartPurge:
    """Ask once more whether everything allows it; then destroy the agent's keys, without return."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything outside the cluster is settled: let the object go."""


Effect = (
    ApplyChildren
    | ApplyVolume
    | DeletePod
    | OpenRun
    | CloseRun
    | OpenStorage
    | CloseStorage
    | BeginAttempt
    | StartAttempt
    | RunMover
    | FreezeVolume
    | GiveUpCopy
    | CommitAttempt
    | VerifyAttempt
    | FailAttempt
    | DropMover
    | KeepNewest
    | Archive
    | FreeVolume
    | StartPurge
    | Finish
)
