"""What happened to an agent can be read from its Events and was measured: it ran, stopped at zero, and came back."""

from typing import Any

import pytest

from moorage.model.messages import MESSAGES
from moorage.model.reasons import Reason
from tests.e2e.house import House
from tests.e2e.tenancy import PLENTY_MICROS, SOON_OVER_SECONDS, Tenant, seconds_of_demo

pytestmark = pytest.mark.cluster

LIFE = {"PodReady": 2, "ZeroBalance": 1, "SnapshotVerified": 1}


def test_events_tell_the_life_of_an_agent(house: House, tenant: Tenant) -> None:
    helper = tenant.open(seconds_of_demo(SOON_OVER_SECONDS)).agent(size="demo")
    helper.until_ready()
    helper.until_suspended()
    house.grant(tenant.name, PLENTY_MICROS)
    uid = helper.until_ready()["metadata"]["uid"]

    about = {"fields": f"regarding.uid={uid},reportingController=moorage.dev/operator"}
    seen = house.cluster.until(
        "events", tenant.namespace, lambda events: _times(events).items() >= LIFE.items(), "the news", **about
    )
    notes = {event["reason"]: event["note"] for event in seen.values()}
    assert notes == {reason: MESSAGES[Reason(reason)] for reason in notes}
    assert _counts(house, "moorage_suspend_seconds_count", "cause")["ZeroBalance"] >= 1
    resumed = _counts(house, "moorage_resume_seconds_count", "path")
    assert resumed.keys() >= {"New", "Volume"}
    assert _counts(house, "moorage_events_total", "result")["Written"] >= len(LIFE)
    told = house.kubectl("describe", "agent", "-n", tenant.namespace, helper.name)
    assert MESSAGES[Reason.ZERO_BALANCE] in told


def _counts(house: House, metric: str, label: str) -> dict[str, float]:
    """The values of a metric by one label."""
    return {labels[label]: value for labels, value in house.metric(metric)}


def _times(events: Any) -> dict[str, int]:
    """How often each reason was told."""
    return {event["reason"]: event.get("series", {}).get("count", 1) for event in events.values()}
