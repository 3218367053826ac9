"""What keeps an agent from running here, and which edits need a new incarnation."""

from typing import Any

import pytest

from moorage.desired import agent as desired
from moorage.model.agent import Agent
from moorage.model.errors import Permanent
from moorage.model.offer import SizeClass
from moorage.model.reasons import Reason
from tests import factories

IMAGE = "registry.example.com/acme/bot@sha256:1"
FULL: dict[str, Any] = {
    "image": IMAGE,
    "size": "small",
    "command": ["python"],
    "args": ["-v"],
    "env": [{"name": "LEVEL", "value": "info"}, {"name": "KEY", "secretKeyRef": {"name": "model", "key": "key"}}],
    "files": {"greeting.txt": "Hello"},
    "storage": {"size": "1Gi"},
    "http": {"port": 8080},
}


def pod_of(agent: Agent, **arguments: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"volume_generation": 1, "incarnation": 1, "platform": factories.platform()}
    *_, pod = desired.children(agent, with_pod=True, **base | arguments)
    assert pod["kind"] == "Pod"
    return pod


def spec_hash(**changes: Any) -> str:
    return desired.pod_hash(factories.agent(**FULL | changes), factories.platform())


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({}, None, id="a runtime of the platform"),
        pytest.param({"image": IMAGE}, None, id="an image of an allowed registry"),
        pytest.param({"runtime": "nope"}, Reason.RUNTIME_UNKNOWN, id="a runtime nobody offers"),
        pytest.param({"size": "huge"}, Reason.SIZE_UNKNOWN, id="a size nobody offers"),
        pytest.param({"size": "huge", "runtime": "nope"}, Reason.SIZE_UNKNOWN, id="the first problem counts"),
        pytest.param({"image": "docker.io/acme/bot"}, Reason.IMAGE_NOT_ALLOWED, id="another registry"),
        pytest.param({"image": "registry.example.com.evil/bot"}, Reason.IMAGE_NOT_ALLOWED, id="a longer host"),
        pytest.param({"image": "registry.example.com"}, Reason.IMAGE_NOT_ALLOWED, id="only the host"),
        pytest.param({"image": IMAGE, "runtime": "chatbot"}, Reason.SPEC_INVALID, id="both image and runtime"),
        pytest.param({"runtime": None}, Reason.SPEC_INVALID, id="neither image nor runtime"),
    ],
)
def test_check_names_the_first_problem(spec: dict[str, Any], reason: Reason | None) -> None:
    assert desired.check(factories.agent(**spec), factories.platform()) is reason


def test_image_raises_the_same_reason_that_check_names() -> None:
    with pytest.raises(Permanent) as refused:
        desired.image(factories.agent(image="docker.io/acme/bot"), factories.platform())
    assert refused.value.reason is Reason.IMAGE_NOT_ALLOWED


def test_a_runtime_runs_the_platforms_image_whatever_is_allowed() -> None:
    assert desired.image(factories.agent(), factories.platform(allowed_images=())) == "localhost/moorage-agent:dev"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"image": IMAGE + "2"}, id="image"),
        pytest.param({"command": ["node"]}, id="command"),
        pytest.param({"command": []}, id="no command"),
        pytest.param({"args": ["-q"]}, id="args"),
        pytest.param({"env": FULL["env"][::-1]}, id="order of env, which later entries may refer to"),
        pytest.param({"env": [{"name": "LEVEL", "value": "debug"}]}, id="env"),
        pytest.param({"files": {"greeting.txt": "Bye"}}, id="content of a file"),
        pytest.param({"files": {}}, id="no files"),
        pytest.param({"storage": None}, id="no storage"),
        pytest.param({"http": {"port": 8081}}, id="port"),
        pytest.param({"http": {"port": 8080, "healthPath": "/ready"}}, id="health path"),
        pytest.param({"http": None}, id="no http"),
    ],
)
def test_pod_hash_changes_when_the_pod_must_be_replaced(changes: dict[str, Any]) -> None:
    assert spec_hash(**changes) != spec_hash()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"desiredState": "Suspended"}, id="desired state"),
        pytest.param({"storage": {"size": "2Gi"}}, id="size of the volume"),
        pytest.param({"http": {"port": 8080, "healthPath": "/healthz"}}, id="a default written out"),
        pytest.param({"files": dict(FULL["files"])}, id="nothing"),
    ],
)
def test_pod_hash_stays_when_the_pod_may_stay(changes: dict[str, Any]) -> None:
    assert spec_hash(**changes) == spec_hash()


def test_pod_hash_changes_with_what_the_size_class_gives_but_not_with_its_price() -> None:
    agent = factories.agent()
    before = desired.pod_hash(agent, factories.platform())
    bigger = factories.platform(sizes={"small": SizeClass(cpu="1", memory="256Mi", rate_picos=10_000_000)})
    dearer = factories.platform(sizes={"small": SizeClass(cpu="250m", memory="256Mi", rate_picos=20_000_000)})
    assert desired.pod_hash(agent, bigger) != before
    assert desired.pod_hash(agent, dearer) == before


def test_pod_hash_changes_with_the_name_of_the_size_because_a_run_has_one_price() -> None:
    same = SizeClass(cpu="250m", memory="256Mi", rate_picos=1_000_000)
    offer = factories.platform(sizes={"small": same, "cheap": same})
    hashes = {desired.pod_hash(factories.agent(size=size), offer) for size in ("small", "cheap")}
    assert len(hashes) == 2


def test_pod_hash_is_on_the_pod_and_the_same_for_every_incarnation_and_volume() -> None:
    agent = factories.agent(**FULL)
    first, second = pod_of(agent), pod_of(agent, incarnation=2, volume_generation=3)
    expected = desired.pod_hash(agent, factories.platform())
    for pod in (first, second):
        assert pod["metadata"]["annotations"] == {"moorage.dev/spec-hash": expected}
    assert [pod["metadata"]["name"] for pod in (first, second)] == ["helper-1", "helper-2"]


def test_settings_of_the_platform_do_not_replace_running_pods() -> None:
    agent = factories.agent()
    moved = factories.platform(node_selector={"pool": "b"}, tolerations=({"key": "x", "operator": "Exists"},))
    assert desired.pod_hash(agent, moved) == desired.pod_hash(agent, factories.platform())


def test_children_come_in_the_order_in_which_a_pod_needs_them() -> None:
    made = desired.children(
        factories.agent(**FULL), volume_generation=1, incarnation=1, platform=factories.platform(), with_pod=True
    )
    assert [manifest["kind"] for manifest in made] == ["ConfigMap", "PersistentVolumeClaim", "Service", "Pod"]


def test_children_without_a_pod_need_neither_a_known_size_nor_a_known_image() -> None:
    agent = factories.agent(size="huge", image="docker.io/acme/bot", storage={"size": "1Gi"})
    made = desired.children(agent, volume_generation=2, incarnation=1, platform=factories.platform(), with_pod=False)
    assert [manifest["metadata"]["name"] for manifest in made] == ["data-helper-2"]


def test_service_reaches_only_pods_of_this_agent_and_no_mover() -> None:
    _, _, service = desired.children(
        factories.agent(**FULL), volume_generation=1, incarnation=1, platform=factories.platform(), with_pod=False
    )
    assert service["spec"]["selector"] == {
        "moorage.dev/component": "agent",
        "moorage.dev/agent-uid": factories.AGENT_UID,
        "moorage.dev/volume-generation": "1",
    }
    assert service["spec"]["selector"].items() <= pod_of(factories.agent(**FULL))["metadata"]["labels"].items()


def test_an_agent_without_http_has_neither_probes_nor_ports() -> None:
    (container,) = pod_of(factories.agent())["spec"]["containers"]
    assert not {"readinessProbe", "livenessProbe", "startupProbe", "ports"} & container.keys()


@pytest.mark.parametrize(
    ("floor_mib", "size"),
    [(0, "1Gi"), (1024, "1Gi"), (1025, "1154Mi"), (4096, "4609Mi")],
    ids=["nothing to hold", "it fits", "a byte more", "four times as much"],
)
def test_a_claim_holds_what_is_restored_into_it_and_at_least_what_was_ordered(floor_mib: int, size: str) -> None:
    made = desired.children(
        factories.agent(storage={"size": "1Gi"}), volume_generation=2, incarnation=1, platform=factories.platform(),
        with_pod=False, volume_floor_mib=floor_mib,
    )  # fmt: skip
    (claim,) = [item for item in made if item["kind"] == "PersistentVolumeClaim"]
    assert claim["spec"]["resources"]["requests"]["storage"] == size
