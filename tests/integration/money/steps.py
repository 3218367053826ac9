"""What every rung of the ladder is played with: where choices come from, what a script may touch, one step of it."""

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import asyncpg

from moorage.store.database import Database
from moorage.store.leases import Leases
from moorage.store.ledger import Ledger
from tests.integration.money.model import Model

T = TypeVar("T")
SIZES = {"tiny": 1_000_000, "odd": 333_333, "large": 7_700_001}
GATEWAY = "gw"
MONTH_MICROS = 45  # what a host name costs
KEPT_MAX = 4


class Draw(Protocol):
    """Where choices come from: Hypothesis, or a seeded generator."""

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        ...

    def number(self, low: int, high: int) -> int:
        """Between both, inclusive."""
        ...


class Seeded:
    """Choices of a script that can be played again."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        """One of them."""
        return self._random.choice(options)

    def number(self, low: int, high: int) -> int:
        """Between both, inclusive."""
        return self._random.randint(low, high)


@dataclass
class Hands:
    """What an operation is done with: the application's database, and the owner's connection."""

    database: Database
    sql: "asyncpg.Connection[Any]"

    @property
    def ledger(self) -> Ledger:
        """The ledger as the application sees it."""
        return Ledger(self.database)

    @property
    def gateway(self) -> Leases:
        """A gateway in its first life; all scripts play the same one."""
        return Leases(self.database, gateway=GATEWAY, epoch=1)


@dataclass
class Place:
    """What a script may touch and what it has left open; two scripts share wallets and nodes, never agents or pods."""

    name: str
    now: int
    wallets: tuple[str, ...]
    agents: dict[str, str]  # uid to size
    down: set[str] = field(default_factory=set)  # agents that may not run
    pods: dict[str, str] = field(default_factory=dict)  # open pod to agent
    things: dict[str, list[Any]] = field(default_factory=dict)  # what else it has made, by what it is, oldest first
    count: int = 0

    def key(self) -> str:
        """A new key, the same whenever the script is played again."""
        self.count += 1
        return f"{self.name}-{self.count}"

    def uid(self) -> str:
        """The same as a UUID."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.key()))

    def number(self, wallet: str) -> int:
        """The id of a wallet."""
        return self.wallets.index(wallet) + 1

    def made(self, what: str) -> list[Any]:  # Any: what a diary can keep
        """The last things of a kind that this script has made; more of them is more to write to the diary."""
        things = self.things.setdefault(what, [])
        del things[:-KEPT_MAX]
        return things


@dataclass(frozen=True)
class Step:
    """One operation with all its arguments: calling it again must change nothing."""

    name: str
    call: Callable[[Hands], Awaitable[object]]
    apply: Callable[[Model], object]
    traces: tuple[tuple[str, str], ...] = ()
    """What must be found (a key of TRACES, and a key there) once the call was answered."""


# Each selects what of the given keys is not there.
TRACES = {
    "entry": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS (SELECT 1 FROM money.entry WHERE key = k)",
    "open": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS (SELECT 1 FROM money.run WHERE pod_uid = k::uuid)",
    "closed": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS"
    " (SELECT 1 FROM money.run r WHERE r.ended IS NOT NULL AND r.pod_uid = k::uuid)",
    "stored": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS (SELECT 1 FROM money.run r WHERE r.object = k)",
    "hosted": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS"
    " (SELECT 1 FROM moorage.domain d WHERE d.uid = k::uuid AND d.state <> 'Pending')",
    "payment": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS (SELECT 1 FROM money.payment p"
    " WHERE p.obj_id = split_part(k, '/', 1) AND p.version >= split_part(k, '/', 2)::bigint)",
    "correction": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS"
    " (SELECT 1 FROM money.correction c JOIN money.entry e ON e.key = 'Manual/' || c.id WHERE c.key = k)",
    "gift": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS"
    " (SELECT 1 FROM money.credit_grant g WHERE g.campaign = k)",
    "hold": "SELECT k FROM unnest($1::text[]) k WHERE NOT EXISTS (SELECT 1 FROM money.billing_hold WHERE ref = k)",
    # A report counts only where its slice was granted.
    "report": "SELECT k FROM unnest($1::text[]) k WHERE EXISTS"
    " (SELECT 1 FROM money.lease l WHERE l.id = split_part(k, '/', 1)::uuid)"
    " AND NOT EXISTS (SELECT 1 FROM money.usage u WHERE u.id = split_part(k, '/', 2)::uuid)",
}
