"""What a gateway is asked for, and what it gives: a request before it is admitted, and its ticket."""

from dataclasses import dataclass

from moorage.model.errors import MoorageError
from moorage.model.names import AgentUid, WalletId
from moorage.model.spending import ModelPrice


class OutOfCredit(MoorageError):
    """The wallet cannot pay for this request; nothing may be sent to its provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request before it is admitted: the input is counted, the output is what it may have at most."""

    wallet: WalletId
    agent_uid: AgentUid
    price: ModelPrice
    input_tokens: int
    output_tokens_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An admitted request. A small wallet may afford less output than was asked for: the provider must be told."""

    id: str
    ask: Ask
    lease_id: str | None
    output_tokens_max: int
    worst_picos: int
