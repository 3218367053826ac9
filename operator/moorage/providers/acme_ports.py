"""What the ACME issuer asks of the house: an account, and a place where texts can be shown in the DNS."""

from dataclasses import dataclass
from typing import Protocol

from moorage.model.errors import Transient


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeAccount:
    """Our account at one authority."""

    key_pem: bytes
    uri: str | None
    """The authority's name of it; None: it is not registered there."""


class AccountUnknown(Transient):
    """The authority does not know our account; it has to be registered again."""


class AcmeAccounts(Protocol):
    """Keeps the account of this installation at one authority."""

    async def load(self) -> AcmeAccount:
        """The account; its key is made when there is none, once for all processes. Raises Unavailable."""

    async def note(self, uri: str | None) -> None:
        """What the authority calls it; None: it no longer knows it."""


class ChallengeBoard(Protocol):
    """Shows texts in our zone to whoever asks the DNS. Raises Transient, Unavailable or Permanent."""

    async def present(self, name: str, text: str) -> None:
        """Have a TXT record of this name and text."""

    async def remove(self, name: str, text: str) -> None:
        """Take it away again; one that is gone already is fine."""

    async def shows(self, name: str, text: str) -> bool:
        """Whether the zone's own servers answer with it by now, all of them."""

    async def leads_to(self, name: str, target: str) -> bool:
        """Whether a name, which may be anybody's, is a CNAME of the target. Raises Unavailable when nobody says."""
