"""Snapshots on request while an agent runs, an agent made from a snapshot, and one that goes back to older data."""

import pytest

from moorage.model import names
from tests.e2e.cluster import Manifest, condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster


def last_of(agent: Manifest) -> str:
    return str(agent["status"].get("lastSnapshot", {}).get("id", ""))


def until_another_snapshot(helper: Helper, before: str) -> Manifest:
    cluster, tenant = helper.tenant.house.cluster, helper.tenant
    return cluster.until_one(
        "agents",
        tenant.namespace,
        helper.name,
        lambda agent: last_of(agent) not in ("", before),
        "another verified snapshot",
        seconds=90,
    )


def test_a_snapshot_on_request_goes_into_another_agent_and_back_into_the_first(house: House, tenant: Tenant) -> None:
    first = tenant.open(PLENTY_MICROS).agent(quiesce={"httpPath": "/healthz", "timeoutSeconds": 2})
    before = first.until_ready()["status"]["podName"]
    assert first.chat("remember the berth is number nine")

    annotation = {"metadata": {"annotations": {names.ANNOTATION_SNAPSHOT_REQUESTED: "before the move"}}}
    house.cluster.patch("agents", tenant.namespace, first.name, annotation)
    taken = last_of(until_another_snapshot(first, ""))
    agent = first.until_ready()
    assert agent["status"]["podName"] != before, "stopped for the moment of the copy"
    assert condition(agent, "SnapshotReady") == ("True", "SnapshotVerified")
    assert len(first.volumes()) == 1
    assert first.snapshots()[0]["purpose"] == "Demand"
    assert first.chat("remember the cargo is salt")

    second = tenant.agent("second", restoreFrom={"snapshot": taken})
    second.until_ready()
    assert "number nine" in second.chat("recall")
    assert "salt" not in second.chat("recall")

    back = house.moorage("snapshot", "restore", taken, f"{tenant.namespace}/{first.name}")
    assert back.returncode == 0, back.stderr
    assert f"has the data of {taken}" in back.stdout
    first.until_ready()
    assert "salt" not in first.chat("recall")
    assert "number nine" in first.chat("recall")
    listed = house.moorage("snapshot", "list", f"{tenant.namespace}/{first.name}").stdout
    assert len(listed.splitlines()) == 2, "what it had before it went back is kept"
    assert taken in listed
    house.books_are_right()


def test_nothing_starts_with_an_empty_disk_when_the_snapshot_is_not_the_tenants(house: House, tenant: Tenant) -> None:
    agent = tenant.open(PLENTY_MICROS).agent(restoreFrom={"snapshot": f"snp_{'0' * 32}"})
    said = agent.until_says("Ready", "SnapshotNotFound")
    assert "podName" not in said["status"]
    assert agent.pods() == []
    assert agent.volumes() == []


def test_the_command_takes_a_snapshot_and_says_how_it_goes(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    done = house.moorage("snapshot", "take", f"{tenant.namespace}/{helper.name}")
    assert done.returncode == 0, done.stderr
    assert "is verified" in done.stdout
    assert "Snapshotting" in done.stderr
    helper.until_ready()
