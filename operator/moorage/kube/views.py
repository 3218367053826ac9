"""From what the server says of a pod, claim or job to what the rest of the house sees of it; pure."""

from datetime import datetime

from moorage.kube import ends
from moorage.kube.objects import ContainerStatus, Job, Live, Owner, Pod
from moorage.model import quantity
from moorage.model.names import CORE_NAMESPACE_PREFIX, GATE_CONTAINER, GROUP, LABEL_TENANT_UID, Key, PodUid
from moorage.model.observation import JobOutcome, JobView, PodPhase, PodView, VolumeView

AGENT_CONTAINER = "agent"
JOB_PREFIX = "mover-"  # names.mover_job
NO_CONTAINER = ContainerStatus(name=AGENT_CONTAINER)

BYTES_PER_MIB = 1 << 20
ENFORCED = "pod-security.kubernetes.io/enforce"
# Said by the scheduler of a claim that waits for its first pod; a volume that is bound at once has no such word.
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def agent_container(pod: Pod) -> ContainerStatus:
    """The agent's container; what else runs in the pod is not the agent."""
    for status in pod.status.container_statuses:
        if status.name == AGENT_CONTAINER:
            return status
    return NO_CONTAINER


def start_of(pod: Pod) -> datetime | None:
    """The earliest start of the container that this state still shows."""
    status = agent_container(pod)
    runs = (status.state.running, status.state.terminated, status.last_state.terminated)
    starts = [ends.real(run.started_at) for run in runs if run is not None]
    return min((start for start in starts if start is not None), default=None)


def end_of(pod: Pod) -> datetime | None:
    """When the container stopped, if it does not run in this state."""
    status = agent_container(pod)
    if status.state.running is not None:
        return None
    run = status.state.terminated or status.last_state.terminated
    return ends.real(run.finished_at) if run is not None else None


def final_end_of(pod: Pod) -> datetime | None:
    """When the container stopped for good: nothing will start it again in this pod."""
    over = pod.status.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)
    if over or pod.metadata.deleting or pod.spec.restart_policy == "Never":
        return end_of(pod)
    return None


def waiting_reason(pod: Pod) -> str | None:
    """Why the container does not run, in the kubelet's words."""
    waiting = agent_container(pod).state.waiting
    return (waiting.reason or None) if waiting is not None else None


def gate_refused(pod: Pod) -> bool:
    """Whether the gate before the agent gave up on the network, and has not opened since."""
    for status in pod.status.init_container_statuses:
        ended = status.state.terminated or status.last_state.terminated
        if status.name == GATE_CONTAINER and ended is not None:
            return ended.exit_code != 0
    return False


def is_ready(pod: Pod) -> bool:
    """Whether the pod passes its readiness probe."""
    return any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions)


def is_unschedulable(pod: Pod) -> bool:
    """Whether the scheduler found no node."""
    return any(
        item.type == "PodScheduled" and item.status == "False" and item.reason == "Unschedulable"
        for item in pod.status.conditions
    )


def matters(pod: Pod) -> tuple[object, ...]:
    """What a reconcile cares about; a pod that differs only elsewhere rings nothing."""
    return (
        pod.status.phase,
        is_ready(pod),
        pod.metadata.deleting,
        waiting_reason(pod),
        gate_refused(pod),
        agent_container(pod).container_id,
        final_end_of(pod),
        is_unschedulable(pod),
        ends.last_exit(pod, agent_container(pod)),
        pod.metadata.annotations.spec_hash,
    )


def pod_view(pod: Pod, *, started_at: datetime | None, node_ready: bool, node_lost: bool = False) -> PodView:
    """A pod as the lifecycle sees it."""
    status = agent_container(pod)
    return PodView(
        name=pod.metadata.name,
        uid=PodUid(pod.metadata.uid),
        phase=PodPhase(pod.status.phase),
        ready=is_ready(pod),
        deleting=pod.metadata.deleting,
        node=pod.spec.node_name,
        node_ready=node_ready,
        node_lost=node_lost,
        spec_hash=pod.metadata.annotations.spec_hash,
        container_id=status.container_id or None,
        started_at=started_at,
        ended_at=final_end_of(pod),
        waiting_reason=waiting_reason(pod),
        gate_refused=gate_refused(pod),
        unschedulable=is_unschedulable(pod),
        restarts=status.restart_count,
        last_exit=ends.last_exit(pod, status),
        image_id=status.image_id or None,
    )


def volume_matters(claim: Live) -> tuple[object, ...]:
    """What a reconcile cares about; the binder's annotations and volume name are not among it."""
    spec = claim.spec or {}
    return (is_bound(claim), capacity_mib(claim), claim.metadata.deleting, claim.metadata.labels, spec.get("resources"))


def is_bound(claim: Live) -> bool:
    """Whether the claim has its volume."""
    return (claim.status or {}).get("phase") == "Bound"


def capacity_mib(claim: Live) -> int | None:
    """Whole MiB of the claim's volume, at least one; None while it has none."""
    said = ((claim.status or {}).get("capacity") or {}).get("storage")
    size_bytes = quantity.number(said) if is_bound(claim) else None
    return None if size_bytes is None else max(1, int(size_bytes) // BYTES_PER_MIB)


def node_of(claim: Live) -> str | None:
    """The node a claim was given its volume for; None when nobody says."""
    return claim.metadata.annotations.get(SELECTED_NODE)


def volume_view(claim: Live, *, node_lost: bool = False) -> VolumeView:
    """A claim as the lifecycle sees it."""
    return VolumeView(
        name=claim.metadata.name,
        uid=claim.metadata.uid,
        bound=is_bound(claim),
        deleting=claim.metadata.deleting,
        mib=capacity_mib(claim),
        node=node_of(claim),
        node_lost=node_lost,
        storage_class=(claim.spec or {}).get("storageClassName"),
    )


def job_matters(job: Job) -> tuple[object, ...]:
    """What a reconcile cares about."""
    return (outcome(job), job.metadata.deleting)


def outcome(job: Job) -> JobOutcome:
    """How a Job stands."""
    if job.status.is_true("Complete"):
        return JobOutcome.SUCCEEDED
    if job.status.is_true("Failed"):
        return JobOutcome.FAILED
    return JobOutcome.ACTIVE


def job_view(job: Job) -> JobView:
    """A mover Job as the lifecycle sees it; the attempt comes from the name, which nobody can edit."""
    return JobView(
        name=job.metadata.name,
        uid=job.metadata.uid,
        attempt_id=job.metadata.name.removeprefix(JOB_PREFIX),
        outcome=outcome(job),
        deleting=job.metadata.deleting,
    )


def shelters(core: Live | None, denial: Live | None, tenant_uid: str) -> bool:
    """Whether a core namespace is this tenant's and closed: restricted pods only, nothing in, nothing out."""
    if core is None or denial is None or core.metadata.deleting:
        return False
    labels, closed = core.metadata.labels, denial.spec or {}
    return (
        labels.get(LABEL_TENANT_UID) == tenant_uid
        and labels.get(ENFORCED) == "restricted"
        and not closed.get("podSelector")
        and {"Ingress", "Egress"} <= set(closed.get("policyTypes") or ())
        and not (closed.get("ingress") or closed.get("egress"))
    )


def owner_key(owner: Owner | None, namespace: str, name: str) -> Key | None:
    """Whose reconcile a child belongs to: its controller's, if that is one of our kinds."""
    if owner is not None and owner.api_version.partition("/")[0] == GROUP:
        return Key(owner.kind, namespace if owner.kind in ("Agent", "Domain") else "", owner.name)
    if owner is None and not namespace and name.startswith(CORE_NAMESPACE_PREFIX):
        return Key("Namespace", "", name.removeprefix(CORE_NAMESPACE_PREFIX))
    return None
