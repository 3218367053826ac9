"""covers(): what needs a write and what does not."""

from typing import Any

import pytest

from moorage.kube.covers import covers

OWNER = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": "a", "uid": "u", "controller": True}


def live(labels: dict[str, str] | None = None, owners: list[Any] | None = None, **parts: Any) -> dict[str, Any]:
    """An object as the world keeps it."""
    empty = {"spec": None, "data": None, "immutable": None, "automountServiceAccountToken": None, "status": None}
    metadata = {"name": "x", "labels": labels or {}, "annotations": {}, "ownerReferences": owners or []}
    return {"metadata": metadata, **empty, **parts}


def desired(labels: dict[str, str] | None = None, **parts: Any) -> dict[str, Any]:
    """A manifest of ours."""
    metadata = {"name": "x"} if labels is None else {"name": "x", "labels": labels}
    return {"apiVersion": "v1", "kind": "Anything", "metadata": metadata, **parts}


COVERED = {
    "nothing is asked": (live(), desired()),
    "the server added defaults": (
        live(spec={"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}]}),
        desired(spec={"ports": [{"port": 80}]}),
    ),
    "somebody added a label": (live({"a": "1", "b": "2"}), desired({"a": "1"})),
    "an empty list was left out": (live(spec={"podSelector": {}}), desired(spec={"podSelector": {}, "egress": []})),
    "an empty map was left out": (live(spec={}), desired(spec={"podSelector": {}})),
    "named items in another order": (
        live(spec={"ports": [{"name": "b", "port": 2}, {"name": "a", "port": 1}]}),
        desired(spec={"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}),
    ),
    "an absent value is wanted absent": (live(spec={}), desired(spec={"storageClassName": None})),
    "a quota is spelt as the server likes it": (
        live(spec={"hard": {"pods": "1k", "requests.cpu": "500m", "requests.memory": "1536Mi"}}),
        desired(spec={"hard": {"pods": "1000", "requests.cpu": "0.5", "requests.memory": "1.5Gi"}}),
    ),
    "a claim is spelt as the server likes it": (
        live(spec={"resources": {"requests": {"storage": "1Gi"}}}),
        desired(spec={"resources": {"requests": {"storage": "1024Mi"}}}),
    ),
    "the status is not ours": (live(spec={}, status={"phase": "Bound"}), desired(spec={})),
}

HTTPS = {
    "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
    "ports": [{"protocol": "TCP", "port": 443}],
}

NOT_COVERED = {
    "a rule opens more ports": (
        live(spec={"egress": [{**HTTPS, "ports": [{"protocol": "TCP", "port": 443, "endPort": 65535}]}]}),
        desired(spec={"egress": [HTTPS]}),
    ),
    "a rule lost an exception": (
        live(spec={"egress": [{**HTTPS, "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
        desired(spec={"egress": [HTTPS]}),
    ),
    "a rule was added": (live(spec={"egress": [HTTPS, {}]}), desired(spec={"egress": [HTTPS]})),
    "a rule was added where there is none": (live(spec={"ingress": [{}]}), desired(spec={"ingress": []})),
    "a value differs": (live(spec={"replicas": 1}), desired(spec={"replicas": 2})),
    "a value is missing": (live(spec={}), desired(spec={"replicas": 2})),
    "a part is missing": (live(), desired(data={"a": "b"})),
    "a label is missing": (live({"a": "1"}), desired({"a": "1", "b": "2"})),
    "a file is no longer wanted": (live(data={"a": "1", "b": "2"}), desired(data={"a": "1"})),
    "a limit is no longer wanted": (live(spec={"hard": {"a": "1", "b": "2"}}), desired(spec={"hard": {"a": "1"}})),
    "a quota is another amount": (live(spec={"hard": {"pods": "2"}}), desired(spec={"hard": {"pods": "2k"}})),
    "a quota is no amount": (live(spec={"hard": {}}), desired(spec={"hard": {"pods": "0"}})),
    "a selector was narrowed": (
        live(spec={"podSelector": {"matchLabels": {"a": "b"}}}),
        desired(spec={"podSelector": {}}),
    ),
    "a policy was opened": (live(spec={"egress": [{}]}), desired(spec={"egress": []})),
    "a list is longer": (live(spec={"args": ["a", "b"]}), desired(spec={"args": ["a"]})),
    "a list is in another order": (live(spec={"args": ["a", "b"]}), desired(spec={"args": ["b", "a"]})),
    "an item of a list was exchanged": (
        live(spec={"ports": [{"name": "a", "port": 1}]}),
        desired(spec={"ports": [{"name": "b", "port": 1}]}),
    ),
    "a switch that is on by default must be off": (live(), desired(automountServiceAccountToken=False)),
    "one is not true": (live(spec={"x": 1}), desired(spec={"x": True})),
    "a number is not its text": (live(spec={"port": "80"}), desired(spec={"port": 80})),
    "a map was replaced by a text": (live(spec={"x": "y"}), desired(spec={"x": {"a": "b"}})),
    "the owner is missing": (
        live(),
        {"apiVersion": "v1", "kind": "Anything", "metadata": {"name": "x", "ownerReferences": [OWNER]}},
    ),
}


@pytest.mark.parametrize(("now", "wanted"), COVERED.values(), ids=COVERED.keys())
def test_nothing_is_written_when(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert covers(now, wanted)


@pytest.mark.parametrize(("now", "wanted"), NOT_COVERED.values(), ids=NOT_COVERED.keys())
def test_object_is_written_when(now: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert not covers(now, wanted)


def test_part_that_is_not_kept_is_refused_because_it_would_be_written_for_ever() -> None:
    with pytest.raises(ValueError, match="rules"):
        covers(live(), desired(rules=[]))
