"""One life from the first start to the deletion, with the operator killed each time anything of it has moved."""

import time
from collections.abc import Callable

import pytest

from moorage.model import names
from tests.e2e.cluster import condition
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, Helper, Tenant

pytestmark = pytest.mark.cluster

STAGE_SECONDS_MAX = 240
LOOK_SECONDS = 0.02
# What a life cannot do without: where the operator must have died at least once.
STEPS = {
    ("Draining", "Started"),
    ("Snapshotting", "Started"),
    ("Running", "Committed"),
    ("Verifying", "Committed"),
    ("Restoring", "Started"),
}
MOVED = (
    "state",
    "attempt_state",
    "stop_recorded",
    "incarnation",
    "volume_generation",
    "pod_uid",
    "snapshot_id",
    "wish",
)


class Killer:
    """Kills the operator whenever the agent's record has moved, and starts it again."""

    def __init__(self, house: House, helper: Helper, **settings: str) -> None:
        self._house, self._helper, self._settings = house, helper, settings
        self._seen: set[tuple[object, ...]] = set()
        self.died_at: set[tuple[str, str | None]] = set()

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Go on until it is so and nothing moves any more."""
        deadline = time.monotonic() + STAGE_SECONDS_MAX
        while self._kill_if_moved() or not reached():
            assert time.monotonic() < deadline, f"{what}: {self._helper.record()}"
            time.sleep(LOOK_SECONDS)

    def _kill_if_moved(self) -> bool:
        record = self._helper.record()
        now = tuple(record[name] for name in MOVED)
        if now in self._seen:
            return False
        self._seen.add(now)
        self._house.kill_operator()
        self.died_at.add((record["state"], record["attempt_state"]))
        self._house.start_operator(**self._settings)
        return True


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
