"""What a model gateway spends: prices of tokens, finished requests, leases and holds."""

from dataclasses import dataclass
from enum import StrEnum

from moorage.model.names import AgentUid
from moorage.model.wallet import Standing


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one request; cached ones are those of the input that the provider did not have to read again."""

    input: int
    output: int
    cached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """Pico-credits per token. 10**6 is one credit per million tokens, so every usual price is a whole number."""

    model: str
    input_picos: int
    output_picos: int
    cached_picos: int

    def of(self, tokens: Tokens) -> int:
        """What these tokens cost, in pico-credits."""
        return tokens.input * self.input_picos + tokens.cached * self.cached_picos + tokens.output * self.output_picos


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRequest:
    """One request that is over, at the price it was admitted with; `lease_id` is None when it has a hold of its own."""

    id: str  # a UUIDv7: the day in it says where the row is kept
    lease_id: str | None
    agent_uid: AgentUid
    price: ModelPrice
    tokens: Tokens

    @property
    def cost_picos(self) -> int:
        """What it costs."""
        return self.price.of(self.tokens)


class Reservation(StrEnum):
    """What has become of a lease or a hold."""

    OPEN = "Open"
    REFUSED = "Refused"  # the wallet cannot spare it; there is no row
    CLOSED = "Closed"
    SETTLED = "Settled"
    VOIDED = "Voided"
    EXPIRED = "Expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as the ledger answered: what was granted, and what of it has been reported as spent."""

    id: str
    granted_micros: int
    spent_picos: int
    state: Reservation
    standing: Standing
    spare_micros: int = 0  # what more could be set aside; told when a lease is opened or resized
    asked_back: bool = False
