"""Whatever a tenant writes into an Agent that the schema lets through, its pod fits the restricted profile."""

import copy
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.desired import agent, mover
from moorage.model import agent as agents
from moorage.model.offer import NetworkOffer
from tests import factories, pod_security

WORDS = st.text(max_size=40)
NAMES = st.from_regex(r"[a-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
PATHS = st.from_regex(r"/[-A-Za-z0-9._~/]{0,30}", fullmatch=True)
REFERENCES = st.fixed_dictionaries({"name": st.text(string.ascii_lowercase, min_size=1), "key": WORDS})
VARIABLES = st.one_of(
    st.fixed_dictionaries({"name": NAMES, "value": WORDS}),
    st.fixed_dictionaries({"name": NAMES, "secretKeyRef": REFERENCES}),
)
FILES = st.dictionaries(st.from_regex(r"[A-Za-z0-9][-._A-Za-z0-9]{0,20}", fullmatch=True), WORDS, max_size=4)
HTTP = st.fixed_dictionaries({"port": st.integers(1, 65535)}, optional={"healthPath": PATHS})
QUIESCE = st.fixed_dictionaries({"httpPath": PATHS}, optional={"timeoutSeconds": st.integers(1, 30)})
IMAGES = st.from_regex(r"registry[.]example[.]com/[-A-Za-z0-9._:/@]{0,40}", fullmatch=True)
SPECS = st.tuples(
    st.one_of(st.just({"runtime": "chatbot"}), st.fixed_dictionaries({"image": IMAGES})),
    st.fixed_dictionaries(
        {"size": st.just("small")},
        optional={
            "command": st.lists(WORDS, max_size=4),
            "args": st.lists(WORDS, max_size=4),
            "env": st.lists(VARIABLES, max_size=4),
            "files": FILES,
            "storage": st.just({"size": "1Gi"}),
            "http": HTTP,
            "quiesce": QUIESCE,
        },
    ),
).map(lambda parts: parts[0] | parts[1])
OFFERS = st.fixed_dictionaries(
    {
        "user_namespaces": st.booleans(),
        "sandboxed": st.booleans(),
        "network": st.builds(NetworkOffer, gate=st.booleans()),
    },
    optional={"sandbox_runtime_class": st.just("gvisor"), "node_selector": st.just({"pool": "agents"})},
).filter(lambda offer: not offer["sandboxed"] or "sandbox_runtime_class" in offer)


@given(spec=SPECS, offer=OFFERS)
def test_the_pod_of_any_agent_is_restricted(spec: dict[str, Any], offer: dict[str, Any]) -> None:
    wanted = agents.from_manifest({"metadata": factories.agent_manifest()["metadata"], "spec": spec})
    platform = factories.platform(**offer)
    assert agent.check(wanted, platform) is None, "or there would be no pod"
    *_, pod = agent.children(wanted, volume_generation=1, incarnation=1, platform=platform, with_pod=True)
    assert pod_security.violations(pod["spec"]) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod["spec"]
    for build in (mover.capture_job, mover.restore_job):
        job = build(wanted, attempt_id=factories.ATTEMPT_ID, volume_name="v", limit_seconds=60, platform=platform)
        assert pod_security.violations(job["spec"]["template"]["spec"]) == []


@pytest.mark.parametrize("name", pod_security.breaches())
def test_the_judge_sees(name: str) -> None:
    *_, pod = agent.children(
        factories.agent(http={"port": 8080}), volume_generation=1, incarnation=1,
        platform=factories.platform(), with_pod=True,
    )  # fmt: skip
    spoiled = copy.deepcopy(pod)
    pod_security.breaches()[name](spoiled)
    assert pod_security.violations(spoiled["spec"]) != []
