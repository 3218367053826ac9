"""What the tests of leases and holds share: prices, ids and finished requests."""

import itertools
import uuid

from moorage.model.names import AgentUid
from moorage.model.spending import FinishedRequest, ModelPrice, Tokens
from tests.integration.money.world import START_S

AGENT = AgentUid("00000000-0000-4000-8000-00000000000a")
# One micro-credit per token of output, a third of one per token of input, 37,500 pico-credits per cached one.
PRICE = ModelPrice(model="opus", input_picos=333_333, output_picos=1_000_000, cached_picos=37_500)

_numbers = itertools.count(1)


def request_id(at_s: int = START_S) -> str:
    """A UUIDv7 of a second."""
    return str(uuid.UUID(int=(at_s * 1000 << 80) | 7 << 76 | 2 << 62 | next(_numbers)))


def lease_id() -> str:
    """A new lease's id."""
    return str(uuid.uuid4())


def finished(
    lease: str | None, output: int, *, request: str | None = None, fresh: int = 0, cached: int = 0
) -> FinishedRequest:
    """A request that is over."""
    return FinishedRequest(
        id=request or request_id(), lease_id=lease, agent_uid=AGENT, price=PRICE, tokens=Tokens(fresh, output, cached)
    )
