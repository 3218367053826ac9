"""The credit ends: the agent is stopped, its data verified in a snapshot, and not one unpaid second is charged."""

import datetime

import pytest

from moorage.model import names
from tests.e2e.cluster import condition
from tests.e2e.house import DEMO_MICROS_PER_SECOND, House, said
from tests.e2e.tenancy import SOON_OVER_SECONDS, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster

REST_MICROS = 1234  # less than one second costs: nobody may take it


def test_zero_suspends_with_a_verified_snapshot_and_charges_every_paid_second(house: House, tenant: Tenant) -> None:
    granted = seconds_of_demo(SOON_OVER_SECONDS, REST_MICROS)
    helper = tenant.open(granted).agent(size="demo")
    pod = helper.until_ready()["status"]["podName"]
    agent = helper.until_suspended()

    assert condition(agent, "Suspended") == ("True", "ZeroBalance")
    assert condition(agent, "Funded") == ("False", "ZeroBalance")
    assert condition(agent, "VolumeReady") == ("True", "VolumeKept")
    assert house.cluster.find("pods", tenant.namespace, pod) is None
    _check_snapshot(house, tenant)
    _check_books(house, tenant, granted)


def _check_snapshot(house: House, tenant: Tenant) -> None:
    """What the status says of the snapshot is what catalogue and object store have."""
    agent = house.cluster.get("agents", tenant.namespace, "helper")
    (row,) = house.rows(
        "SELECT s.id::text, s.object_key, s.object_bytes, s.file_count, s.keep_until FROM moorage.snapshot s"
        " JOIN moorage.agent a ON a.snapshot_id = s.id WHERE a.uid = $1",
        agent["metadata"]["uid"],
    )
    shown = agent["status"]["lastSnapshot"]
    assert (names.snapshot_id(shown["id"]), shown["bytes"], shown["verified"]) == (row["id"], row["object_bytes"], True)
    assert condition(agent, "SnapshotReady") == ("True", "SnapshotVerified")
    assert house.stored_bytes(row["object_key"]) == row["object_bytes"]
    assert row["file_count"] > 0, "the memory's file is in it"
    assert row["keep_until"] is None, "only the deletion of the agent starts the grace period"


def _check_books(house: House, tenant: Tenant, granted: int) -> None:
    """Every second that the grant could pay is charged, and none beyond; entries, lines and balance agree."""
    wallet = house.row("SELECT * FROM money.wallet WHERE name = $1", tenant.name)
    entries = house.rows("SELECT * FROM money.entry WHERE wallet_id = $1 ORDER BY seq", wallet["id"])
    (line,) = house.rows(
        "SELECT l.*, r.end_reason FROM money.line l JOIN money.run r ON r.id = l.run_id"
        " WHERE l.wallet_id = $1 AND r.meter = 'Pod'",
        wallet["id"],
    )
    assert (wallet["standing"], wallet["balance_micros"]) == ("Exhausted", REST_MICROS)
    assert wallet["balance_micros"] < DEMO_MICROS_PER_SECOND, "another second could have been paid"
    assert sum(entry["amount_micros"] for entry in entries) == wallet["balance_micros"]
    assert entries[-1]["balance_after_micros"] == wallet["balance_micros"]
    assert line["charged_seconds"] == SOON_OVER_SECONDS
    assert line["amount_picos"] == (granted - wallet["balance_micros"]) * 1_000_000
    assert line["lo"] + line["charged_seconds"] == wallet["cut_at"], "charged without a gap, up to zero"
    assert line["hi"] - line["lo"] == line["charged_seconds"] + line["absorbed_seconds"]
    shown = said(house.moorage("wallet", "show", tenant.name, "--json").stdout)
    assert (shown["balance_micros"], shown["standing"]) == (REST_MICROS, "Exhausted")
    status = house.cluster.get("wallets", "", tenant.name)["status"]
    assert (status["balance"], status["standing"]) == ("0.001234", "Exhausted")
    assert "zeroAt" not in status or datetime.datetime.fromisoformat(status["zeroAt"]).timestamp() == wallet["cut_at"]
    house.books_are_right()
