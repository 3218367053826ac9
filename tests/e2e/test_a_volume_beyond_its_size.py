"""A storage class that does not enforce sizes: what a volume holds too much is told, charged, kept and restored."""

import pytest

from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Tenant

pytestmark = pytest.mark.cluster

FILL = """
import os, time
if not os.path.exists("/data/big"):
    with open("/data/big", "wb") as file:
        file.write(os.urandom(4 << 20))
time.sleep(3600)
"""


def test_an_overfilled_volume_is_noticed_and_restored_whole(house: House, tenant: Tenant) -> None:
    house.start_operator(MOORAGE_WARM_WINDOW_SECONDS="0")
    helper = tenant.open(PLENTY_MICROS).agent(
        command=["python3", "-c", FILL], storage={"size": "1Mi"}, http=None, env=None
    )
    helper.until_ready()
    helper.patch(desiredState="Suspended")
    helper.until_says("VolumeReady", "VolumeFreed")
    (snapshot,) = helper.snapshots()
    assert snapshot["disk_bytes"] >= 4 << 20

    helper.patch(desiredState="Running")
    agent = helper.until_ready()
    claim = house.cluster.get("persistentvolumeclaims", tenant.namespace, "data-helper-2")
    assert claim["spec"]["resources"]["requests"]["storage"] in ("5Mi", "6Mi"), "four, and room for the file system"
    assert condition(agent, "Healthy") == ("True", "Healthy"), "this volume is large enough"
    house.books_are_right()


def test_an_overfilled_volume_says_so_and_is_metered_by_what_it_holds(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(
        command=["python3", "-c", FILL], storage={"size": "1Mi"}, http=None, env=None
    )
    helper.until_ready()
    helper.patch(desiredState="Suspended")
    helper.until_suspended()
    agent = helper.until_says("Healthy", "VolumeOverfull")
    assert condition(agent, "VolumeReady") == ("True", "VolumeKept")
    metered = house.rows(
        "SELECT r.quantity FROM money.run r JOIN moorage.agent a ON a.uid = r.agent_uid"
        " WHERE a.namespace = $1 AND r.meter = 'Volume' AND r.ended IS NULL",
        tenant.namespace,
    )
    assert [row["quantity"] >= 4 for row in metered] == [True]
    house.books_are_right()
