"""What the house sees of pods, claims and jobs."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from moorage.kube import views
from moorage.kube.objects import Job, Live, Owner, Pod
from moorage.model.names import Key
from moorage.model.observation import JobOutcome

AT = "2026-06-01T10:00:{:02d}Z"


def at(second: int) -> datetime:
    """A moment of the tests."""
    return datetime(2026, 6, 1, 10, 0, second, tzinfo=UTC)


def pod(container: dict[str, Any] | None = None, *, name: str = "agent", **parts: Any) -> Pod:
    """A pod whose container has this status."""
    status: dict[str, Any] = {"phase": "Running", **parts.pop("status", {})}
    if container is not None:
        status["containerStatuses"] = [{"name": name, "restartCount": 0, **container}]
    metadata = {"name": "a-1", "namespace": "mn-a", "uid": "u", "resourceVersion": "1", **parts.pop("metadata", {})}
    return msgspec.convert({"metadata": metadata, "status": status, **parts}, Pod, strict=False)


RUNNING = {"state": {"running": {"startedAt": AT.format(5)}}}
TERMINATED = {"state": {"terminated": {"startedAt": AT.format(5), "finishedAt": AT.format(9)}}}
WAITING_AGAIN = {
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"startedAt": AT.format(5), "finishedAt": AT.format(9)}},
}
RESTARTED = {
    "restartCount": 1,
    "state": {"running": {"startedAt": AT.format(20)}},
    "lastState": {"terminated": {"startedAt": AT.format(5), "finishedAt": AT.format(9)}},
}
NEVER_BEGAN = {
    "state": {"waiting": {"reason": "RunContainerError"}},
    "lastState": {"terminated": {"startedAt": "1970-01-01T00:00:00Z", "finishedAt": AT.format(9), "exitCode": 128}},
}
NEVER_AGAIN = {**NEVER_BEGAN, "state": {"running": {"startedAt": AT.format(5)}}}
DELETING = {"deletionTimestamp": AT.format(8)}

# what, start shown, end shown, final end
TIMES = {
    "it has not started": (pod(), None, None, None),
    "it runs": (pod(RUNNING), at(5), None, None),
    "it ended and will be restarted": (pod(TERMINATED), at(5), at(9), None),
    "it ended and the pod is being deleted": (pod(TERMINATED, metadata=DELETING), at(5), at(9), at(9)),
    "it runs though the pod is being deleted": (pod(RUNNING, metadata=DELETING), at(5), None, None),
    "it ended and the pod with it": (pod(TERMINATED, status={"phase": "Failed"}), at(5), at(9), at(9)),
    "it is never restarted": (pod(TERMINATED, spec={"restartPolicy": "Never"}), at(5), at(9), at(9)),
    "it waits to be restarted": (pod(WAITING_AGAIN), at(5), at(9), None),
    "it was restarted": (pod(RESTARTED), at(5), None, None),
    "it could not be started": (pod(NEVER_BEGAN), None, at(9), None),
    "it could not be started again": (pod(NEVER_AGAIN), at(5), None, None),
    "another container ran": (pod(TERMINATED, name="sidecar", metadata=DELETING), None, None, None),
}


@pytest.mark.parametrize(("state", "start", "end", "final"), TIMES.values(), ids=TIMES.keys())
def test_times_of_the_container_when(
    state: Pod, start: datetime | None, end: datetime | None, final: datetime | None
) -> None:
    assert (views.start_of(state), views.end_of(state), views.final_end_of(state)) == (start, end, final)


def test_pod_view_shows_what_the_kubelet_and_the_scheduler_said() -> None:
    conditions = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        {"type": "Ready", "status": "True"},
    ]
    container = {**WAITING_AGAIN, "containerID": "containerd://c", "imageID": "image@sha256:1"}
    state = pod(
        container,
        status={"conditions": conditions, "phase": "Pending"},
        spec={"nodeName": "n"},
        metadata={"annotations": {"moorage.dev/spec-hash": "h", "other": "x"}},
    )
    seen = views.pod_view(state, started_at=at(1), node_ready=True)
    assert (seen.waiting_reason, seen.unschedulable, seen.ready, seen.restarts) == ("CrashLoopBackOff", True, True, 3)
    assert (seen.node, seen.node_ready, seen.spec_hash) == ("n", True, "h")
    assert (seen.container_id, seen.image_id, seen.started_at) == ("containerd://c", "image@sha256:1", at(1))


def test_heartbeat_of_a_pod_does_not_matter() -> None:
    before = {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": AT.format(1)}
    after = {**before, "lastTransitionTime": AT.format(2)}
    seen = [pod(RUNNING, status={"conditions": [item]}, metadata={"labels": {"x": str(n)}, "resourceVersion": str(n)})
            for n, item in enumerate((before, after))]  # fmt: skip
    assert views.matters(seen[0]) == views.matters(seen[1])


MATTERS = {
    "it became ready": (pod(RUNNING), pod(RUNNING, status={"conditions": [{"type": "Ready", "status": "True"}]})),
    "it is being deleted": (pod(RUNNING), pod(RUNNING, metadata=DELETING)),
    "its container was replaced": (pod({**RUNNING, "containerID": "1"}), pod({**RUNNING, "containerID": "2"})),
    "its image cannot be pulled": (
        pod({"state": {"waiting": {"reason": "ContainerCreating"}}}),
        pod({"state": {"waiting": {"reason": "ErrImagePull"}}}),
    ),
    "its phase changed": (pod(TERMINATED), pod(TERMINATED, status={"phase": "Failed"})),
}


@pytest.mark.parametrize(("before", "after"), MATTERS.values(), ids=MATTERS.keys())
def test_pod_matters_when(before: Pod, after: Pod) -> None:
    assert views.matters(before) != views.matters(after)


OUTCOMES = {
    "nothing is said": ([], JobOutcome.ACTIVE),
    "it is complete": ([{"type": "Complete", "status": "True"}], JobOutcome.SUCCEEDED),
    "it failed": ([{"type": "Failed", "status": "True"}], JobOutcome.FAILED),
    "it is about to fail": ([{"type": "FailureTarget", "status": "True"}], JobOutcome.ACTIVE),
    "it is not failed": ([{"type": "Failed", "status": "False"}], JobOutcome.ACTIVE),
}


@pytest.mark.parametrize(("conditions", "outcome"), OUTCOMES.values(), ids=OUTCOMES.keys())
def test_outcome_of_a_job_when(conditions: list[dict[str, str]], outcome: JobOutcome) -> None:
    job = msgspec.convert({"metadata": {"name": "mover-1"}, "status": {"conditions": conditions}}, Job, strict=False)
    seen = views.job_view(job)
    assert (seen.outcome, seen.attempt_id) == (outcome, "1")


def test_binding_of_a_claim_is_the_only_news_of_its_binder() -> None:
    def claim(phase: str, **spec: str) -> Live:
        return msgspec.convert({"metadata": {"name": "d"}, "spec": spec, "status": {"phase": phase}}, Live)

    assert views.volume_matters(claim("Pending")) == views.volume_matters(claim("Pending", volumeName="pv-1"))
    assert views.volume_matters(claim("Pending")) != views.volume_matters(claim("Bound"))
    assert views.volume_view(claim("Bound")).bound


@pytest.mark.parametrize(
    ("phase", "capacity", "mib"),
    [
        ("Bound", "1Gi", 1024),
        ("Bound", "1536Mi", 1536),
        ("Bound", "1.5Gi", 1536),
        ("Bound", "10G", 9536),
        ("Bound", "1073741824", 1024),
        ("Bound", "1e9", 953),
        ("Bound", "2Ti", 2 * 1024 * 1024),
        ("Bound", "500k", 1),
        ("Bound", "a lot", None),
        ("Bound", None, None),
        ("Pending", "1Gi", None),
    ],
)
def test_a_volume_has_the_size_that_its_claim_was_given(phase: str, capacity: str | None, mib: int | None) -> None:
    status = {"phase": phase, "capacity": {"storage": capacity}}
    claim = msgspec.convert({"metadata": {"name": "d"}, "status": status}, Live)
    assert views.volume_view(claim).mib == mib


@pytest.mark.parametrize("node", ["node-a", None])
def test_a_volume_is_where_the_scheduler_put_its_first_pod(node: str | None) -> None:
    annotations = {} if node is None else {"volume.kubernetes.io/selected-node": node}
    claim = msgspec.convert({"metadata": {"name": "d", "annotations": annotations}}, Live)
    assert views.volume_view(claim).node == node


OURS = "moorage.dev/v1alpha1"
KEYS = {
    "an agent's child": (Owner("u", OURS, "Agent", "a", True), "mn-x", "p", Key("Agent", "mn-x", "a")),
    "a tenant's child": (Owner("u", OURS, "Namespace", "x", True), "mn-x", "q", Key("Namespace", "", "x")),
    "a job's pod": (Owner("u", "batch/v1", "Job", "mover-1", True), "mn-x", "p", None),
    "a kind of the same name elsewhere": (Owner("u", "moorage.dev.evil/v1", "Agent", "a", True), "mn-x", "p", None),
    "a core namespace without owner": (None, "", "mn-x", Key("Namespace", "", "x")),
    "somebody's namespace": (None, "", "kube-system", None),
    "an orphan": (None, "mn-x", "p", None),
}


@pytest.mark.parametrize(("owner", "namespace", "name", "key"), KEYS.values(), ids=KEYS.keys())
def test_bell_that_rings_for(owner: Owner | None, namespace: str, name: str, key: Key | None) -> None:
    assert views.owner_key(owner, namespace, name) == key


ENDED = {"terminated": {"exitCode": 1}}
GATES: dict[str, tuple[dict[str, Any], bool]] = {
    "it runs": ({"state": {"running": {}}}, False),
    "it has opened": ({"state": {"terminated": {"exitCode": 0}}}, False),
    "it gave up": ({"state": ENDED}, True),
    "it gave up and runs again": ({"state": {"running": {}}, "lastState": ENDED}, True),
    "it gave up and waits": ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ENDED}, True),
    "it gave up once and has opened since": (
        {"state": {"terminated": {"exitCode": 0}}, "lastState": ENDED},
        False,
    ),
}


@pytest.mark.parametrize(("status", "refused"), GATES.values(), ids=GATES.keys())
def test_gate_has_refused_exactly_when_its_last_word_is_no(status: dict[str, Any], refused: bool) -> None:
    waits = {"phase": "Pending", "initContainerStatuses": [{"name": "gate", **status}]}
    seen = pod({"state": {"waiting": {"reason": "PodInitializing"}}}, status=waits)
    assert views.pod_view(seen, started_at=None, node_ready=True).gate_refused is refused
    assert (views.matters(seen) != views.matters(pod({"state": {"waiting": {"reason": "PodInitializing"}}},
                                                     status={"phase": "Pending"}))) is refused  # fmt: skip
