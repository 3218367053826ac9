"""Payments from outside, in the words of no provider: what was paid, given back and disputed, and why not booked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model.errors import MoorageError


class Source(StrEnum):
    """Where money comes from; stored by the ledger in the same words."""

    STRIPE = "Stripe"
    TRIBUTE = "Tribute"
    CHAIN = "Chain"


class GrantKind(StrEnum):
    """Credit that is given, not bought."""

    PROMO = "Promo"
    PLAN = "Plan"


class Trouble(StrEnum):
    """Why a payment waits in suspense instead of being booked."""

    UNKNOWN_WALLET = "UnknownWallet"
    WALLET_CLOSED = "WalletClosed"
    UNKNOWN_CURRENCY = "UnknownCurrency"
    UNKNOWN_PRODUCT = "UnknownProduct"
    AMOUNT_REFUSED = "AmountRefused"
    AMOUNT_OVERFLOW = "AmountOverflow"
    REFUND_ABOVE_PAYMENT = "RefundAbovePayment"
    PAYMENT_CHANGED = "PaymentChanged"
    MALFORMED_PAYLOAD = "MalformedPayload"
    UNREADABLE = "Unreadable"


class Unbookable(MoorageError):
    """A payment that a person has to look at; nothing of it may be booked."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute of a payment: what it has withdrawn by now, and whether that is final."""

    withdrawn_ext: int
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSnapshot:
    """One payment object as its provider shows it now; amounts are sums in the smallest unit of its currency."""

    source: Source
    obj_id: str
    currency: str
    amount_ext: int
    paid: bool  # the money has arrived and cannot fail any more
    refunded_ext: int = 0
    disputes: tuple[Dispute, ...] = ()
    wallet_id: int | None = None  # whom the object names
    payer: str | None = None  # who paid, as the provider knows them
    product: str | None = None  # what was bought, where the product decides the credit
    fee_currency: str | None = None
    fee_ext: int = 0  # what the provider kept
    penalty_ext: int = 0  # what the provider asks for disputes


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What the ledger is asked to make true of a payment; `rate_num`/`rate_den` micro-credits are one unit."""

    source: Source
    obj_id: str
    wallet_id: int | None
    payer: str | None
    currency: str
    paid_ext: int
    refunded_ext: int
    disputed_ext: int
    lost_ext: int
    fee_micros: int
    penalty_micros: int
    rate_num: int
    rate_den: int


class Outcome(StrEnum):
    """What became of one look at a payment."""

    APPLIED = "Applied"
    UNCHANGED = "Unchanged"
    STALE = "Stale"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The ledger's answer to a posting."""

    outcome: Outcome
    reason: Trouble | None
    wallet_id: int | None
    resumed: int  # agents whose suspension for money it lifted


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One object whose events were taken from the inbox."""

    source: Source
    obj_id: str
    events: tuple[str, ...]
    attempts: int
    version: int  # microseconds of the database's clock, read before the object is


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """One payment as it is booked."""

    source: Source
    obj_id: str
    wallet: str | None
    payer: str | None
    currency: str
    ext_amount: int
    granted_micros: int
    reversed_micros: int
    disputed_micros: int
    state: str
    trouble: Trouble | None  # why it waits in suspense
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What of the payments is not done yet."""

    waiting: int  # payments that wait for a person
    overdue: int  # those of them whose deadline is over
    oldest_event_seconds: int  # how long the oldest event has waited for a look; 0 when none does


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseView:
    """One payment that waits for a person."""

    source: Source
    obj_id: str
    trouble: Trouble
    opened_at: datetime
    deadline: datetime
    overdue: bool
