"""What a Domain's transition asks for; each is safe to repeat until it is seen to have happened."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for the name."""


@dataclass(frozen=True, slots=True)
class LookForProof:
    """Ask the resolvers, beside the queue, whether the name shows its challenge."""


@dataclass(frozen=True, slots=True)
class KeepName:
    """Wish for the record (or the custom host name) at the provider."""


@dataclass(frozen=True, slots=True)
class KeepCertificate:
    """Wish for a certificate that is in force."""


@dataclass(frozen=True, slots=True)
class PayMonth:
    """Charge the month that is due."""


@dataclass(frozen=True, slots=True)
class ApplyRoute:
    """Lead requests to the agent, or to the page that says it is away."""

    away: bool


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Lead requests nowhere."""


@dataclass(frozen=True, slots=True)
class RemoveName:
    """Take the record and the custom host name away at the provider."""


@dataclass(frozen=True, slots=True)
class RevokeCertificate:
    """Take the certificate back and forget its key."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the name up; its quarantine begins."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left outside: let the object go."""


Effect = (
    Claim
    | LookForProof
    | KeepName
    | KeepCertificate
    | PayMonth
    | ApplyRoute
    | RemoveRoute
    | RemoveName
    | RevokeCertificate
    | Release
    | Finish
)
