"""Status of a Domain: what of claim, proof, record, certificate and route is true, and the first that is not."""

from typing import Any

from moorage.lifecycle import domain as lifecycle
from moorage.lifecycle.verdicts import UNREADABLE, Verdict
from moorage.model import clock, names
from moorage.model.conditions import ConditionType, Status
from moorage.model.domain import Issuer
from moorage.model.domain_record import DomainRecord, DomainState, Standing
from moorage.model.domain_seen import DomainSeen, Sight, Thing
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason

ORDER = (
    ConditionType.CLAIMED,
    ConditionType.PROVEN,
    ConditionType.RECORD_READY,
    ConditionType.CERTIFICATE_READY,
    ConditionType.ROUTE_READY,
)
NOT_HELD = {
    Standing.FREE: Reason.CLAIM_PENDING,
    Standing.TAKEN: Reason.HOSTNAME_TAKEN,
    Standing.QUARANTINED: Reason.HOSTNAME_QUARANTINED,
    Standing.LIMIT: Reason.HOSTNAME_LIMIT,
}


def verdicts(
    record: DomainRecord, seen: DomainSeen, *, problem: Reason | None, deleting: bool
) -> dict[ConditionType, Verdict]:
    """Every condition of a Domain that has a record."""
    said = {ConditionType.CLAIMED: _claimed(record), ConditionType.PROVEN: _proven(record)}
    if record.state is DomainState.ACTIVE and record.paid.until is not None:
        said[ConditionType.RECORD_READY] = _of(seen.record, Reason.RECORD_WRITTEN, Reason.RECORD_PENDING)
        said[ConditionType.CERTIFICATE_READY] = _of(
            seen.certificate, Reason.CERTIFICATE_ISSUED, Reason.CERTIFICATE_PENDING
        )
        said[ConditionType.ROUTE_READY] = _routed(record, seen)
    else:
        unpaid = record.state is DomainState.ACTIVE and record.paid.unpaid_since is not None
        for kind in ORDER[2:]:
            said[kind] = (Status.FALSE, Reason.DOMAIN_UNPAID if unpaid else Reason.WAITS_FOR_CLAIM)
    if problem is Reason.HOSTNAME_LIMIT:
        said[ConditionType.CLAIMED] = (Status.FALSE, problem)
    if deleting:
        ready: Verdict = (Status.FALSE, Reason.DOMAIN_DELETING)
    elif problem is not None:
        ready = (Status.FALSE, problem)
    else:
        ready = next((said[kind] for kind in ORDER if said[kind][0] is not Status.TRUE), READY)
    return said | {ConditionType.READY: ready}


READY: Verdict = (Status.TRUE, Reason.DOMAIN_READY)


def facts(record: DomainRecord, offer: DomainOffer | None, *, ready: bool, asked: Issuer | None) -> dict[str, Any]:
    """What a status says beside its conditions: what the tenant has to set, and until when what is."""
    told: dict[str, Any] = {"hostname": record.hostname}
    if record.own:
        told["challenge"] = {"type": "TXT", "name": names.challenge_name(record.hostname), "value": record.challenge}
        if offer is not None:
            told["target"] = offer.target_of_own(asked)
            if record.certificate is None or record.certificate.issuer in offer.issuers:
                told["delegation"] = {
                    "type": "CNAME",
                    "name": names.acme_challenge_name(record.hostname),
                    "value": offer.delegation(record.uid),
                }
    if ready:
        told["url"] = f"https://{record.hostname}"
    if record.certificate is not None:
        told["certificateExpiresAt"] = clock.rfc3339(record.certificate.not_after)
    if record.paid.until is not None:
        told["paidUntil"] = clock.rfc3339(record.paid.until)
    if record.paid.release_at is not None:
        told["releaseAt"] = clock.rfc3339(record.paid.release_at)
    return told


def _claimed(record: DomainRecord) -> Verdict:
    if lifecycle.is_unpaid(record):
        return Status.FALSE, Reason.DOMAIN_RELEASED
    if record.standing is not Standing.HELD:
        return Status.FALSE, NOT_HELD[record.standing]
    return Status.TRUE, Reason.CLAIMED if record.paid.unpaid_since is None else Reason.DOMAIN_UNPAID


def _proven(record: DomainRecord) -> Verdict:
    if not record.own:
        return Status.TRUE, Reason.NO_PROOF_NEEDED
    if lifecycle.is_proven(record):
        return Status.TRUE, Reason.PROVEN
    return Status.FALSE, Reason.PROOF_MISSING if record.proven_at is None else Reason.PROOF_LOST


def _of(thing: Thing, good: Reason, pending: Reason) -> Verdict:
    if thing.sight is Sight.THERE:
        return Status.TRUE, good
    if thing.sight is Sight.UNKNOWN:
        return UNREADABLE if thing.problem is None else (Status.UNKNOWN, thing.problem)
    return Status.FALSE, pending if thing.problem is None else thing.problem


def _routed(record: DomainRecord, seen: DomainSeen) -> Verdict:
    if record.agent is None:
        return Status.FALSE, Reason.AGENT_NOT_FOUND
    if seen.agent_ready is None:
        return UNREADABLE
    if seen.agent_port is None:
        return Status.FALSE, Reason.AGENT_SERVES_NO_HTTP
    if seen.route.sight is not Sight.THERE:
        return _of(seen.route, Reason.ROUTE_APPLIED, Reason.ROUTE_PENDING)
    if lifecycle.is_away(record, seen):
        return Status.FALSE, Reason.AGENT_AWAY
    return Status.TRUE, Reason.ROUTE_APPLIED
