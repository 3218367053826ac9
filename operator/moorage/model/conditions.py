"""The closed vocabulary of conditions: types, reasons, and the one fixed message of each reason."""

from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    """Three-valued, as in the Kubernetes API: a failed read is Unknown, never False."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Condition types of all four kinds."""

    READY = "Ready"
    FUNDED = "Funded"
    SUSPENDED = "Suspended"
    SNAPSHOT_READY = "SnapshotReady"
    VOLUME_READY = "VolumeReady"
    HEALTHY = "Healthy"
    ISOLATED = "Isolated"


class Reason(StrEnum):
    """Every reason a condition can carry; `docs/reasons.md` has a line for each."""

    # Agent, running
    POD_READY = "PodReady"
    POD_STARTING = "PodStarting"
    POD_NOT_READY = "PodNotReady"
    POD_REPLACED = "PodReplaced"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    RUNTIME_UNKNOWN = "RuntimeUnknown"
    SIZE_UNKNOWN = "SizeUnknown"
    CRASH_LOOP = "CrashLoop"
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a reason, not a secret
    SPEC_INVALID = "SpecInvalid"
    SCHEDULE_INVALID = "ScheduleInvalid"
    SNAPSHOT_NOT_FOUND = "SnapshotNotFound"
    VOLUME_TOO_SMALL = "VolumeTooSmall"
    NOT_A_TENANT = "NotATenant"
    ISOLATION_PENDING = "IsolationPending"
    SANDBOX_UNAVAILABLE = "SandboxUnavailable"
    NETWORK_POLICY_NOT_ENFORCED = "NetworkPolicyNotEnforced"
    POLICY_MISSING = "PolicyMissing"
    NAME_TAKEN = "NameTaken"
    NODE_UNREACHABLE = "NodeUnreachable"
    # Agent, health
    HEALTHY = "Healthy"
    RESTARTED = "Restarted"
    OUT_OF_MEMORY = "OutOfMemory"
    EVICTED = "Evicted"
    EPHEMERAL_STORAGE_FULL = "EphemeralStorageFull"
    VOLUME_OVERFULL = "VolumeOverfull"
    # Money
    FUNDED = "Funded"
    LOW_BALANCE = "LowBalance"
    LOW_RUNWAY = "LowRunway"
    ZERO_BALANCE = "ZeroBalance"
    BILLING_ON_HOLD = "BillingOnHold"
    BUDGET_REACHED = "BudgetReached"
    WALLET_NOT_FOUND = "WalletNotFound"
    # Lifecycle
    RUNNING = "Running"
    USER_REQUESTED = "UserRequested"
    DELETING = "Deleting"
    DRAINING = "Draining"
    SNAPSHOT_QUEUED = "SnapshotQueued"
    KEYS_UNAVAILABLE = "KeysUnavailable"
    SNAPSHOTTING = "Snapshotting"
    VERIFYING = "Verifying"
    SNAPSHOT_FAILED = "SnapshotFailed"
    SNAPSHOT_VERIFIED = "SnapshotVerified"
    NO_SNAPSHOT_YET = "NoSnapshotYet"
    RESTORE_QUEUED = "RestoreQueued"
    RESTORING = "Restoring"
    RESTORE_FAILED = "RestoreFailed"
    VOLUME_BOUND = "VolumeBound"
    VOLUME_PENDING = "VolumePending"
    VOLUME_KEPT = "VolumeKept"
    VOLUME_FREED = "VolumeFreed"
    VOLUME_LOST = "VolumeLost"
    NO_STORAGE = "NoStorage"
    PURGE_PENDING = "PurgePending"
    PURGED = "Purged"
    # Namespace, Wallet, Domain
    ISOLATION_APPLIED = "IsolationApplied"
    CORE_NAMESPACE_READY = "CoreNamespaceReady"
    CORE_NAMESPACE_TAKEN = "CoreNamespaceTaken"
    RIGHTS_MISSING = "RightsMissing"
    AGENTS_REMAIN = "AgentsRemain"
    WALLET_IN_USE = "WalletInUse"
    LEDGER_READY = "LedgerReady"
    DNS_NOT_CONFIGURED = "DnsNotConfigured"
    # A failed read
    STATE_UNKNOWN = "StateUnknown"


MESSAGES: dict[Reason, str] = {
    Reason.POD_READY: "The agent is running and ready.",
    Reason.POD_STARTING: "The agent's pod is starting.",
    Reason.POD_NOT_READY: "The agent's pod runs but does not pass its readiness probe.",
    Reason.POD_REPLACED: "The agent's pod ended or is out of date and is being replaced by a new one.",
    Reason.IMAGE_NOT_ALLOWED: "The image does not come from a registry this platform allows; use an allowed registry or a runtime.",
    Reason.IMAGE_PULL_FAILED: "The image cannot be pulled; check its name, its digest and that the platform may read it.",
    Reason.RUNTIME_UNKNOWN: "The platform has no runtime of this name; ask the platform for its list of runtimes.",
    Reason.SIZE_UNKNOWN: "The platform has no size class of this name; ask the platform for its list of sizes.",
    Reason.CRASH_LOOP: "The agent keeps exiting soon after its start; look at its log.",
    Reason.UNSCHEDULABLE: "No node has room for this agent at the moment.",
    Reason.QUOTA_EXCEEDED: "The quota of this tenant's namespace does not allow another agent of this size.",
    Reason.SECRET_NOT_FOUND: "A Secret or key that spec.env refers to does not exist in this namespace.",
    Reason.SPEC_INVALID: "The spec cannot be used as it is; what ran before keeps running until it is corrected.",
    Reason.SCHEDULE_INVALID: "The schedule is no cron line of five fields, or asks more than once an hour; what ran before keeps running.",
    Reason.SNAPSHOT_NOT_FOUND: "This tenant has no snapshot of the name in spec.restoreFrom; delete the agent and create it with another.",
    Reason.VOLUME_TOO_SMALL: "The snapshot to restore does not fit into spec.storage.size; create an agent with a larger volume.",
    Reason.NOT_A_TENANT: "This namespace does not belong to a tenant; create a moorage.dev Namespace and use its core namespace.",
    Reason.POLICY_MISSING: "An admission policy of the platform is missing or was changed; nothing starts until it is back.",
    Reason.ISOLATION_PENDING: "The tenant's core namespace is not closed yet; nothing starts there until it is.",
    Reason.SANDBOX_UNAVAILABLE: "The tenant is Sandboxed, and this platform has no sandbox runtime; nothing new starts.",
    Reason.NETWORK_POLICY_NOT_ENFORCED: "The cluster does not enforce the network policies of this agent's pod; it is not started, and tried again.",
    Reason.NAME_TAKEN: "Another object that this platform does not own already has the name this one needs.",
    Reason.NODE_UNREACHABLE: "The node of the agent's pod does not answer; nothing is charged or deleted until it is back.",
    Reason.HEALTHY: "Nothing has gone wrong with the agent lately.",
    Reason.RESTARTED: "The agent's container ended within the last ten minutes and was started again; status.lastExit says how it ended.",
    Reason.OUT_OF_MEMORY: "The agent was ended within the last ten minutes because it needed more memory than its size has.",
    Reason.EVICTED: "The node gave the agent's pod up within the last ten minutes; a new one follows after a pause.",
    Reason.EPHEMERAL_STORAGE_FULL: "The agent wrote more outside /data than it may and was ended; a new pod follows after a pause.",
    Reason.VOLUME_OVERFULL: "The agent's last snapshot found more on its volume than its size; nothing is lost, and what it holds is charged.",
    Reason.FUNDED: "The wallet can pay.",
    Reason.LOW_BALANCE: "The wallet can pay, but its balance is below its lowBalance or less than a tenth above it; top it up.",
    Reason.LOW_RUNWAY: "The wallet can pay, but has about 24 hours of runway or less at the present burn; top it up.",
    Reason.ZERO_BALANCE: "The wallet cannot pay the next second; top it up to resume.",
    Reason.BILLING_ON_HOLD: "The wallet is on hold while a payment is in question; its agents are stopped and nothing is charged or purged.",
    Reason.BUDGET_REACHED: "The budget of this agent or the spend limit of its wallet is used up for today; it resumes at midnight UTC.",
    Reason.WALLET_NOT_FOUND: "The wallet this object refers to does not exist.",
    Reason.RUNNING: "The agent is not suspended.",
    Reason.USER_REQUESTED: "Suspended as spec.desiredState asks.",
    Reason.DELETING: "The agent is being deleted; its data is kept as a snapshot for the grace period.",
    Reason.DRAINING: "The agent's pod is being stopped.",
    Reason.SNAPSHOT_QUEUED: "The agent's data is safe on its volume; its snapshot waits for its turn.",
    Reason.KEYS_UNAVAILABLE: "The platform cannot reach its keys at the moment; nothing is lost, and the snapshot follows when it can.",
    Reason.SNAPSHOTTING: "The agent's data is being written to an encrypted snapshot.",
    Reason.VERIFYING: "The snapshot is being read back and checked.",
    Reason.SNAPSHOT_FAILED: "The snapshot failed; the volume is kept and the snapshot is tried again.",
    Reason.SNAPSHOT_VERIFIED: "The last snapshot was read back and verified.",
    Reason.NO_SNAPSHOT_YET: "No snapshot has been taken yet.",
    Reason.RESTORE_QUEUED: "The restore of the agent's data waits for its turn.",
    Reason.RESTORING: "The agent's data is being restored from its snapshot.",
    Reason.RESTORE_FAILED: "The restore failed; the snapshot is untouched and the restore is tried again.",
    Reason.VOLUME_BOUND: "The agent's volume is bound.",
    Reason.VOLUME_PENDING: "The agent's volume is not bound yet.",
    Reason.VOLUME_KEPT: "The volume is kept, so that a resume needs no restore.",
    Reason.VOLUME_FREED: "The volume was freed after a verified snapshot; a resume restores it.",
    Reason.VOLUME_LOST: "The agent's volume has vanished; it is not started with an empty disk.",
    Reason.NO_STORAGE: "The agent has no storage, so there is nothing to keep.",
    Reason.PURGE_PENDING: "The wallet stayed empty for the whole grace; the agent's data is about to be deleted for good unless the wallet is topped up now.",
    Reason.PURGED: "The agent's data was deleted for good after the grace, at status.purgedAt; delete the agent and create a new one.",
    Reason.ISOLATION_APPLIED: "Quota, Pod Security labels and network policies are in place.",
    Reason.CORE_NAMESPACE_READY: "The tenant's core namespace is ready.",
    Reason.CORE_NAMESPACE_TAKEN: "The core namespace of this name exists and does not belong to this tenant.",
    Reason.RIGHTS_MISSING: "The platform lacks a right it needs in the core namespace; nothing new starts there until it has it.",
    Reason.AGENTS_REMAIN: "Agents remain in this namespace; delete them first.",
    Reason.WALLET_IN_USE: "Tenants still refer to this wallet; delete them or point them to another wallet first.",
    Reason.LEDGER_READY: "The wallet is open in the ledger.",
    Reason.DNS_NOT_CONFIGURED: "This platform has no DNS provider configured; the domain does nothing yet.",
    Reason.STATE_UNKNOWN: "The state could not be read; this is neither a yes nor a no.",
}


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One condition as it stands in a status; times are RFC 3339 in UTC."""

    type: ConditionType
    status: Status
    reason: Reason
    message: str
    observed_generation: int
    last_transition_time: str = ""


def condition(kind: ConditionType, status: Status, reason: Reason, *, generation: int) -> Condition:
    """Build a condition with the reason's fixed message; the transition time is filled in when it is written."""
    return Condition(kind, status, reason, MESSAGES[reason], generation)


def as_manifest(item: Condition, transition_time: str) -> dict[str, Any]:
    """The condition as the JSON object that goes into a status."""
    return {
        "type": item.type.value,
        "status": item.status.value,
        "reason": item.reason.value,
        "message": item.message,
        "observedGeneration": item.observed_generation,
        "lastTransitionTime": transition_time,
    }
