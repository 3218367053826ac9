"""Verdicts on an agent: what is true of it and why, from its record and one observation.

A record says where the agent is in its life, an observation what the cluster shows; what could not be read is Unknown.
"""

from datetime import datetime

from moorage.lifecycle import backoff, decision, health
from moorage.model.agent import Agent
from moorage.model.conditions import Status
from moorage.model.observation import Observation, PodPhase, PodView, Unknown
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState, AttemptState
from moorage.model.wallet import Standing, Veto

Verdict = tuple[Status, Reason]

UNREADABLE: Verdict = (Status.UNKNOWN, Reason.STATE_UNKNOWN)

# The kubelet's words for a container that waits; whatever is not here is a pod that starts.
WAITING: dict[str, Reason] = {
    **dict.fromkeys(health.CRASHING, Reason.CRASH_LOOP),
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "InvalidImageName": Reason.IMAGE_PULL_FAILED,
    "ImageInspectError": Reason.IMAGE_PULL_FAILED,
    "RegistryUnavailable": Reason.IMAGE_PULL_FAILED,
    "SignatureValidationFailed": Reason.IMAGE_PULL_FAILED,
    "CreateContainerConfigError": Reason.SECRET_NOT_FOUND,
}

FUNDED: dict[Standing, Verdict] = {
    Standing.FUNDED: (Status.TRUE, Reason.FUNDED),
    Standing.LOW: (Status.TRUE, Reason.LOW_BALANCE),
    Standing.EXHAUSTED: (Status.FALSE, Reason.ZERO_BALANCE),
    Standing.ON_HOLD: (Status.FALSE, Reason.BILLING_ON_HOLD),
}
AT_REST = frozenset(
    {AgentState.SUSPENDED, AgentState.ARCHIVED, AgentState.PURGE_PENDING, AgentState.PURGED, AgentState.DELETED}
)
LOW_RUNWAY: Verdict = (Status.TRUE, Reason.LOW_RUNWAY)
BUDGET_REACHED: Verdict = (Status.FALSE, Reason.BUDGET_REACHED)


def wallet_funded(standing: Standing, *, low_by_runway: bool, limit_reached: bool) -> Verdict:
    """Funded, of a wallet: what it can do; one that can pay may have spent what it may spend today."""
    verdict = LOW_RUNWAY if standing is Standing.LOW and low_by_runway else FUNDED[standing]
    return BUDGET_REACHED if limit_reached and verdict[0] is Status.TRUE else verdict


def funded(record: AgentRecord) -> Verdict:
    """Funded, of an agent: what the money says about it, its own budget included."""
    wallet = record.wallet
    reached = wallet.veto is Veto.BUDGET_REACHED
    return wallet_funded(wallet.standing, low_by_runway=wallet.low_by_runway, limit_reached=reached)


def ready(agent: Agent, record: AgentRecord, seen: Observation, problem: Reason | None) -> Verdict:
    """Ready: the pod of this incarnation passes its probe, and the spec it should run is usable."""
    if isinstance(seen.pods, Unknown):
        return UNREADABLE
    if record.state is not AgentState.RUNNING:
        return _not_running(agent, record, seen, problem)
    if problem is not None and problem is not Reason.KEYS_UNAVAILABLE:  # without keys, what runs runs on
        return Status.FALSE, problem
    pod = decision.current_pod(record, seen.pods)
    if pod is not None:
        return _of_pod(pod)
    if not isinstance(seen.volumes, Unknown) and decision.volume_lost(record, seen.volumes):
        return Status.FALSE, Reason.VOLUME_LOST
    if backoff.left_seconds(record) is not None:
        return Status.FALSE, health.pausing(record)
    return Status.FALSE, Reason.POD_REPLACED if decision.present(record, seen.pods) else Reason.POD_STARTING


def suspended(agent: Agent, record: AgentRecord, seen: Observation, problem: Reason | None) -> Verdict:
    """Suspended: stopped with the data safe; False says how far it is on the way."""
    if record.state is AgentState.RUNNING:
        return Status.FALSE, Reason.RUNNING
    why = _why_down(agent, record, problem)
    if record.state in AT_REST:
        at_rest = why is not Reason.POD_STARTING and why is not Reason.RESTORING
        return Status.TRUE if at_rest else Status.FALSE, why
    return Status.FALSE, _on_the_way(record, seen, problem)


def snapshot_ready(record: AgentRecord, problem: Reason | None) -> Verdict:
    """SnapshotReady: a verified snapshot exists, and no newer one is being made, or waits to be."""
    if problem is Reason.KEYS_UNAVAILABLE:
        return Status.FALSE, problem
    if record.state is AgentState.SNAPSHOTTING:
        return Status.FALSE, _moving(record)
    if record.state is AgentState.VERIFYING:
        return Status.FALSE, Reason.VERIFYING
    if record.state is AgentState.PURGED:
        return Status.FALSE, Reason.PURGED
    if record.snapshot is None:
        return Status.FALSE, Reason.NO_SNAPSHOT_YET
    return Status.TRUE, Reason.SNAPSHOT_VERIFIED


def volume_ready(record: AgentRecord, seen: Observation) -> Verdict:
    """VolumeReady, of an agent with storage: the claim of its data is there and bound."""
    if record.state is AgentState.RESTORING:
        return Status.FALSE, _moving(record)
    if record.state is AgentState.PURGED:
        return Status.FALSE, Reason.PURGED
    freed = record.state is AgentState.PURGE_PENDING and record.volume_uid is None
    if freed or record.state in (AgentState.ARCHIVED, AgentState.DELETED):
        return Status.FALSE, Reason.VOLUME_FREED
    if isinstance(seen.volumes, Unknown):
        return UNREADABLE
    volume = decision.current_volume(record, seen.volumes)
    # A claim that is being deleted goes with the next stop of the pod: say so while something can still be done.
    if decision.volume_lost(record, seen.volumes) or (volume is not None and volume.deleting):
        return Status.FALSE, Reason.VOLUME_LOST
    if volume is None or not volume.bound:
        return Status.FALSE, Reason.VOLUME_PENDING
    kept = record.state in (AgentState.SUSPENDED, AgentState.PURGE_PENDING)
    return Status.TRUE, Reason.VOLUME_KEPT if kept else Reason.VOLUME_BOUND


def purge_at(record: AgentRecord) -> datetime | None:
    """When the agent's data is deleted at the earliest, while that counts down."""
    known = [moment for moment in (record.grace.ends_at, record.grace.purge_after) if moment is not None]
    return max(known, default=None)


def _of_pod(pod: PodView) -> Verdict:
    if pod.node is not None and not pod.node_ready:
        return Status.UNKNOWN, Reason.NODE_UNREACHABLE
    if pod.phase is PodPhase.UNKNOWN:
        return UNREADABLE
    if pod.deleting or pod.phase in (PodPhase.FAILED, PodPhase.SUCCEEDED):
        return Status.FALSE, Reason.POD_REPLACED
    return (Status.TRUE, Reason.POD_READY) if pod.ready else (Status.FALSE, _not_ready(pod))


def _not_ready(pod: PodView) -> Reason:
    if pod.unschedulable:
        return Reason.UNSCHEDULABLE
    if pod.gate_refused:
        return Reason.NETWORK_POLICY_NOT_ENFORCED
    if pod.waiting_reason is not None:
        return WAITING.get(pod.waiting_reason, Reason.POD_STARTING)
    return Reason.POD_NOT_READY if pod.phase is PodPhase.RUNNING else Reason.POD_STARTING


def _not_running(agent: Agent, record: AgentRecord, seen: Observation, problem: Reason | None) -> Verdict:
    if record.state in AT_REST:
        return Status.FALSE, _why_down(agent, record, problem)
    why = _on_the_way(record, seen, problem)
    return Status.UNKNOWN if why is Reason.NODE_UNREACHABLE else Status.FALSE, why


def _why_down(agent: Agent, record: AgentRecord, problem: Reason | None) -> Reason:
    """Why an agent at rest stays there; the money's reason first, because the tenant's own wish cannot clear it."""
    if agent.metadata.deleting or record.state is AgentState.DELETED:
        return Reason.DELETING
    if record.state is AgentState.PURGED:
        return Reason.PURGED
    if record.state is AgentState.PURGE_PENDING:
        return Reason.PURGE_PENDING
    if record.veto is not None:
        return Reason(record.veto.value)
    if record.user_paused:
        return Reason.USER_REQUESTED
    if problem is not None:
        return problem
    return Reason.RESTORING if record.state is AgentState.ARCHIVED else Reason.POD_STARTING


def _on_the_way(record: AgentRecord, seen: Observation, problem: Reason | None) -> Reason:
    if problem is Reason.KEYS_UNAVAILABLE:
        return problem
    match record.state:
        case AgentState.SNAPSHOTTING | AgentState.RESTORING:
            return _moving(record)
        case AgentState.VERIFYING:
            return Reason.VERIFYING
        case _:
            return _draining(record, seen)


def _draining(record: AgentRecord, seen: Observation) -> Reason:
    if isinstance(seen.pods, Unknown) or isinstance(seen.volumes, Unknown):
        return Reason.DRAINING
    pods = decision.present(record, seen.pods)
    if any(pod.node is not None and not pod.node_ready for pod in pods):
        return Reason.NODE_UNREACHABLE
    stuck = not pods and record.pod_uid is None and decision.volume_lost(record, seen.volumes)
    return Reason.VOLUME_LOST if stuck else Reason.DRAINING


def _moving(record: AgentRecord) -> Reason:
    """How far a snapshot or restore is; what failed before is told rather than that it waits again."""
    attempt = record.attempt
    waits = attempt is not None and attempt.state is AttemptState.CREATED and attempt.granted_at is None
    if record.state is AgentState.RESTORING:
        return Reason.RESTORE_FAILED if _failed(record) else Reason.RESTORE_QUEUED if waits else Reason.RESTORING
    return Reason.SNAPSHOT_FAILED if _failed(record) else Reason.SNAPSHOT_QUEUED if waits else Reason.SNAPSHOTTING


def _failed(record: AgentRecord) -> bool:
    # Failures count until one attempt succeeds: the reason does not flap between one try and the next.
    return record.failures > 0 or (record.attempt is not None and record.attempt.state is AttemptState.FAILED)
