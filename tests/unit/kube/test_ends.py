"""How a pod or its container ended, told in words of ours; what the kubelet writes beside them is left behind."""

from typing import Any

import msgspec
import pytest

from moorage.kube import views
from moorage.kube.objects import Pod
from moorage.model.exits import Exit, ExitReason

STARTED, FINISHED = "2026-06-01T10:00:05Z", "2026-06-01T10:00:09Z"
DELETING = {"deletionTimestamp": FINISHED}
EVICTION = "The node was low on resource: memory. Container agent was using 300Mi, request is 256Mi."
OWN_LIMITS = (
    'Usage of EmptyDir volume "tmp" exceeds the limit "256Mi". ',
    'Container agent exceeded its local ephemeral storage limit "1Gi". ',
    "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
)


def terminated(reason: str | None = "Error", code: int = 1) -> dict[str, Any]:
    run: dict[str, Any] = {"startedAt": STARTED, "finishedAt": FINISHED, "exitCode": code}
    return {"terminated": run if reason is None else run | {"reason": reason, "message": "tenant's own words"}}


def pod(state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, **parts: Any) -> Pod:
    metadata = {"name": "a-1", "uid": "u", **parts.pop("metadata", {})}
    container = {"name": "agent", "restartCount": 1, "state": state or {}, "lastState": last or {}}
    status = {"phase": "Running", "containerStatuses": [container], **parts}
    return msgspec.convert({"metadata": metadata, "status": status}, Pod, strict=False)


def last_exit(seen: Pod) -> Exit | None:
    return views.pod_view(seen, started_at=None, node_ready=True).last_exit


@pytest.mark.parametrize(
    ("reason", "code", "expected"),
    [
        ("Completed", 0, ExitReason.COMPLETED),
        ("Error", 1, ExitReason.ERROR),
        ("OOMKilled", 137, ExitReason.OOM_KILLED),
        ("ContainerCannotRun", 127, ExitReason.CONTAINER_CANNOT_RUN),
        ("StartError", 128, ExitReason.CONTAINER_CANNOT_RUN),
        ("DeadlineExceeded", 143, ExitReason.DEADLINE_EXCEEDED),
        ("ContainerStatusUnknown", 137, ExitReason.UNKNOWN),
        ("a new word of the kubelet", 3, ExitReason.UNKNOWN),
        (None, 0, ExitReason.COMPLETED),
        (None, 3, ExitReason.ERROR),
    ],
)
def test_an_end_of_the_container_has_one_of_our_reasons(reason: str | None, code: int, expected: ExitReason) -> None:
    for seen in (pod(terminated(reason, code)), pod({"waiting": {}}, terminated(reason, code))):
        found = last_exit(seen)
        assert found is not None
        assert (found.reason, found.code, found.ran_seconds) == (expected, code, 4)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_without_a_word_of_its_container_still_ended(phase: str) -> None:
    found = last_exit(pod(phase=phase, reason="Evicted", message=EVICTION))
    assert found == Exit(reason=ExitReason.EVICTED, code=None, at=None, ran_seconds=None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({"reason": "Evicted", "message": EVICTION}, ExitReason.EVICTED, id="the node was short of memory"),
        pytest.param({"reason": "Evicted"}, ExitReason.EVICTED, id="evicted without a word"),
        pytest.param({"reason": "OutOfcpu"}, ExitReason.EVICTED, id="the node did not take it"),
        pytest.param({"reason": "Terminated"}, ExitReason.EVICTED, id="the node was shut down"),
        pytest.param({"reason": "DeadlineExceeded"}, ExitReason.DEADLINE_EXCEEDED, id="deadline"),
        pytest.param({}, ExitReason.ERROR, id="only its container ended"),
        *(
            pytest.param({"reason": "Evicted", "message": text}, ExitReason.EPHEMERAL_STORAGE_FULL, id=text.split()[0])
            for text in OWN_LIMITS
        ),
    ],
)
def test_an_end_of_the_pod_goes_before_that_of_its_container(said: dict[str, str], expected: ExitReason) -> None:
    found = last_exit(pod(terminated(), phase="Failed", **said))
    assert found is not None
    assert found.reason is expected


def test_a_container_that_could_not_be_started_did_not_run() -> None:
    never = {"startedAt": "1970-01-01T00:00:00Z", "finishedAt": FINISHED, "exitCode": 128, "reason": "StartError"}
    found = last_exit(pod({"waiting": {"reason": "RunContainerError"}}, {"terminated": never}))
    assert found is not None
    assert (found.reason, found.ran_seconds) == (ExitReason.CONTAINER_CANNOT_RUN, None)
    assert found.at is not None


def test_a_container_that_is_stopped_with_its_pod_did_not_end_by_itself() -> None:
    assert last_exit(pod(terminated("Error", 143), metadata=DELETING)) is None
    assert last_exit(pod({"running": {"startedAt": STARTED}})) is None


def test_an_evicted_pod_that_is_being_deleted_is_still_an_evicted_one() -> None:
    found = last_exit(pod(terminated(), phase="Failed", reason="Evicted", metadata=DELETING))
    assert found is not None
    assert found.reason is ExitReason.EVICTED


def test_an_end_is_news() -> None:
    running = pod({"running": {"startedAt": STARTED}})
    assert views.matters(running) != views.matters(pod(terminated()))
