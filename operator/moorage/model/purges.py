"""Purge: notices before data is removed for good, why it is not, and what was done."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from moorage.model.names import AgentUid, SnapshotId


class Stage(StrEnum):
    """What a notice says; stored in the same words."""

    # Before an agent's data is purged, by the time that is left
    SEVEN_DAYS = "SevenDays"
    THREE_DAYS = "ThreeDays"
    ONE_DAY = "OneDay"
    # Of a host name
    MONTH_ENDS = "MonthEnds"  # in three days, and the credit does not suffice for the next month
    MONTH_UNPAID = "MonthUnpaid"  # it has ended
    RELEASE_SOON = "ReleaseSoon"  # a day before the name is given up


class Outcome(StrEnum):
    """What comes of asking to start a purge: it has started, or why not; answered by the database in these words."""

    STARTED = "Started"
    CROSSED = "Crossed"  # it is not what it was any more
    TOO_EARLY = "TooEarly"
    # Agents
    WALLET_CAN_PAY = "WalletCanPay"
    WALLET_ON_HOLD = "WalletOnHold"
    NOTICE_MISSING = "NoticeMissing"  # one was not delivered, or the last one less than a day ago
    PAYMENT_MAY_COME = "PaymentMayCome"
    # Snapshots
    KEPT = "Kept"
    SNAPSHOT_IN_USE = "SnapshotInUse"
    # Everything
    HISTORY_IN_DOUBT = "HistoryInDoubt"
    STOPPED = "Stopped"
    BRAKE_ENGAGED = "BrakeEngaged"


GATE_SHUT = frozenset({Outcome.HISTORY_IN_DOUBT, Outcome.STOPPED, Outcome.BRAKE_ENGAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice to the owner of an agent or a Domain; the same uid, deadline and stage is the same notice."""

    kind: str  # Agent or Domain
    uid: str
    namespace: str
    name: str
    wallet: str
    deadline: datetime  # of what is announced: the purge, the end of the month, the release
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What holds for all purges at this moment."""

    now: datetime
    stopped_at: datetime | None
    engaged_at: datetime | None
    doubt: str | None
    per_hour: int  # data keys that may be destroyed in an hour
    lately: int  # of these, used up
    living: int  # snapshots whose key exists
    entombed: int  # snapshots that are removed soon
    objects_left: int  # objects without a key that the store still has


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An agent whose grace counts down."""

    namespace: str
    agent: str
    wallet: str
    state: str
    purge_at: datetime
    told: int  # notices that were delivered
    purge_after: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One line of the audit."""

    at: datetime
    step: str
    cause: str | None
    agent_uid: AgentUid | None
    snapshot_id: SnapshotId | None
    volume_uid: str | None
    actor: str
    reason: str
