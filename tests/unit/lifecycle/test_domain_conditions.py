"""What a Domain's status says: one reason for each thing that can be in the way, and what its tenant has to set."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from moorage.lifecycle import conditions
from moorage.lifecycle import domain as lifecycle
from moorage.lifecycle import domain_effects as do
from moorage.model.domain import Issuer
from moorage.model.domain_record import AgentFacts, Certificate, DomainRecord, DomainState, Paid, Standing
from moorage.model.domain_seen import DomainSeen, Sight, Thing
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from moorage.model.record import AgentState
from tests import factories

OFFER = DomainOffer(zone="agents.example", target="203.0.113.7", issuers=(Issuer.CLOUDFLARE, Issuer.ACME))
THERE = Thing(sight=Sight.THERE)
GOOD = DomainSeen(record=THERE, certificate=THERE, route=THERE, agent_ready=True, agent_port=8080)
NOW = factories.NOW
OWN: dict[str, Any] = {"own": True, "hostname": "bot.example.com"}


def told(record: DomainRecord, seen: DomainSeen = GOOD, problem: Reason | None = None) -> dict[str, str]:
    """Type → `status/reason`."""
    status = conditions.domain_status(factories.domain(), record, seen, problem=problem, offer=OFFER)
    return {item["type"]: f"{item['status']}/{item['reason']}" for item in status["conditions"]}


def test_all_is_well() -> None:
    said = told(factories.domain_record())
    assert said.pop("Ready") == "True/DomainReady"
    assert list(said.values()) == [
        *("True/CertificateIssued", "True/Claimed", "True/NoProofNeeded", "True/RecordWritten", "True/RouteApplied")
    ]


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Standing.FREE, Reason.CLAIM_PENDING),
        (Standing.TAKEN, Reason.HOSTNAME_TAKEN),
        (Standing.QUARANTINED, Reason.HOSTNAME_QUARANTINED),
        (Standing.LIMIT, Reason.HOSTNAME_LIMIT),
    ],
)
def test_a_name_that_is_not_held_says_why_and_sets_nothing_up(standing: Standing, reason: Reason) -> None:
    said = told(factories.domain_record(state=DomainState.PENDING, standing=standing), DomainSeen())
    assert said["Claimed"] == said["Ready"] == f"False/{reason}"
    assert {said[kind] for kind in ("RecordReady", "CertificateReady", "RouteReady")} == {"False/WaitsForClaim"}


def test_a_name_of_ones_own_asks_for_its_proof_and_says_where() -> None:
    record = factories.domain_record(state=DomainState.PENDING, **OWN)
    assert told(record, DomainSeen())["Ready"] == "False/ProofMissing"
    status = conditions.domain_status(factories.domain(), record, DomainSeen(), problem=None, offer=OFFER)
    assert status["challenge"] == {
        "type": "TXT", "name": "_moorage-challenge.bot.example.com", "value": "moorage-proof=1",
    }  # fmt: skip
    assert status["target"] == "entry.agents.example"
    by_acme = factories.domain(certificate=Issuer.ACME)
    status = conditions.domain_status(by_acme, record, DomainSeen(), problem=None, offer=OFFER)
    assert status["target"] == "direct.agents.example"
    assert status["delegation"]["name"] == "_acme-challenge.bot.example.com"
    assert "url" not in status


def test_a_proof_that_is_gone_is_believed_only_after_days() -> None:
    proven = factories.domain_record(proven_at=NOW, missing_since=NOW - timedelta(days=2), **OWN)
    assert told(proven)["Proven"] == "True/Proven"
    lost = replace(proven, missing_since=NOW - lifecycle.LOST_AFTER)
    assert told(lost)["Proven"] == "False/ProofLost"


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"record": Thing(sight=Sight.FOREIGN, problem=Reason.RECORD_CONFLICT)}, "RecordReady", "False/RecordConflict"),
        ({"record": Thing(sight=Sight.UNDER_WAY)}, "RecordReady", "False/RecordPending"),
        ({"record": Thing(sight=Sight.UNKNOWN)}, "RecordReady", "Unknown/StateUnknown"),
        (
            {"record": Thing(sight=Sight.UNKNOWN, problem=Reason.PROVIDER_UNREACHABLE)},
            "RecordReady",
            "Unknown/ProviderUnreachable",
        ),
        (
            {"record": Thing(sight=Sight.REFUSED, problem=Reason.PROVIDER_LACKS_DNS_EDIT)},
            "RecordReady",
            "False/ProviderLacksDnsEdit",
        ),
        ({"certificate": Thing(sight=Sight.ABSENT)}, "CertificateReady", "False/CertificatePending"),
        ({"route": Thing(sight=Sight.ABSENT)}, "RouteReady", "False/RoutePending"),
        ({"agent_ready": False}, "RouteReady", "False/AgentAway"),
        ({"agent_ready": None}, "RouteReady", "Unknown/StateUnknown"),
        ({"agent_port": None}, "RouteReady", "False/AgentServesNoHttp"),
    ],
)
def test_what_is_in_the_way_is_what_ready_says(changes: dict[str, Any], kind: str, said: str) -> None:
    found = told(factories.domain_record(), replace(GOOD, **changes))
    assert found[kind] == found["Ready"] == said


def test_an_agent_that_is_gone_or_suspended_is_told_apart() -> None:
    assert told(factories.domain_record(agent=None))["Ready"] == "False/AgentNotFound"
    suspended = AgentFacts(uid=factories.AGENT_UID, state=AgentState.SUSPENDED)
    assert told(factories.domain_record(agent=suspended))["Ready"] == "False/AgentAway"


def test_an_unpaid_name_works_until_it_is_released() -> None:
    paid = Paid(until=NOW, unpaid_since=NOW, release_at=NOW + timedelta(days=7))
    record = factories.domain_record(paid=paid)
    assert (told(record)["Claimed"], told(record)["Ready"]) == ("True/DomainUnpaid", "True/DomainReady")
    released = factories.domain_record(
        paid=replace(paid, release_at=NOW), state=DomainState.RELEASED, standing=Standing.FREE
    )
    assert told(released)["Ready"] == "False/DomainReleased"


@pytest.mark.parametrize(("ready", "routes"), [(True, [False]), (False, [True]), (None, [])])
def test_a_failed_look_at_the_agent_moves_no_route(ready: bool | None, routes: list[bool]) -> None:
    seen = replace(GOOD, agent_ready=ready)
    decision = lifecycle.transition(factories.domain_record(), lifecycle.Desired(deleting=False, problem=None), seen)
    assert [effect.away for effect in decision.effects if isinstance(effect, do.ApplyRoute)] == routes


def test_nothing_is_set_up_before_the_first_month_is_paid() -> None:
    record = factories.domain_record(paid=Paid(until=None, unpaid_since=NOW, release_at=NOW + timedelta(days=7)))
    assert told(record)["Ready"] == "False/DomainUnpaid"
    decision = lifecycle.transition(record, lifecycle.Desired(deleting=False, problem=None), GOOD)
    assert decision.effects == (do.PayMonth(),)


def test_a_spec_that_cannot_be_used_leaves_what_is_there() -> None:
    said = told(factories.domain_record(), problem=Reason.ISSUER_UNKNOWN)
    assert (said["Ready"], said["RouteReady"]) == ("False/IssuerUnknown", "True/RouteApplied")


def test_the_facts_are_told() -> None:
    certificate = Certificate(
        id="c", issuer=Issuer.CLOUDFLARE, fingerprint="f", not_before=NOW, not_after=NOW + timedelta(days=90)
    )
    record = factories.domain_record(certificate=certificate)
    status = conditions.domain_status(factories.domain(), record, GOOD, problem=None, offer=OFFER)
    assert status["url"] == "https://bot.agents.example"
    assert status["certificateExpiresAt"] == "2026-07-30T12:00:00Z"
    assert status["paidUntil"] == "2026-05-21T12:00:00Z"
    assert "challenge" not in status
