"""Conditions over the full product of states and observations, and the tables of single reasons."""

import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from moorage.lifecycle import conditions, verdicts
from moorage.model import clock
from moorage.model.agent import Agent
from moorage.model.conditions import ConditionType, Status
from moorage.model.domain_seen import DomainSeen
from moorage.model.messages import MESSAGES
from moorage.model.observation import UNKNOWN, Observation, PodPhase
from moorage.model.reasons import Reason
from moorage.model.record import AgentRecord, AgentState, AttemptState
from moorage.model.wallet import Standing, Veto
from tests import factories
from tests.factories import NOW, agent_record, attempt, observation, pod_view, snapshot_facts, volume_view

ROOT = Path(__file__).parents[3]
RATE_PICOS = 10_000_000
AT_REST = {
    AgentState.SUSPENDED,
    AgentState.ARCHIVED,
    AgentState.PURGE_PENDING,
    AgentState.PURGED,
    AgentState.DELETED,
}

PODS: dict[str, Any] = {
    "unknown": UNKNOWN,
    "none": (),
    "ready": (pod_view(),),
    "pending": (pod_view(phase=PodPhase.PENDING, ready=False, node=None, node_ready=False, container_id=None),),
    "not ready": (pod_view(ready=False),),
    "crashing": (pod_view(ready=False, waiting_reason="CrashLoopBackOff"),),
    "deleting": (pod_view(deleting=True),),
    "failed": (pod_view(phase=PodPhase.FAILED),),
    "silent node": (pod_view(node_ready=False),),
    "of an earlier incarnation": (pod_view(name="helper-0", uid="pod-0"),),
}
VOLUMES: dict[str, Any] = {
    "unknown": UNKNOWN,
    "none": (),
    "bound": (volume_view(),),
    "pending": (volume_view(bound=False),),
    "another uid": (volume_view(uid="volume-2"),),
    "deleting": (volume_view(deleting=True),),
}
AGENTS = {
    "plain": factories.agent(),
    "stored": factories.agent(storage={"size": "1Gi"}, http={"port": 8080}),
    "deleting": factories.agent(storage={"size": "1Gi"}, deleting=True),
}
ATTEMPTS = (None, attempt(state=AttemptState.FAILED))


def records(state: AgentState) -> Iterator[AgentRecord]:
    for veto, paused, failures, tried in itertools.product((False, True), (False, True), (0, 2), ATTEMPTS):
        for snapshot in (None, snapshot_facts()):
            yield agent_record(
                state=state,
                veto=Veto.ZERO_BALANCE if veto else None,
                user_paused=paused,
                failures=failures,
                attempt=tried,
                snapshot=snapshot,
                wallet=factories.wallet_facts(standing=Standing.EXHAUSTED if veto else Standing.LOW),
            )


def everything() -> Iterator[tuple[Agent, AgentRecord, Observation, Reason | None]]:
    seen = [observation(pods=pods, volumes=volumes) for pods in PODS.values() for volumes in VOLUMES.values()]
    for state, agent, problem in itertools.product(AgentState, AGENTS.values(), (None, Reason.SIZE_UNKNOWN)):
        for record in records(state):
            for look in seen:
                yield agent, record, look, problem


def status_of(
    record: AgentRecord | None = None,
    seen: Observation | None = None,
    *,
    agent: Agent | None = None,
    problem: Reason | None = None,
) -> dict[str, Any]:
    return conditions.agent_status(
        agent or AGENTS["stored"],
        record or agent_record(),
        seen or observation(),
        problem=problem,
        rate_picos=RATE_PICOS,
    )


def _of_a_domain_without_dns() -> dict[str, Any]:
    return conditions.domain_status(
        factories.domain(), None, DomainSeen(), problem=Reason.DNS_NOT_CONFIGURED, offer=None
    )


def said(status: dict[str, Any], kind: ConditionType = ConditionType.READY) -> str:
    (item,) = [item for item in status["conditions"] if item["type"] == kind]
    return f"{item['status']}/{item['reason']}"


def test_conditions_never_contradict_record_and_observation_whatever_they_are() -> None:
    count = 0
    for agent, record, seen, problem in everything():
        count += 1
        status = status_of(record, seen, agent=agent, problem=problem)
        by_type = {item["type"]: item for item in status["conditions"]}
        ready, suspended = by_type["Ready"], by_type["Suspended"]
        context = (record, seen, problem, status)
        if seen.pods is UNKNOWN:
            assert ready["status"] == "Unknown", context
        if ready["status"] == "True":
            assert record.state is AgentState.RUNNING, context
            assert seen.pods == PODS["ready"], context
            assert problem is None, context
        if suspended["status"] == "True":
            assert record.state in AT_REST, context
            assert ready["status"] != "True", context
        if record.state in AT_REST and (record.veto or record.user_paused):
            assert suspended["status"] == "True", context
        if by_type["VolumeReady"]["status"] == "True":
            assert seen.volumes in (VOLUMES["bound"],), context
        assert ("zeroAt" in status) == (record.state is AgentState.RUNNING), context
    assert count == len(AgentState) * 3 * 2 * 32 * 60


def test_every_status_fits_the_schema_of_the_kind() -> None:
    schema = status_schema("agents")
    distinct = {repr(status): status for status in (status_of(r, s, agent=a, problem=p) for a, r, s, p in sample())}
    for status in distinct.values():
        schema.validate(status)
    assert len(distinct) > 100
    status_schema("wallets").validate(
        conditions.wallet_status(factories.wallet(), factories.wallet_view(), problem=None)
    )
    tenant = conditions.tenant_status(factories.tenant(), problem=None, wallet=None, agents=(3, 1, 2))
    status_schema("namespaces").validate(tenant)
    status_schema("domains").validate(_of_a_domain_without_dns())


def sample() -> Iterator[tuple[Agent, AgentRecord, Observation, Reason | None]]:
    return itertools.islice(everything(), 0, None, 7)


def status_schema(plural: str) -> jsonschema.Draft202012Validator:
    """The status schema of a kind, closed: what is not in it would be dropped by the API server without a word."""
    crd = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["status"])
    # The applier adds it when it writes.
    schema["properties"]["conditions"]["items"]["required"].remove("lastTransitionTime")
    return jsonschema.Draft202012Validator(schema)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    if "properties" in schema:
        properties = {name: closed(item) for name, item in schema["properties"].items()}
        return schema | {"properties": properties, "additionalProperties": False}
    return schema | {"items": closed(schema["items"])} if "items" in schema else schema


def test_conditions_come_sorted_with_the_fixed_message_and_without_a_time() -> None:
    status = status_of(agent=factories.agent(storage={"size": "1Gi"}))
    kinds = [item["type"] for item in status["conditions"]]
    assert kinds == ["Funded", "Healthy", "Ready", "SnapshotReady", "Suspended", "VolumeReady"]
    for item in status["conditions"]:
        assert item.keys() == {"type", "status", "reason", "message", "observedGeneration"}
        assert item["message"] == MESSAGES[Reason(item["reason"])]
        assert item["observedGeneration"] == status["observedGeneration"] == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, "True/PodReady", id="ready"),
        pytest.param({"ready": False}, "False/PodNotReady", id="running but not ready"),
        pytest.param({"ready": False, "phase": PodPhase.PENDING}, "False/PodStarting", id="pending on a node"),
        pytest.param(
            {"ready": False, "phase": PodPhase.PENDING, "node": None, "node_ready": False},
            "False/PodStarting",
            id="not scheduled yet, so no node is silent",
        ),
        pytest.param(
            {"ready": False, "phase": PodPhase.PENDING, "node": None, "unschedulable": True},
            "False/Unschedulable",
            id="no node has room",
        ),
        *(
            pytest.param({"ready": False, "waiting_reason": waiting}, f"False/{reason}", id=waiting)
            for waiting, reason in [
                ("CrashLoopBackOff", "CrashLoop"),
                ("RunContainerError", "CrashLoop"),
                ("CreateContainerError", "CrashLoop"),
                ("ImagePullBackOff", "ImagePullFailed"),
                ("ErrImagePull", "ImagePullFailed"),
                ("ErrImageNeverPull", "ImagePullFailed"),
                ("InvalidImageName", "ImagePullFailed"),
                ("CreateContainerConfigError", "SecretNotFound"),
                ("ContainerCreating", "PodStarting"),
                ("PodInitializing", "PodStarting"),
                ("SomethingNew", "PodStarting"),
            ]
        ),
        pytest.param({"deleting": True}, "False/PodReplaced", id="ready but on its way out"),
        pytest.param({"phase": PodPhase.SUCCEEDED}, "False/PodReplaced", id="ended well"),
        pytest.param({"phase": PodPhase.FAILED}, "False/PodReplaced", id="evicted"),
        pytest.param({"phase": PodPhase.UNKNOWN}, "Unknown/StateUnknown", id="phase unknown"),
        pytest.param({"node_ready": False}, "Unknown/NodeUnreachable", id="silent node"),
        pytest.param({"node_ready": False, "deleting": True}, "Unknown/NodeUnreachable", id="deleting, silent node"),
    ],
)
def test_ready_follows_the_pod_of_this_incarnation(changes: dict[str, Any], expected: str) -> None:
    assert said(status_of(seen=observation(pods=(pod_view(**changes),)))) == expected


def test_ready_is_not_taken_from_a_pod_of_another_incarnation() -> None:
    status = status_of(agent_record(incarnation=2))
    assert said(status) == "False/PodReplaced"
    assert "podName" not in status


@pytest.mark.parametrize(
    ("record", "seen", "problem", "expected"),
    [
        pytest.param({}, {"pods": ()}, None, "False/PodStarting", id="no pod yet"),
        pytest.param({}, {"pods": (), "volumes": ()}, None, "False/VolumeLost", id="its volume vanished"),
        pytest.param({"volume_uid": None}, {"pods": (), "volumes": ()}, None, "False/PodStarting", id="a new agent"),
        pytest.param({}, {"pods": ()}, Reason.QUOTA_EXCEEDED, "False/QuotaExceeded", id="the cluster refused"),
        pytest.param({}, {}, Reason.SIZE_UNKNOWN, "False/SizeUnknown", id="a bad edit, while the old pod runs on"),
        pytest.param({}, {"pods": UNKNOWN}, Reason.SIZE_UNKNOWN, "Unknown/StateUnknown", id="nothing was read"),
    ],
)
def test_ready_names_what_is_in_the_way(
    record: dict[str, Any], seen: dict[str, Any], problem: Reason | None, expected: str
) -> None:
    assert said(status_of(agent_record(**record), observation(**seen), problem=problem)) == expected


DOWN = {"pods": (), "volumes": (volume_view(),)}
FAILED_TRY = {"failures": 1, "attempt": attempt(state=AttemptState.FAILED)}


@pytest.mark.parametrize(
    ("record", "seen", "suspended", "ready"),
    [
        ({"state": "Running"}, {}, "False/Running", "True/PodReady"),
        ({"state": "Draining"}, {}, "False/Draining", "False/Draining"),
        (
            {"state": "Draining"},
            {"pods": PODS["silent node"]},
            "False/NodeUnreachable",
            "Unknown/NodeUnreachable",
        ),
        ({"state": "Draining", "pod_uid": None}, {"pods": (), "volumes": ()}, "False/VolumeLost", "False/VolumeLost"),
        ({"state": "Snapshotting"}, DOWN, "False/Snapshotting", "False/Snapshotting"),
        ({"state": "Snapshotting", **FAILED_TRY}, DOWN, "False/SnapshotFailed", "False/SnapshotFailed"),
        ({"state": "Snapshotting", "failures": 1}, DOWN, "False/SnapshotFailed", "False/SnapshotFailed"),
        ({"state": "Verifying"}, DOWN, "False/Verifying", "False/Verifying"),
        ({"state": "Suspended", "veto": Veto.ZERO_BALANCE}, DOWN, "True/ZeroBalance", "False/ZeroBalance"),
        ({"state": "Suspended", "user_paused": True}, DOWN, "True/UserRequested", "False/UserRequested"),
        (
            {"state": "Suspended", "veto": Veto.ZERO_BALANCE, "user_paused": True},
            DOWN,
            "True/ZeroBalance",
            "False/ZeroBalance",
        ),
        ({"state": "Suspended"}, DOWN, "False/PodStarting", "False/PodStarting"),
        ({"state": "Archived", "veto": Veto.ZERO_BALANCE}, DOWN, "True/ZeroBalance", "False/ZeroBalance"),
        ({"state": "Archived"}, DOWN, "False/Restoring", "False/Restoring"),
        ({"state": "Restoring"}, DOWN, "False/Restoring", "False/Restoring"),
        ({"state": "Restoring", "failures": 1}, DOWN, "False/RestoreFailed", "False/RestoreFailed"),
    ],
)
def test_suspended_and_ready_tell_the_way_down_and_back(
    record: dict[str, Any], seen: dict[str, Any], suspended: str, ready: str
) -> None:
    record = record | {"state": AgentState(record["state"])}
    status = status_of(agent_record(**record), observation(**seen))
    assert (said(status, ConditionType.SUSPENDED), said(status)) == (suspended, ready)


def test_a_problem_says_why_an_agent_that_may_run_stays_suspended() -> None:
    status = status_of(agent_record(state=AgentState.SUSPENDED), observation(**DOWN), problem=Reason.SIZE_UNKNOWN)
    assert (said(status, ConditionType.SUSPENDED), said(status)) == ("True/SizeUnknown", "False/SizeUnknown")


def test_a_deleted_agent_at_rest_says_so() -> None:
    status = status_of(
        agent_record(state=AgentState.SUSPENDED, veto=Veto.ZERO_BALANCE), observation(**DOWN), agent=AGENTS["deleting"]
    )
    assert said(status, ConditionType.SUSPENDED) == "True/Deleting"


@pytest.mark.parametrize(
    ("record", "volumes", "expected"),
    [
        ({}, VOLUMES["bound"], "True/VolumeBound"),
        ({"state": AgentState.SUSPENDED}, VOLUMES["bound"], "True/VolumeKept"),
        ({"volume_uid": None}, VOLUMES["pending"], "False/VolumePending"),
        ({"volume_uid": None}, (), "False/VolumePending"),
        ({}, (), "False/VolumeLost"),
        ({}, VOLUMES["another uid"], "False/VolumeLost"),
        ({}, VOLUMES["deleting"], "False/VolumeLost"),
        ({}, UNKNOWN, "Unknown/StateUnknown"),
        ({"state": AgentState.ARCHIVED, "volume_uid": None}, (), "False/VolumeFreed"),
        ({"state": AgentState.RESTORING, "volume_uid": None}, VOLUMES["bound"], "False/Restoring"),
        ({"state": AgentState.RESTORING, "failures": 3}, VOLUMES["bound"], "False/RestoreFailed"),
    ],
)
def test_volume_ready_follows_the_claim_of_this_generation(record: dict[str, Any], volumes: Any, expected: str) -> None:
    status = status_of(agent_record(**record), observation(volumes=volumes))
    assert said(status, ConditionType.VOLUME_READY) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, "False/NoSnapshotYet"),
        ({"snapshot": snapshot_facts()}, "True/SnapshotVerified"),
        ({"state": AgentState.SNAPSHOTTING, "snapshot": snapshot_facts()}, "False/Snapshotting"),
        ({"state": AgentState.SNAPSHOTTING, **FAILED_TRY}, "False/SnapshotFailed"),
        ({"state": AgentState.VERIFYING}, "False/Verifying"),
        ({"state": AgentState.SUSPENDED, "snapshot": snapshot_facts()}, "True/SnapshotVerified"),
    ],
)
def test_snapshot_ready_speaks_of_the_newest_data(record: dict[str, Any], expected: str) -> None:
    assert said(status_of(agent_record(**record)), ConditionType.SNAPSHOT_READY) == expected


def test_an_agent_without_storage_says_so_once() -> None:
    status = status_of(agent_record(has_storage=False, volume_uid=None), agent=AGENTS["plain"])
    assert said(status, ConditionType.VOLUME_READY) == "False/NoStorage"
    assert "SnapshotReady" not in {item["type"] for item in status["conditions"]}


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing.FUNDED, "True/Funded"),
        (Standing.LOW, "True/LowBalance"),
        (Standing.EXHAUSTED, "False/ZeroBalance"),
    ],
)
def test_funded_says_what_the_wallet_can_do(standing: Standing, expected: str) -> None:
    record = agent_record(wallet=factories.wallet_facts(standing=standing))
    assert said(status_of(record), ConditionType.FUNDED) == expected


@pytest.mark.parametrize("standing", [Standing.FUNDED, Standing.LOW])
def test_an_agent_whose_budget_is_reached_is_down_though_the_wallet_can_pay(standing: Standing) -> None:
    wallet = factories.wallet_facts(standing=standing, veto=Veto.BUDGET_REACHED)
    record = agent_record(state=AgentState.SUSPENDED, veto=Veto.BUDGET_REACHED, wallet=wallet)
    status = status_of(record, observation(**DOWN))
    kinds = (ConditionType.FUNDED, ConditionType.SUSPENDED, ConditionType.READY)
    expected = ["False/BudgetReached", "True/BudgetReached", "False/BudgetReached"]
    assert [said(status, kind) for kind in kinds] == expected


def test_an_agent_without_a_record_says_only_what_is_wrong() -> None:
    status = conditions.agent_status(
        AGENTS["stored"], None, observation(), problem=Reason.NOT_A_TENANT, rate_picos=None
    )
    assert status.keys() == {"observedGeneration", "conditions"}
    assert [said(status)] == ["False/NotATenant"]


def test_the_status_shows_address_price_pod_and_snapshot() -> None:
    status = status_of(agent_record(snapshot=snapshot_facts()))
    del status["conditions"]
    assert status == {
        "observedGeneration": 1,
        "podName": "helper-1",
        "restarts": 0,
        "imageDigest": "localhost/moorage-agent@sha256:1",
        "url": "http://agent-helper.mn-acme.svc:8080",
        "pricePerHour": "0.036",
        "zeroAt": "2026-05-01T13:00:00Z",
        "lastSnapshot": {
            "id": "snp_d0000000000040008000000000000001",
            "takenAt": "2026-05-01T11:00:00Z",
            "bytes": 1_048_576,
            "verified": True,
        },
    }


def test_a_failed_read_keeps_what_was_shown_of_the_pod() -> None:
    shown = {"podName": "helper-1", "restarts": 3, "imageDigest": "sha256:1"}
    agent = factories.agent(status=shown)
    status = status_of(seen=observation(pods=UNKNOWN), agent=agent)
    assert shown.items() <= status.items()
    assert "podName" not in status_of(seen=observation(pods=()), agent=agent)


@pytest.mark.parametrize(
    ("moved", "kept"),
    [
        pytest.param(timedelta(0), True, id="not at all"),
        pytest.param(timedelta(minutes=5), True, id="by less than a tenth of the hour that is left"),
        pytest.param(timedelta(minutes=-5), True, id="by less than a tenth, back"),
        pytest.param(timedelta(minutes=7), False, id="by more than a tenth"),
        pytest.param(timedelta(days=3), False, id="by days, after a top-up"),
    ],
)
def test_zero_at_stays_as_shown_while_it_moves_little(moved: timedelta, kept: bool) -> None:
    predicted = NOW + timedelta(hours=1)
    shown = clock.rfc3339(predicted - moved)
    status = status_of(agent=factories.agent(status={"zeroAt": shown}))
    assert status["zeroAt"] == (shown if kept else clock.rfc3339(predicted))


def test_zero_at_is_exact_when_zero_is_now() -> None:
    wallet = factories.wallet_facts(zero_at=NOW)
    agent = factories.agent(status={"zeroAt": clock.rfc3339(NOW + timedelta(seconds=1))})
    assert status_of(agent_record(wallet=wallet), agent=agent)["zeroAt"] == clock.rfc3339(NOW)


@pytest.mark.parametrize(
    ("seen", "starting"),
    [
        pytest.param({"pods": ()}, True, id="no pod yet"),
        pytest.param({"pods": PODS["pending"]}, True, id="pending"),
        pytest.param({"pods": PODS["not ready"]}, True, id="its probe fails still"),
        pytest.param({"pods": PODS["ready"]}, False, id="ready"),
        pytest.param({"pods": PODS["crashing"]}, False, id="crashing"),
        pytest.param({"pods": UNKNOWN}, False, id="unknown"),
    ],
)
def test_is_starting_tells_a_normal_start_from_trouble(seen: dict[str, Any], starting: bool) -> None:
    assert conditions.is_starting(status_of(seen=observation(**seen))) is starting


def test_an_agent_that_was_told_nothing_yet_is_not_starting() -> None:
    assert not conditions.is_starting({})


@pytest.mark.parametrize(
    ("problem", "standing", "expected"),
    [
        (None, Standing.FUNDED, ["True/CoreNamespaceReady", "True/IsolationApplied", "True/Funded"]),
        (None, Standing.EXHAUSTED, ["True/CoreNamespaceReady", "True/IsolationApplied", "False/ZeroBalance"]),
        (
            Reason.CORE_NAMESPACE_TAKEN,
            Standing.LOW,
            ["False/CoreNamespaceTaken", "False/CoreNamespaceTaken", "True/LowBalance"],
        ),
        (Reason.WALLET_NOT_FOUND, None, ["False/WalletNotFound", "False/WalletNotFound", "False/WalletNotFound"]),
        (Reason.AGENTS_REMAIN, Standing.FUNDED, ["False/AgentsRemain", "True/IsolationApplied", "True/Funded"]),
    ],
)
def test_a_tenant_says_what_it_is_ready_for(
    problem: Reason | None, standing: Standing | None, expected: list[str]
) -> None:
    wallet = None if standing is None else factories.wallet_view(standing=standing)
    status = conditions.tenant_status(factories.tenant(), problem=problem, wallet=wallet, agents=(3, 1, 2))
    kinds = (ConditionType.READY, ConditionType.ISOLATED, ConditionType.FUNDED)
    assert [said(status, kind) for kind in kinds] == expected
    assert status["coreNamespace"] == "mn-acme"
    assert status["agents"] == {"total": 3, "running": 1, "suspended": 2}


def test_a_domain_says_that_there_is_no_dns_provider() -> None:
    assert said(_of_a_domain_without_dns()) == "False/DnsNotConfigured"


def test_every_reason_has_one_line_in_the_documentation_and_one_message() -> None:
    text = (ROOT / "docs" / "reasons.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert sorted(documented) == sorted(reason.value for reason in Reason)
    assert MESSAGES.keys() == set(Reason)


def test_an_open_network_is_told_instead_of_a_slow_start() -> None:
    waits = factories.pod_view(phase=PodPhase.PENDING, ready=False, gate_refused=True, waiting_reason="PodInitializing")
    verdict = verdicts.ready(
        factories.agent(), factories.agent_record(), factories.observation(pods=(waits,)), problem=None
    )
    assert verdict == (Status.FALSE, Reason.NETWORK_POLICY_NOT_ENFORCED)
