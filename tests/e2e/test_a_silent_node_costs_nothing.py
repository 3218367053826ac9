"""The kubelet is stopped and started again: nothing is lost or doubled, or charged beyond the node's last proof."""

import pytest

from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.silence import NOTICED_SECONDS_MAX, silent_node, until_burn
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

RUNS = """
SELECT r.*, r.pod_uid::text AS pod FROM money.run r
JOIN moorage.agent a ON a.uid = r.agent_uid WHERE a.namespace = $1 AND a.name = $2 AND r.meter = 'Pod' ORDER BY r.id
"""


def test_an_agent_outlives_the_silence_of_its_node(house: House, tenant: Tenant) -> None:
    helper = tenant.open(PLENTY_MICROS).agent(size="demo")
    helper.until_ready()
    assert helper.chat("remember the light burns green")
    pod = helper.pod()["metadata"]["uid"]
    until_burn(house, pod, burns=True)

    with silent_node(house):
        helper.until_says("Ready", "NodeUnreachable", seconds=NOTICED_SECONDS_MAX)
        agent = helper.read()
        assert condition(agent, "Ready") == ("Unknown", "NodeUnreachable")
        assert condition(agent, "Healthy") == ("Unknown", "NodeUnreachable")
        metadata = helper.pod()["metadata"]
        assert metadata["uid"] == pod
        assert "deletionTimestamp" not in metadata, "nobody knows what it does, so nobody touches it"
        until_burn(house, pod, burns=False)
        (run,) = _runs(house, helper)
        proven = house.row("SELECT proven FROM money.node WHERE name = $1", house.layout.node_name)["proven"]
        assert run["cursor"] <= proven, "not a second beyond the proof"
        assert house.row("SELECT burn_picos FROM money.wallet WHERE name = $1", tenant.name)["burn_picos"] == 0

    helper.until_ready()
    assert helper.pod()["metadata"]["uid"] == pod
    assert "the light burns green" in helper.chat("recall")
    (run,) = _runs(house, helper)
    assert (run["pod"], run["ended"]) == (pod, None), "one run from beginning to end"
    house.books_are_right()


def test_an_agent_that_asked_for_it_comes_back_from_its_snapshot_and_the_old_one_is_fenced(
    house: House, tenant: Tenant
) -> None:
    house.start_operator(MOORAGE_NODE_LOST_SECONDS="5")
    helper = tenant.open(PLENTY_MICROS).agent(size="demo", recovery="FromSnapshot")
    helper.until_ready()
    assert helper.chat("remember the anchor is red")
    helper.patch(desiredState="Suspended")
    helper.until_suspended()
    helper.patch(desiredState="Running")
    helper.until_ready()
    assert helper.chat("remember the anchor is blue")
    old = helper.pod()["metadata"]
    until_burn(house, old["uid"], burns=True)

    with silent_node(house):
        helper.until_says("Suspended", "Restoring", seconds=NOTICED_SECONDS_MAX)
        left = house.cluster.until_one(
            "pods", tenant.namespace, old["name"], lambda pod: "deletionTimestamp" in pod["metadata"], "its deletion"
        )
        assert left["metadata"]["uid"] == old["uid"]
        assert left["metadata"].get("deletionGracePeriodSeconds", 0) > 0, "asked, not forced"
        ended = [run["ended"] for run in _runs(house, helper)]
        proven = house.row("SELECT proven FROM money.node WHERE name = $1", house.layout.node_name)["proven"]
        assert ended[-1] is not None
        assert max(ended) <= proven, "paid to the last proof and no further"

    # The only node is the lost one as well: there the restore can begin when it is back.
    agent = helper.until_ready(seconds=120)
    assert agent["status"]["podName"] != old["name"]
    recalled = helper.chat("recall")
    assert "the anchor is red" in recalled
    assert "the anchor is blue" not in recalled, "nothing that the old pod wrote"
    house.cluster.until_gone("pods", tenant.namespace, name=old["name"])
    record = helper.record()
    assert sorted(helper.volumes()) == ["data-helper-1", "data-helper-2"], "the old volume may be newer: it is kept"
    assert (record["volume_generation"], record["left_generation"]) == (2, 1)
    runs = _runs(house, helper)
    assert [run["ended"] is None for run in runs] == [False, False, True]
    house.books_are_right()


def _runs(house: House, helper: Helper) -> list[dict[str, object]]:
    return house.rows(RUNS, helper.tenant.namespace, helper.name)
