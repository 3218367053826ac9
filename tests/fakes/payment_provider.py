"""A payment provider with a memory, in the recorded shapes of Stripe: payments, refunds, disputes, and their events."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage.model.errors import Unavailable

RECORDED = Path(__file__).parents[1] / "recorded"
PENALTY_EXT = 1_500


def recorded(name: str) -> Any:  # Any: JSON
    """One recorded document."""
    return json.loads((RECORDED / f"{name}.json").read_text())


@dataclass
class PaymentProvider:
    """What a test does to the provider's objects; every change leaves an event, as (event id, object id)."""

    documents: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)
    fetches: int = 0
    down: bool = False

    def pay(self, obj_id: str, wallet_id: int | str, *, amount: int = 1_000, paid: bool = True, **said: Any) -> None:
        """A payment is made, or, while `paid` is false, on its way."""
        document = recorded("stripe_payment_intent")
        intent = document["payment_intent"]
        intent |= {"id": obj_id, "amount": amount, "amount_received": amount if paid else 0} | said
        intent["metadata"] = {"moorage_wallet": str(wallet_id)}
        intent["status"] = "succeeded" if paid else "processing"
        if not paid:
            intent["latest_charge"] = None
        self.documents[obj_id] = document
        self._tell(obj_id)

    def refund(self, obj_id: str, amount: int) -> None:
        """So much more is refunded."""
        self.documents[obj_id]["payment_intent"]["latest_charge"]["amount_refunded"] += amount
        self._tell(obj_id)

    def dispute(self, obj_id: str, amount: int = 1_000) -> None:
        """A dispute withdraws an amount."""
        dispute = recorded("stripe_dispute")
        dispute["balance_transactions"][0]["amount"] = -amount
        self.documents[obj_id]["disputes"]["data"].append(dispute)
        self._tell(obj_id)

    def win(self, obj_id: str) -> None:
        """The last dispute is won: what it withdrew and its fee come back."""
        dispute = self.documents[obj_id]["disputes"]["data"][-1]
        back = copy.deepcopy(dispute["balance_transactions"][0])
        back |= {"amount": -back["amount"], "fee": -back["fee"], "reporting_category": "dispute_reversal"}
        dispute["balance_transactions"].append(back)
        dispute["status"] = "won"
        self._tell(obj_id)

    def lose(self, obj_id: str) -> None:
        """The last dispute is lost."""
        self.documents[obj_id]["disputes"]["data"][-1]["status"] = "lost"
        self._tell(obj_id)

    async def fetch(self, obj_id: str) -> bytes | None:
        """The object as it is now."""
        self.fetches += 1
        if self.down:
            raise Unavailable("the provider does not answer")
        document = self.documents.get(obj_id)
        return document if document is None or isinstance(document, bytes) else json.dumps(document).encode()

    def _tell(self, obj_id: str) -> None:
        self.events.append((f"evt_{len(self.events)}", obj_id))
