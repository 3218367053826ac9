"""The agent's record: what the database knows about one Agent, and nothing else decides."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model.exits import Exit
from moorage.model.names import AgentUid, PodUid, SnapshotId, TenantUid, WalletId
from moorage.model.rates import Stored
from moorage.model.wallet import Standing, Veto


class AgentState(StrEnum):
    """Where an agent is in its life (see the state chart in docs/architecture.md)."""

    RUNNING = "Running"
    DRAINING = "Draining"
    SNAPSHOTTING = "Snapshotting"
    VERIFYING = "Verifying"
    SUSPENDED = "Suspended"
    ARCHIVED = "Archived"
    RESTORING = "Restoring"
    PURGE_PENDING = "PurgePending"
    PURGED = "Purged"
    DELETED = "Deleted"


class AttemptKind(StrEnum):
    """What a mover attempt does."""

    SNAPSHOT = "Snapshot"
    RESTORE = "Restore"


class SnapshotPurpose(StrEnum):
    """Why a snapshot is taken."""

    SUSPENSION = "Suspension"  # the agent stops, and its data is kept
    DEMAND = "Demand"  # somebody asked for one
    SCHEDULE = "Schedule"  # spec.snapshots.schedule
    DELETION = "Deletion"  # the agent is being deleted


class CopyState(StrEnum):
    """How a frozen copy of a volume stands; without one, the mover reads the volume itself."""

    ASKED = "Asked"
    READY = "Ready"  # it holds what the volume held: the agent may run on
    GIVEN_UP = "GivenUp"


class AttemptState(StrEnum):
    """How far a mover attempt has come; a restore goes from Uploaded to Verified at once."""

    CREATED = "Created"  # the intent is durable and waits for its turn; nothing exists outside the database
    STARTED = "Started"  # the multipart upload is open (snapshot) and the mover may be started
    UPLOADED = "Uploaded"  # the mover reported: all parts are there (snapshot), or the volume is filled (restore)
    COMMITTED = "Committed"  # the object store has the complete object
    VERIFIED = "Verified"  # read back, decrypted, counted (restore: the mover's count equals the snapshot's)
    FAILED = "Failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to write or to restore a snapshot."""

    id: str  # UUID; names the Job, the object and the data key
    snapshot_id: SnapshotId
    kind: AttemptKind
    state: AttemptState
    created_at: datetime
    granted_at: datetime | None  # its place in the mover queue; None while it waits for one
    purpose: SnapshotPurpose | None  # None for a restore
    copy: CopyState | None  # the frozen copy that its mover reads; None without one
    copy_asked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """A verified snapshot."""

    id: SnapshotId
    taken_at: datetime
    bytes: int  # size of the encrypted object
    files: int
    disk_bytes: int  # what the volume really held then


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletFacts:
    """What the agent's wallet said in the same read as the record."""

    id: WalletId
    name: str
    standing: Standing
    low_by_runway: bool  # it is Low because it will soon be empty
    zero_at: datetime | None  # predicted; None while nothing burns
    missing_micros: int  # what a top-up must at least bring before agents resume; 0 when they may run
    veto: Veto | None  # what the money says about this agent now
    empty: bool = False  # of an agent at rest: at zero, and nothing is left that anybody could want to spend


@dataclass(frozen=True, slots=True)
class Grace:
    """How long the data of an agent that the money keeps down is kept; all None while nothing counts down."""

    since: datetime | None = None
    ends_at: datetime | None = None  # absolute: a longer grace moves it, nothing brings it nearer
    told_at: datetime | None = None  # when the last notice before this end was delivered; None while one is missing
    purge_after: datetime | None = None  # the tombstone of PurgePending
    purged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """One row of `agent` with its open attempt, last verified snapshot and wallet, read in one statement."""

    uid: AgentUid
    tenant_uid: TenantUid
    namespace: str
    name: str
    state: AgentState
    state_since: datetime
    fence: int  # raised by everything that may cross a running step; every write of a step names it
    veto: Veto | None  # the money keeps it down; only money clears it
    budget_picos: int | None  # what it may spend in a UTC day, as the ledger knows it
    user_paused: bool  # the tenant asked for it; only the tenant clears it
    incarnation: int  # counter in the pod's name; raised before a new pod is made
    pod_uid: PodUid | None  # the pod whose run is open in the ledger
    endings: int  # pods in a row that ended by themselves, none of which had run for long
    start_at: datetime | None  # no new pod before this
    last_exit: Exit | None  # of the last pod that ended by itself
    silent_since: datetime | None  # its node was first found lost, and has been since
    fenced_incarnation: int  # pods up to this one were left on a lost node: deleted, never waited for
    left_generation: int  # volumes up to this one were left there too; 0: none
    left_until: datetime | None  # their end; None: the node has not come back
    stop_recorded: bool  # Draining: the deletion of the pod is decided and can no longer be called off
    has_storage: bool  # a volume was made for this agent at some time
    volume_generation: int
    volume_floor_mib: int  # what was restored into the volume, or is to be: it was made to hold that
    volume_uid: str | None  # the claim once it was seen; its absence afterwards is a loss, not a start
    failures: int  # failed attempts in a row
    retry_at: datetime | None
    archive_at: datetime | None  # end of the warm window
    attempt: Attempt | None
    snapshot: SnapshotFacts | None  # the last verified one
    kept: tuple[SnapshotFacts, ...]  # all verified ones that nobody has given up, the newest first
    restore: SnapshotFacts | None  # what its volume is to be filled from before it runs again, in place of the last one
    wish: SnapshotPurpose | None  # a snapshot that was asked for while it runs
    request_seen: str | None  # the last request that was heard
    schedule: str | None
    next_snapshot_at: datetime | None  # by the schedule
    stored: tuple[Stored, ...]  # what of its storage the ledger meters
    wallet: WalletFacts
    grace: Grace = Grace()
    sandboxed: bool = False  # its tenant's pods may only run in the platform's sandbox
    now: datetime  # the database clock at this read
