"""A wallet in memory: one price, whole micros by the second, and the vetoes that follow from it.

It knows what the lifecycle asks of money: when an agent must stop, when it may come back, and which seconds a pod's run
is charged for. The ledger's own arithmetic has an oracle of its own (tests/integration/money).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from moorage.model.clock import from_epoch
from moorage.model.names import WalletId
from moorage.model.rates import Stored
from moorage.model.record import WalletFacts
from moorage.model.wallet import Standing, Veto

RATE_MICROS = 1  # per second and pod


@dataclass
class Run:
    """A pod's meter."""

    agent_uid: str
    pod_uid: str
    container_id: str
    node: str
    started: int
    cursor: int  # charged up to here
    cut_at: int | None = None  # never charged beyond
    ended: int | None = None


@dataclass
class Shelf:
    """A storage meter."""

    agent_uid: str
    stored: Stored
    open: bool = True


@dataclass
class Purse:
    """One wallet with its runs; `proven` says how far each node is known to have run."""

    name: str
    proven: dict[str, int]
    balance: int = 0
    cut_at: int | None = 0  # without credit it is exhausted from its first second
    runs: list[Run] = field(default_factory=list)
    shelves: list[Shelf] = field(default_factory=list)
    changed: Callable[["Purse"], None] = lambda purse: None  # its veto may have changed
    goes_on: Callable[[str], bool] = lambda agent_uid: True  # whether an agent runs, or is about to

    @property
    def veto(self) -> Veto | None:
        """What the money says to all agents of this wallet."""
        return None if self.cut_at is None else Veto.ZERO_BALANCE

    def facts(self, seconds: float) -> WalletFacts:
        """As the agent's record shows the wallet."""
        zero = self.zero() if self._open() else None
        return WalletFacts(
            id=WalletId(1),
            name=self.name,
            standing=Standing.FUNDED if self.cut_at is None else Standing.EXHAUSTED,
            low_by_runway=False,
            zero_at=None if zero is None else from_epoch(zero),
            missing_micros=0 if self.cut_at is None else 1,
            veto=self.veto,
            empty=self.cut_at is not None,
        )

    def stored_of(self, agent_uid: str) -> tuple[Stored, ...]:
        """What of an agent's storage is metered."""
        return tuple(shelf.stored for shelf in self.shelves if shelf.open and shelf.agent_uid == agent_uid)

    def zero(self) -> int | None:
        """The first second that cannot be paid if everything open goes on; None while nothing burns."""
        if self.cut_at is not None:
            return self.cut_at
        burning = self._burning()
        if not burning:
            return None
        # With one price the runs share what is there; who began later owes less.
        return (self.balance + sum(run.cursor * RATE_MICROS for run in burning)) // (RATE_MICROS * len(burning))

    def settle(self, t: int) -> None:
        """Charge what is proven up to `t`; at zero the agents are stopped."""
        if self.cut_at is not None:
            return
        burning = self._burning()
        zero = self.zero()
        for run in burning:
            upto = max(run.cursor, min(t, self.proven.get(run.node, 0), t if zero is None else zero))
            self.balance -= (upto - run.cursor) * RATE_MICROS
            run.cursor = upto
        if zero is not None and zero <= t and all(run.cursor >= zero for run in burning):
            self.cut_at = zero
            self.changed(self)

    def grant(self, micros: int, t: int) -> None:
        """New credit; everybody may come back, and the seconds in between are nobody's."""
        self.settle(t)
        self.balance += micros
        if self.cut_at is None:
            return
        cut, self.cut_at = self.cut_at, None
        self.changed(self)
        for run in self._open():
            if run.cut_at is None and self.goes_on(run.agent_uid):
                run.cursor = max(run.cursor, t)
            else:
                run.cut_at = run.cut_at if run.cut_at is not None else max(cut, run.started)

    def open(self, run: Run, t: int) -> None:
        """A container runs: its meter starts, and that of the one before it ends there."""
        if any((one.pod_uid, one.container_id) == (run.pod_uid, run.container_id) for one in self.runs):
            return
        self.settle(t)
        begins = min(run.started, t)
        of_agent = [one for one in self.runs if one.agent_uid == run.agent_uid]
        for older in of_agent:
            if older.ended is None:
                self._finish(older, begins)
        begins = max([begins, *(one.ended for one in of_agent if one.ended is not None)])
        run.started = run.cursor = begins
        run.cut_at = begins if self.cut_at is not None else None
        self.runs.append(run)
        self.proven.setdefault(run.node, 0)

    def close(self, run: Run, ended: int | None, t: int) -> None:
        """A pod is gone: its meter ends at a proven second, or where its node's proof ends."""
        self.settle(t)
        self._finish(run, min(t, self.proven.get(run.node, 0) if ended is None else ended))

    def _finish(self, run: Run, ended: int) -> None:
        last = max(ended, run.started)
        if run.cut_at is None:
            # Given back when it was charged beyond the end, else charged as far as there is credit.
            micros = min(max(self.balance, 0), (last - run.cursor) * RATE_MICROS)
            if self.cut_at is None or micros < 0:
                self.balance -= micros
                run.cursor += micros // RATE_MICROS
        run.cursor = min(run.cursor, last)
        run.ended = last

    def _open(self) -> list[Run]:
        return [run for run in self.runs if run.ended is None]

    def _burning(self) -> list[Run]:
        return [run for run in self._open() if run.cut_at is None]
