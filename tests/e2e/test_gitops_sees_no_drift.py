"""What lies in Git is what lies in the cluster, whatever the money does: a repeated apply finds and changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.e2e.cluster import Manifest, condition, is_true
from tests.e2e.house import House
from tests.e2e.tenancy import API_VERSION, PLENTY_MICROS, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster

MANAGER = "gitops"
APPLIES_MIN = 100
APPLIES_AT_REST = 45
# What a tool compares, and what another writer of the object would show in.
COMPARED = ("generation", "labels", "annotations", "finalizers")


@dataclass(slots=True)
class Tree:
    """Everything of one tenant as it lies in Git, and how often it was applied."""

    house: House
    objects: list[tuple[str, Manifest]]
    applies: int = field(default=0)

    def apply(self) -> None:
        """Ask for the differences, which must not be any, then apply everything as one sync does."""
        self.applies += 1
        for plural, manifest in self.objects:
            live = self.live(plural, manifest)
            status, dry = self.house.cluster.try_apply(plural, manifest, manager=MANAGER, dry=True)
            assert status == 200, dry
            assert compared(dry) == compared(live)
            status, applied = self.house.cluster.try_apply(plural, manifest, manager=MANAGER)
            assert status == 200, applied
            assert compared(applied) == compared(live)
            assert applied["spec"] == manifest["spec"], "nobody has added to what Git says"

    def apply_until(self, reached: Callable[[Manifest], bool], agent: Manifest, *, times_max: int) -> None:
        """Apply again and again while something happens, until the agent is as wanted."""
        for _ in range(times_max):
            self.apply()
            if reached(self.live("agents", agent)):
                return
        raise AssertionError(f"the agent did not get there: {self.live('agents', agent)}")

    def live(self, plural: str, manifest: Manifest) -> Manifest:
        """An object as it is in the cluster."""
        metadata = manifest["metadata"]
        return self.house.cluster.get(plural, metadata.get("namespace", ""), metadata["name"])


def test_a_hundred_applies_find_and_change_nothing(house: House, tenant: Tenant, closing: list[Tenant]) -> None:
    for earlier in closing:  # their end is written by the operator, too
        earlier.until_closed()
    tree, helper = committed(house, tenant)
    for plural, manifest in tree.objects[:2]:
        assert house.cluster.try_apply(plural, manifest, manager=MANAGER)[0] == 201
    house.cluster.until_one("tenantnamespaces", "", tenant.name, is_true("Ready"), "the core namespace's readiness")
    house.grant(tenant.name, seconds_of_demo(15))
    for plural, manifest in tree.objects[2:]:
        assert house.cluster.try_apply(plural, manifest, manager=MANAGER)[0] == 201
    tenant.agent_named("helper").until_ready()

    # The money ends, in the middle of it.
    tree.apply_until(is_true("Suspended"), helper, times_max=3000)
    assert condition(tree.live("agents", helper), "Suspended") == ("True", "ZeroBalance")
    at_rest(house, tenant, tree)

    # A top-up brings it back without a commit.
    house.grant(tenant.name, PLENTY_MICROS)
    tree.apply_until(is_true("Ready"), helper, times_max=3000)
    at_rest(house, tenant, tree)

    assert tree.applies >= APPLIES_MIN
    fields = tree.live("agents", helper)["metadata"]["managedFields"]
    owners = [each["manager"] for each in fields if "f:spec" in each["fieldsV1"]]
    assert owners == [MANAGER], "nobody else has ever touched the spec"


def at_rest(house: House, tenant: Tenant, tree: Tree) -> None:
    """With nothing else going on, applies cause no write at all: not by the API server, and not by us."""
    tenant.until_quiet()
    before, writes = tenant.versions(), house.writes()
    for _ in range(APPLIES_AT_REST):
        tree.apply()
    assert tenant.versions() == before
    assert house.writes() == writes


def committed(house: House, tenant: Tenant) -> tuple[Tree, Manifest]:
    """The tree, the platform's half first, and the agent that money stops."""

    def our(kind: str, name: str, spec: Manifest, **place: str) -> Manifest:
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **place}, "spec": spec}

    helper = tenant.agent_named("helper").manifest(size="demo")
    resting = tenant.agent_named("resting").manifest(desiredState="Suspended")
    domain = {"hostname": f"{tenant.name}.example.com", "agentRef": {"name": "helper"}}
    objects = [
        ("wallets", our("Wallet", tenant.name, {"displayName": "From Git"})),
        ("tenantnamespaces", our("Namespace", tenant.name, {"walletRef": {"name": tenant.name}})),
        ("agents", helper),
        ("agents", resting),
        ("domains", our("Domain", "bot", domain, namespace=tenant.namespace)),
    ]
    return Tree(house, objects), helper


def compared(item: Manifest) -> Manifest:
    """What a difference in would be drift, and who is said to own it."""
    owned = {
        each["manager"]: each["fieldsV1"] for each in item["metadata"]["managedFields"] if "subresource" not in each
    }
    return {"spec": item["spec"], "owned": owned} | {name: item["metadata"].get(name) for name in COMPARED}
