"""What the ledger answers: frozen views of wallets, entries, runs and settlements."""

from dataclasses import dataclass
from datetime import datetime

from moorage.model.names import AgentUid, PodUid, WalletId
from moorage.model.wallet import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The result of a grant; `resumed` counts the agents whose suspension for money it lifted."""

    balance_micros: int
    repeated: bool  # the key was used before for the same grant; nothing was booked this time
    standing: Standing
    missing_micros: int
    resumed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A correction that waits for a second person, or was asked for before with the same key."""

    correction_id: int
    repeated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """The result of a correction."""

    wallet_name: str
    amount_micros: int
    balance_micros: int
    standing: Standing
    repeated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionView:
    """One correction that waits for a second person."""

    id: int
    wallet: str
    amount_micros: int
    reason: str
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """One reason why a wallet is on hold."""

    cause: str  # Dispute, Verification or Manual
    ref: str
    placed_at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge moved, and what the remaining wallet has now."""

    moved_micros: int
    balance_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one settlement did, and when the next wallet is due."""

    wallets: int
    exhausted: int
    next_due_s: int | None
    now_s: float  # the database clock


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """One run whose meter is open."""

    agent_uid: AgentUid
    pod_uid: PodUid
    namespace: str
    name: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """One wallet at the moment of the read."""

    id: WalletId
    name: str
    standing: Standing
    balance_micros: int  # booked: what the entries add up to
    live_balance_micros: int  # what is left at `now`: booked minus what has accrued since the last settlement
    held_micros: int
    burn_picos: int  # per second, of all runs that are being charged
    zero_at: datetime | None  # predicted, or the second that could not be paid; None while nothing burns
    runway_seconds: int | None  # until zero_at, not below 0
    missing_micros: int  # what a top-up must at least bring before agents resume
    low_by_runway: bool  # it is Low because it will soon be empty, whatever its balance
    limit_reached: bool  # its spend limit is used up until midnight UTC
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One movement of a wallet."""

    seq: int
    kind: str  # Grant, Usage or Correction
    amount_micros: int
    balance_after_micros: int
    effective_at: datetime
    key: str | None
    reason: str | None
    actor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One invariant: how many rows break it, up to ten of their keys, and the wallets of up to a hundred of them."""

    id: str
    sentence: str
    violations: int
    examples: tuple[str, ...]
    wallets: tuple[int, ...]
    milliseconds: int  # how long the check took


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One block of the chain of hashes over everything that was booked."""

    no: int
    from_xid: int
    to_xid: int  # the first transaction that is not in it
    entries: int
    system_entries: int
    hash: str  # hexadecimal
    at: datetime
