"""Nothing starts in a core namespace that is not the tenant's own and closed."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from moorage.desired import namespace
from moorage.kube import views
from moorage.kube.objects import Live
from tests import factories

Manifest = dict[str, Any]
Edit = Callable[[Manifest, Manifest], object]

CORE, _, DENIAL = namespace.children(factories.tenant(), factories.platform())[:3]


def shelters(edit: Edit = lambda *_: None) -> bool:
    """The verdict on what we make, after somebody's edit."""
    core, denial = copy.deepcopy(CORE), copy.deepcopy(DENIAL)
    edit(core, denial)
    return views.shelters(msgspec.convert(core, Live), msgspec.convert(denial, Live), factories.TENANT_UID)


def test_what_the_platform_makes_is_closed() -> None:
    assert shelters()


EDITS: dict[str, Edit] = {
    "the namespace is another tenant's": lambda core, _: core["metadata"]["labels"].update(
        {"moorage.dev/tenant-uid": "b0000000-0000-4000-8000-000000000002"}
    ),
    "the namespace is nobody's": lambda core, _: core["metadata"].pop("labels"),
    "the namespace is being deleted": lambda core, _: core["metadata"].update(deletionTimestamp="2026-06-01T10:00:00Z"),
    "Pod Security is baseline": lambda core, _: core["metadata"]["labels"].update(
        {"pod-security.kubernetes.io/enforce": "baseline"}
    ),
    "Pod Security is off": lambda core, _: core["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce"),
    "the denial is about some pods": lambda _, denial: denial["spec"].update(podSelector={"matchLabels": {"a": "b"}}),
    "the denial lets everything in": lambda _, denial: denial["spec"].update(ingress=[{}]),
    "the denial lets everything out": lambda _, denial: denial["spec"].update(egress=[{}]),
    "the denial is about what comes in only": lambda _, denial: denial["spec"].update(policyTypes=["Ingress"]),
    "the denial is about what goes out only": lambda _, denial: denial["spec"].update(policyTypes=["Egress"]),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_nothing_starts_when(edit: Edit) -> None:
    assert not shelters(edit)


def test_nothing_starts_before_namespace_and_denial_are_seen() -> None:
    core, denial = msgspec.convert(CORE, Live), msgspec.convert(DENIAL, Live)
    assert not views.shelters(None, denial, factories.TENANT_UID)
    assert not views.shelters(core, None, factories.TENANT_UID)
