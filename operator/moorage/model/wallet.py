"""Wallet: who pays."""

from enum import StrEnum
from typing import Any

import msgspec

from moorage.model.budget import Budget
from moorage.model.metadata import Metadata


class Standing(StrEnum):
    """What a wallet can do; stored by the ledger in the wallet row, in the same words."""

    FUNDED = "Funded"
    LOW = "Low"
    EXHAUSTED = "Exhausted"
    ON_HOLD = "OnHold"


class Veto(StrEnum):
    """What of the money keeps an agent down; of several the ledger names the first of these."""

    BILLING_ON_HOLD = "BillingOnHold"  # ends with the hold
    ZERO_BALANCE = "ZeroBalance"  # ends with a top-up
    BUDGET_REACHED = "BudgetReached"  # ends at midnight UTC, or with a larger budget


class LowBalance(msgspec.Struct, frozen=True, rename="camel"):
    """Notice and condition below this balance; `credits` is a decimal number."""

    credits: str


class WalletSpec(msgspec.Struct, frozen=True, rename="camel"):
    """spec of a Wallet."""

    display_name: str = ""
    low_balance: LowBalance | None = None
    spend_limit: Budget | None = None


class Wallet(msgspec.Struct, frozen=True, rename="camel"):
    """A Wallet as the API server shows it."""

    metadata: Metadata
    spec: WalletSpec = WalletSpec()
    status: dict[str, Any] = {}


def from_manifest(manifest: Any) -> Wallet:
    """Parse a Wallet; raises msgspec.ValidationError when the manifest does not fit."""
    return msgspec.convert(manifest, Wallet)
