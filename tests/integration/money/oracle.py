"""The ledger told again, second by second: no burn, no carry, no closed form; the independent opinion on every sum."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

PICOS = 1_000_000


@dataclass
class Node:
    """How far a node is proven."""

    proven: int
    seen_at: int
    silent: bool = False


@dataclass
class Agent:
    """The bits of an agent's record that money touches."""

    wallet: "Wallet"
    size: str
    state: str = "Running"
    veto: str | None = None
    paused: bool = False
    stop_recorded: bool = False
    fence: int = 1


@dataclass
class Run:
    """One run with every second it was charged for, absorbed or waived; storage has no node."""

    agent: Agent
    node: Node | None
    started: int
    priced: str
    cursor: int
    quantity: int = 1
    burning: bool = False
    frozen_at: int | None = None
    ended: int | None = None
    paid: set[int] = field(default_factory=set)
    absorbed: set[int] = field(default_factory=set)
    waived: set[int] = field(default_factory=set)

    @property
    def silent(self) -> bool:
        """Whether nobody can prove it."""
        return self.node is not None and self.node.silent

    def proven(self, now: int) -> int:
        """Storage is there until it is freed."""
        return now if self.node is None else self.node.proven


@dataclass
class Wallet:
    """Exact credit in picos, and the second up to which its burning runs are charged."""

    head: int
    picos: int = 0  # without what is set aside
    held: int = 0  # micros that are set aside
    moved: int = 0  # the sum of all that came in and was taken back, other than usage
    cut: int | None = None
    standing: str = "Exhausted"  # as its agents know it
    on_hold: bool = False
    asked_back_at: int | None = None
    low_micros: int = 0
    grace: int = 0  # what its storage has cost the platform since the cut

    @property
    def micros(self) -> int:
        """The balance as it is booked: a part of a micro counts as spent only when it is whole."""
        return math.ceil(self.picos / PICOS) + self.held


class Oracle:
    """All wallets of one ledger; each method is one call of the ledger."""

    def __init__(self, *, now: int, catchup_max: int, silent_after: int, resume_minimum: int, grace: int = 0) -> None:
        self.now = now
        self.catchup_max = catchup_max
        self.silent_after = silent_after
        self.resume_minimum = resume_minimum
        self.grace = grace
        self.low_runway = 86_400
        self.prices: dict[str, list[tuple[int, int]]] = {}  # by size or meter: from when, how much
        self.nodes: dict[str, Node] = {}
        self.wallets: dict[str, Wallet] = {}
        self.agents: dict[str, Agent] = {}
        self.runs: list[Run] = []

    def open_runs(self, wallet: Wallet) -> list[Run]:
        """The wallet's runs that have not ended."""
        return [run for run in self.runs if run.agent.wallet is wallet and run.ended is None]

    def price(self, priced: str, second: int) -> int:
        """The price of a size or meter at a second."""
        versions = self.prices[priced]
        return next((picos for begins, picos in reversed(versions) if begins <= second), versions[0][1])

    def rate(self, run: Run, second: int) -> int:
        """What this second of a run costs."""
        return self.price(run.priced, second) * run.quantity

    # ------------------------------------------------------------------ the ledger's calls

    def add_wallet(self, name: str, low_micros: int) -> None:
        """A wallet without credit is exhausted."""
        self.wallets[name] = Wallet(head=self.now, cut=self.now, low_micros=low_micros)

    def grant(self, name: str, micros: int) -> None:
        """Old seconds first, then the credit, then whoever it suffices for."""
        wallet = self.wallets[name]
        self.settle(wallet)
        self._post(wallet, micros)
        self._conclude(wallet)

    def missing(self, wallet: Wallet) -> int:
        """What keeps the agents down."""
        down = [
            self.price(agent.size, self.now)
            for agent in self.agents.values()
            if agent.wallet is wallet and agent.veto and not agent.paused
        ]
        stored = [
            self.rate(run, wallet.head if run.burning else run.cursor)
            for run in self.open_runs(wallet)
            if run.node is None
        ]
        parts = [math.ceil(sum(rates) * self.resume_minimum / PICOS) for rates in (down, stored)]
        return max(1, sum(parts)) - (wallet.micros - wallet.held)

    def open(self, agent: Agent, node_name: str, started: int) -> Run:
        """Start a meter."""
        wallet = agent.wallet
        now = max(self.now, wallet.head)
        self._advance(wallet, now)
        ends = [run.ended for run in self.runs if run.agent is agent and run.node and run.ended is not None]
        begins = max([min(started, now), *ends])
        node = self.nodes.setdefault(node_name, Node(proven=0, seen_at=now))
        run = Run(agent=agent, node=node, started=begins, priced=agent.size, cursor=begins)
        self.runs.append(run)
        self.settle(wallet)
        return run

    def store(self, agent: Agent, meter: str, mib: int, older: Run | None) -> Run:
        """Start or resize the meter of a volume or snapshot."""
        wallet = agent.wallet
        now = max(self.now, wallet.head)
        self._advance(wallet, now)
        begins = now if older is None else max(now, older.started)
        if older is not None:
            self._finish_storage(older, begins)
        run = Run(agent=agent, node=None, started=begins, priced=meter, cursor=begins, quantity=mib)
        self.runs.append(run)
        self.settle(wallet)
        return run

    def free(self, run: Run) -> None:
        """It is gone."""
        wallet = run.agent.wallet
        self.settle(wallet)
        self._finish_storage(run, max(run.started, self.now, wallet.head))
        self._decide(wallet)

    def _finish_storage(self, run: Run, now: int) -> None:
        self._carry(run.agent.wallet, now)
        self._finish(run, now)

    def close(self, run: Run, ended: int | None) -> None:
        """Stop a meter: give back what lies beyond the end, or charge what is still owed."""
        wallet = run.agent.wallet
        self.settle(wallet)
        now = max(self.now, wallet.head)
        self._finish(run, max(run.started, min(now, run.proven(now) if ended is None else ended)))
        self._decide(wallet)

    def _finish(self, run: Run, last: int) -> None:
        wallet = run.agent.wallet
        was_burning, run.burning = run.burning, False
        done = wallet.head if was_burning else run.cursor
        if last < done:
            wallet.picos += sum(self.rate(run, second) for second in run.paid if second >= last)
            run.paid = {second for second in run.paid if second < last}
            run.absorbed = {second for second in run.absorbed if second < last}
            run.waived = {second for second in run.waived if second < last}
        else:
            limits = [limit for limit in (last, wallet.cut, run.frozen_at) if limit is not None]
            upto = max(done, min(limits))
            reserved = 0
            if wallet.cut is not None:
                burn = sum(self.rate(other, wallet.head) for other in self.open_runs(wallet) if other.burning)
                reserved = burn * (wallet.cut - wallet.head)
            broke = False
            for second in range(done, last):
                owed = upto - self.catchup_max <= second < upto and not broke
                if owed and wallet.picos - reserved >= self.rate(run, second):
                    wallet.picos -= self.rate(run, second)
                    run.paid.add(second)
                else:
                    broke = broke or owed
                    run.absorbed.add(second)
        run.ended = run.cursor = last

    def reprice(self) -> None:
        """Settle the wallets with burning runs whose price has changed by now."""
        for wallet in self.wallets.values():
            if (wallet.cut is None or wallet.head < wallet.cut) and any(
                wallet.head < begins <= self.now
                for run in self.open_runs(wallet)
                if run.burning
                for begins, _ in self.prices[run.priced][1:]
            ):
                self.settle(wallet)

    def state(self, wallet: Wallet) -> None:
        """The statement loop: settle, and carry the storage of an empty wallet."""
        if self.open_runs(wallet):
            self.settle(wallet)
            self._carry(wallet, max(self.now, wallet.head))

    def _carry(self, wallet: Wallet, now: int) -> None:
        burning = [run for run in self.open_runs(wallet) if run.burning]
        if wallet.cut is None or (wallet.head < wallet.cut and burning):
            return
        for run in self.open_runs(wallet):
            if run.node is not None:
                continue
            first = wallet.head if run.burning else run.cursor
            spent: dict[int, bool] = {}
            for second in range(first, now):
                # Within one price: once a second is not covered, none after it is.
                cost = self.rate(run, second)
                covered = wallet.grace + cost <= self.grace * PICOS and not spent.get(cost, False)
                if covered:
                    wallet.grace += cost
                    run.absorbed.add(second)
                else:
                    spent[cost] = True
                    run.waived.add(second)
            if first < now:
                run.burning, run.cursor = False, now

    def prove(self, proofs: dict[str, int]) -> None:
        """Nodes move forward; the silent park, the proven join."""
        for name, proof in proofs.items():
            node = self.nodes.setdefault(name, Node(proven=0, seen_at=self.now))
            if min(proof, self.now) > node.proven:
                node.proven, node.seen_at, node.silent = min(proof, self.now), self.now, False
        for node in self.nodes.values():
            node.silent = node.silent or self.now - node.seen_at > self.silent_after
        for wallet in self.wallets.values():
            if any(run.burning and run.silent for run in self.open_runs(wallet)):
                self._advance(wallet, max(self.now, wallet.head))
                for run in self.open_runs(wallet):
                    if run.burning and run.silent:
                        run.burning, run.cursor = False, wallet.head
                self._decide(wallet)
        for wallet in self.wallets.values():
            if any(
                not run.burning and run.frozen_at is None and not run.silent
                and (wallet.cut is None or run.cursor < wallet.cut)
                for run in self.open_runs(wallet)
            ):  # fmt: skip
                self.settle(wallet)

    def settle(self, wallet: Wallet) -> None:
        """Charge what is proven and affordable, and draw the consequences."""
        self._advance(wallet, max(self.now, wallet.head))
        self._decide(wallet)

    # ------------------------------------------------------------------ second by second

    def _advance(self, wallet: Wallet, now: int) -> None:
        burning = [run for run in self.open_runs(wallet) if run.burning]
        bounds = [run.node.proven for run in self.runs if run.burning and run.node]
        target = max(wallet.head, min([now, *bounds, *([] if wallet.cut is None else [wallet.cut])]))
        joining = [
            run
            for run in self.open_runs(wallet)
            if not run.burning and run.frozen_at is None and not run.silent
            and run.proven(now) >= max(wallet.head, run.cursor)
            and (wallet.cut is None or run.cursor < wallet.cut)
        ]  # fmt: skip
        target = min([target, *(run.proven(now) for run in joining)])
        joining = [run for run in joining if run.cursor <= target]
        oldest = target - self.catchup_max
        # What burns for nothing leaves its wallet idle.
        idle = not any(self.rate(run, wallet.head) for run in burning)
        if not idle:
            for run in burning:
                run.absorbed |= set(range(wallet.head, oldest))
            wallet.head = max(wallet.head, oldest)
        steps = [begins for run in burning for begins, _ in self.prices[run.priced] if wallet.head < begins <= target]
        lived: list[tuple[Run, int]] = []
        zero = None
        for second in range(min([wallet.head, *(run.cursor for run in joining)]), target):
            payers = [run for run in burning if second >= wallet.head]
            payers += [run for run in joining if second >= max(run.cursor, oldest)]
            cost = sum(self.rate(run, second) for run in payers)
            if cost and cost > wallet.picos:
                zero = second
                break
            wallet.picos -= cost
            lived += [(run, second) for run in payers if run in burning]
            for run in payers:
                if run not in burning:
                    run.paid.add(second)
        settled = target if zero is None else max(zero, wallet.head)
        joined = [run for run in joining if max(run.cursor, oldest) <= settled]
        for run in joined:
            run.burning = True
            run.absorbed |= set(range(run.cursor, settled)) - run.paid
        if not idle or joined or steps:
            wallet.head = settled
            for run, second in lived:
                run.paid.add(second)
        if zero is not None and not self._awaits(wallet, now):
            wallet.cut = wallet.head

    def _ahead(self, wallet: Wallet, last: int) -> Iterator[tuple[int, int, int]]:
        """Each second up to the last one if everything open goes on: what it costs, and what is left to pay it with."""
        counted = [run for run in self.open_runs(wallet) if run.burning or not (run.frozen_at or run.silent)]
        begins = {id(run): wallet.head if run.burning else max(run.cursor, wallet.head - self.catchup_max)
                  for run in counted}  # fmt: skip
        left = wallet.picos
        for second in range(min(begins.values(), default=last + 1), last + 1):
            cost = sum(self.rate(run, second) for run in counted if begins[id(run)] <= second)
            yield second, cost, left
            left -= cost

    def zero_until(self, wallet: Wallet, now: int) -> int | None:
        """The first second up to now that cannot be paid if everything open goes on."""
        seconds = self._ahead(wallet, now)
        return next((max(second, wallet.head) for second, cost, left in seconds if cost and cost > left), None)

    def is_low(self, wallet: Wallet) -> bool:
        """Whether the balance is below the mark by now, or zero within the runway; what is low, a tenth above both."""
        if wallet.low_micros == 0:
            return False
        mark, runway = wallet.low_micros, self.low_runway
        if wallet.standing == "Low":
            mark, runway = mark + -(-mark // 10), runway + -(-runway // 10)
        now = max(self.now, wallet.head)
        left = wallet.picos - sum(cost for _, cost, _ in self._ahead(wallet, now - 1))
        return math.ceil(left / PICOS) + wallet.held < mark or self.zero_until(wallet, now + runway) is not None

    def _stands(self, wallet: Wallet) -> str:
        if wallet.on_hold or wallet.cut is not None:
            return "OnHold" if wallet.on_hold else "Exhausted"
        return "Low" if self.is_low(wallet) else "Funded"

    def _post(self, wallet: Wallet, micros: int) -> None:
        wallet.picos += micros * PICOS
        wallet.moved += micros

    def _awaits(self, wallet: Wallet, now: int) -> bool:  # a model that knows slices says more
        """Whether zero is put off because credit that is set aside may come back."""
        return False

    def _decide(self, wallet: Wallet) -> None:
        now = max(self.now, wallet.head)
        zero = self.zero_until(wallet, now)
        is_near = zero is not None and now - zero <= self.catchup_max
        at_zero = wallet.on_hold or wallet.micros <= 0 or is_near
        if wallet.cut is None and at_zero and not self._awaits(wallet, now):
            wallet.cut = max(wallet.head, now if zero is None else zero)
        waits = wallet.cut is None and at_zero
        wallet.asked_back_at = (now if wallet.asked_back_at is None else wallet.asked_back_at) if waits else None
        said, wallet.standing = wallet.standing, self._stands(wallet)
        if said != wallet.standing and wallet.cut is not None:
            self._veto(wallet)

    def _veto(self, wallet: Wallet) -> None:
        wanted = "BillingOnHold" if wallet.on_hold else None if wallet.cut is None else "ZeroBalance"
        for agent in self.agents.values():
            is_down = agent.state in {"Suspended", "Archived"}
            if agent.wallet is not wallet or agent.veto == wanted or (agent.veto is None and is_down):
                continue
            if wanted is None and agent.state == "Draining" and not agent.stop_recorded and not agent.paused:
                agent.state = "Running"
            elif wanted is not None and agent.state == "Running":
                agent.state, agent.stop_recorded = "Draining", False
            agent.veto = wanted
            agent.fence += 1

    def _conclude(self, wallet: Wallet) -> None:
        if wallet.cut is not None and not wallet.on_hold and self.missing(wallet) <= 0:
            self._resume(wallet)
        self._decide(wallet)

    def _resume(self, wallet: Wallet) -> None:
        now = max(self.now, wallet.head)
        self._carry(wallet, now)
        wallet.grace = 0
        was_cut, wallet.cut, wallet.standing = wallet.cut, None, "Funded"
        self._veto(wallet)
        for run in self.open_runs(wallet):
            if run.frozen_at is not None:
                continue
            done = wallet.head if run.burning else run.cursor
            run.burning = False
            run.cursor = done
            if run.agent.state == "Running" or run.node is None:
                run.absorbed |= set(range(done, now))
                run.cursor = max(done, now)
            else:
                run.frozen_at = was_cut
