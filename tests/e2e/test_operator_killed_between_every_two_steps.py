"""One life from the first start to the deletion, with the operator killed each time anything of it has moved."""

import pytest

from moorage.model import names
from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant
from tests.e2e.trouble import Killer

pytestmark = pytest.mark.cluster

# What a life cannot do without: where the operator must have died at least once.
STEPS = {
    ("Draining", "Started"),
    ("Snapshotting", "Started"),
    ("Running", "Committed"),
    ("Verifying", "Committed"),
    ("Restoring", "Started"),
}


def test_a_life_converges_although_the_operator_dies_at_every_step(house: House, tenant: Tenant) -> None:
    settings = {"MOORAGE_WARM_WINDOW_SECONDS": "0"}
    house.start_operator(**settings)
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    assert helper.chat("remember the eleventh wave")
    killer = Killer(house, helper, **settings)

    annotation = {"metadata": {"annotations": {names.ANNOTATION_SNAPSHOT_REQUESTED: "once"}}}
    house.cluster.patch("agents", tenant.namespace, helper.name, annotation)
    killer.until(lambda: len(helper.snapshots()) == 1 and is_so(helper, "Ready"), "a snapshot of the running agent")

    helper.patch(desiredState="Suspended")
    killer.until(lambda: condition(helper.read(), "VolumeReady") == ("False", "VolumeFreed"), "the suspension")
    helper.patch(desiredState="Running")
    killer.until(lambda: is_so(helper, "Ready"), "the resume from the snapshot")
    assert "the eleventh wave" in helper.chat("recall")
    assert (len(helper.volumes()), len(helper.pods())) == (1, 1)
    assert [snapshot["purpose"] for snapshot in helper.snapshots()] == ["Demand", "Suspension"]
    for snapshot in helper.snapshots():
        assert house.stored_bytes(snapshot["object_key"]) == snapshot["object_bytes"]

    house.cluster.delete("agents", tenant.namespace, helper.name)
    killer.until(lambda: house.cluster.find("agents", tenant.namespace, helper.name) is None, "the deletion")
    house.cluster.until_gone("pods", tenant.namespace)
    house.cluster.until_gone("persistentvolumeclaims", tenant.namespace)
    assert [snapshot["purpose"] for snapshot in helper.snapshots()] == ["Demand", "Suspension", "Deletion"]
    assert killer.died_at >= STEPS, f"the operator died only at {sorted(map(str, killer.died_at))}"
    house.books_are_right()


def is_so(helper: Helper, kind: str) -> bool:
    """Whether a condition of the agent is True and speaks of its present spec."""
    agent = helper.read()
    current = agent["status"].get("observedGeneration") == agent["metadata"]["generation"]
    return current and condition(agent, kind)[0] == "True"
