"""A deleted agent leaves nothing in the cluster, and one verified snapshot for the grace period."""

import datetime

import pytest

from dev.trouble import Trouble
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

FINALIZER = "moorage.dev/cleanup"


def test_deleted_agent_leaves_a_verified_snapshot_and_nothing_else(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent()
    agent = helper.until_ready()
    assert agent["metadata"]["finalizers"] == [FINALIZER]
    assert helper.chat("remember to keep this")
    (volume,) = helper.volumes()

    house.cluster.delete("agents", tenant.namespace, helper.name)
    helper.until_says("Ready", "Deleting")
    helper.until_gone()

    record = helper.record()
    assert (record["state"], record["pod_uid"], record["volume_uid"]) == ("Deleted", None, None)
    (snapshot,) = helper.snapshots()
    assert record["snapshot_id"] == snapshot["id"]
    assert house.stored_bytes(snapshot["object_key"]) == snapshot["object_bytes"]
    grace = snapshot["keep_until"] - snapshot["verified_at"]
    assert datetime.timedelta(days=30) <= grace < datetime.timedelta(days=30, minutes=5)

    run = house.row("SELECT * FROM money.run WHERE agent_uid = $1 AND meter = 'Pod'", record["uid"])
    assert run["ended"] is not None
    assert run["ended"] <= snapshot["taken_at"].timestamp(), "the meter stopped before the snapshot began"
    assert not house.rows("SELECT * FROM money.run WHERE agent_uid = $1 AND ended IS NULL", record["uid"])
    for plural in ("pods", "services", "jobs", "persistentvolumeclaims"):
        house.cluster.until_gone(plural, tenant.namespace)
    assert volume.endswith("-1")
    house.books_are_right()


def test_a_tenant_deleted_while_a_snapshot_is_taken_leaves_it_verified(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    (volume,) = helper.volumes()
    for past_us in (["namespace", tenant.namespace], ["pvc", volume, f"--namespace={tenant.namespace}"]):
        with pytest.raises(Trouble, match=r"denied request: .* data"):
            house.kubectl("delete", *past_us, "--wait=false")
    house.cluster.delete("agents", tenant.namespace, helper.name)
    helper.until_says("Ready", "Deleting")
    tenant.close()
    tenant.until_closed()
    (snapshot,) = helper.snapshots()
    assert snapshot["verified_at"] is not None
    assert house.stored_bytes(snapshot["object_key"]) == snapshot["object_bytes"]
    house.books_are_right()


def test_agent_of_the_same_name_starts_empty_after_a_deletion(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(storage=None, env=None)
    first = helper.until_ready()["metadata"]["uid"]
    house.cluster.delete("agents", tenant.namespace, helper.name)
    helper.until_gone()
    helper.apply(storage=None, env=None)
    agent = helper.until_ready()
    assert agent["metadata"]["uid"] != first
    assert helper.snapshots() == [], "an agent without storage has nothing to keep"
