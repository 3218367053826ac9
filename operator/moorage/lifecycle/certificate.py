"""When a certificate is to be renewed, how long a refusal is waited out, and how a certificate stands to the wish."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from moorage.model.domain import Issuer
from moorage.model.domain_record import Certificate, DomainRecord, DomainState, Standing
from moorage.model.domain_seen import Sight, Thing
from moorage.model.reasons import Reason

# Renewal begins when a third of the life is left, and up to a twentieth of the life earlier, so that certificates
# which were issued together are not renewed together.
LIFE_LEFT = 1 / 3
SPREAD = 1 / 20


@dataclass(frozen=True, slots=True)
class Pause:
    """How long a name waits after a failed attempt: twice as long each time."""

    first_seconds: float
    max_seconds: float


# After an attempt that nobody saw the end of, or that the world was in the way of.
AFTER_TROUBLE = Pause(10, 600)
# Five attempts in the first hour, which is what public authorities allow; then four in a day.
AFTER_REFUSAL = Pause(120, 21_600)
AFTER_REVOCATION = Pause(60, 86_400)

# What only a change on somebody else's side ends, and what costs the issuer nothing to look at again.
_CHEAP = frozenset({Reason.ACME_NOT_DELEGATED, Reason.PROVIDER_UNREACHABLE})


def pause_after(reason: Reason) -> Pause:
    """How a name whose attempt ended so is waited for."""
    return AFTER_TROUBLE if reason in _CHEAP else AFTER_REFUSAL


def renew_at(uid: str, certificate: Certificate) -> datetime:
    """From when on a certificate of this Domain is to be replaced; the same at every look."""
    life = certificate.not_after - certificate.not_before
    share = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) / 2**32
    return certificate.not_after - life * (LIFE_LEFT + SPREAD * share)


def due_in_seconds(record: DomainRecord, issuer: Issuer) -> float | None:
    """How long until a certificate is to be asked for, 0 for now; None: this Domain may have none."""
    if record.state is not DomainState.ACTIVE or record.standing is not Standing.HELD:
        return None
    if record.own and record.proven_at is None:
        return None
    if record.own and issuer is Issuer.CLOUDFLARE:
        return None  # it signs names in our own zone only; visitors meet the certificate at its edge
    kept = record.certificate
    if kept is None or kept.issuer is not issuer:
        return 0.0
    return max(0.0, (renew_at(record.uid, kept) - record.now).total_seconds())


def seen(record: DomainRecord, issuer: Issuer, offered: Collection[Issuer], problem: Reason | None) -> Thing:
    """How the certificate that is kept stands to the wish; `problem` is how the last attempt ended.

    One that is being renewed is THERE until it has run out. One of another issuer is DIFFERENT, and serves meanwhile.
    """
    if issuer not in offered:
        return Thing(sight=Sight.REFUSED, problem=Reason.ISSUER_UNKNOWN)
    kept = record.certificate
    if kept is not None and record.now >= kept.not_after:
        return Thing(sight=Sight.DIFFERENT, problem=Reason.CERTIFICATE_EXPIRED, id=kept.id)
    if kept is not None:
        wished = kept.issuer is issuer
        return Thing(sight=Sight.THERE if wished else Sight.DIFFERENT, problem=None if wished else problem, id=kept.id)
    if problem is None or problem is Reason.PROVIDER_UNREACHABLE:
        return Thing(sight=Sight.UNDER_WAY, problem=problem)
    return Thing(sight=Sight.REFUSED, problem=problem)
