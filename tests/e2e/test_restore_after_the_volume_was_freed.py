"""Without a warm window the volume is freed as soon as the snapshot is verified; a resume restores it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster


def test_resumed_agent_has_its_memory_after_its_volume_was_freed(house: House, tenant: Tenant) -> None:
    house.start_operator(MOORAGE_WARM_WINDOW_SECONDS="0")
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    assert helper.chat("remember the berth is number nine")
    (first,) = helper.volumes()
    disk = house.cluster.get("persistentvolumeclaims", tenant.namespace, first)["spec"]["volumeName"]

    helper.patch(desiredState="Suspended")
    helper.until_says("VolumeReady", "VolumeFreed")
    house.cluster.until_gone("persistentvolumeclaims", tenant.namespace, name=first)
    house.cluster.until_gone("persistentvolumes", "", name=disk)
    assert condition(helper.read(), "Suspended") == ("True", "UserRequested")

    helper.patch(desiredState="Running")
    agent = helper.until_ready()
    (second,) = helper.volumes()
    assert second != first
    assert condition(agent, "VolumeReady") == ("True", "VolumeBound")
    assert "the berth is number nine" in helper.chat("recall")
    assert len(helper.snapshots()) == 1
    house.cluster.until_gone("jobs", tenant.namespace)


@contextlib.contextmanager
def no_storage_class(house: House, kept: Path) -> Iterator[None]:
    """The cluster's one class is away; it is back afterwards, whatever happened meanwhile."""
    kept.write_text(house.kubectl("get", "storageclass", "--output=yaml"))
    house.kubectl("delete", "storageclass", "--all")
    try:
        yield
    finally:
        house.kubectl("apply", f"--filename={kept}")


def test_without_its_storage_class_an_agent_resumes_and_a_new_one_waits(
    house: House, tenant: Tenant, tmp_path: Path
) -> None:
    helper = tenant.open(PLENTY_MICROS).agent()
    helper.until_ready()
    assert helper.chat("remember the berth is number nine")
    with no_storage_class(house, tmp_path / "class.yaml"):
        helper.patch(desiredState="Suspended")
        helper.until_suspended()
        helper.patch(desiredState="Running")
        helper.until_ready()
        assert "the berth is number nine" in helper.chat("recall")
        late = tenant.agent("late")
        late.until_says("VolumeReady", "VolumePending")
    late.until_ready()
