"""The ledger told again, second by second: no burn, no carry, no closed form; the independent opinion on every sum."""

import math
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
    rate: int
    state: str = "Running"
    veto: bool = False
    paused: bool = False
    stop_recorded: bool = False
    fence: int = 1


@dataclass
class Run:
    """One run with every second it was charged for or absorbed."""

    agent: Agent
    node: Node
    started: int
    rate: int
    cursor: int
    burning: bool = False
    frozen_at: int | None = None
    ended: int | None = None
    paid: set[int] = field(default_factory=set)
    absorbed: set[int] = field(default_factory=set)


@dataclass
class Wallet:
    """Exact credit in picos, and the second up to which its burning runs are charged."""

    head: int
    picos: int = 0
    cut: int | None = None
    told: bool = True  # its agents know about the cut
    low_micros: int = 0

    @property
    def micros(self) -> int:
        """The balance as it is booked: a part of a micro counts as spent only when it is whole."""
        return math.ceil(self.picos / PICOS)

    @property
    def standing(self) -> str:
        """In the ledger's words."""
        if self.cut is not None:
            return "Exhausted"
        return "Low" if self.micros < self.low_micros else "Funded"


class Oracle:
    """All wallets of one ledger; each method is one call of the ledger."""

    def __init__(self, *, now: int, catchup_max: int, silent_after: int, resume_minimum: int) -> None:
        self.now = now
        self.catchup_max = catchup_max
        self.silent_after = silent_after
        self.resume_minimum = resume_minimum
        self.nodes: dict[str, Node] = {}
        self.wallets: dict[str, Wallet] = {}
        self.agents: dict[str, Agent] = {}
        self.runs: list[Run] = []

    def open_runs(self, wallet: Wallet) -> list[Run]:
        """The wallet's runs that have not ended."""
        return [run for run in self.runs if run.agent.wallet is wallet and run.ended is None]

    # ------------------------------------------------------------------ the ledger's calls

    def add_wallet(self, name: str, low_micros: int) -> None:
        """A wallet without credit is exhausted."""
        self.wallets[name] = Wallet(head=self.now, cut=self.now, low_micros=low_micros)

    def grant(self, name: str, micros: int) -> None:
        """Old seconds first, then the credit, then whoever it suffices for."""
        wallet = self.wallets[name]
        self.settle(wallet)
        wallet.picos += micros * PICOS
        if wallet.cut is not None and self.missing(wallet) <= 0:
            self._resume(wallet)
        self._decide(wallet)

    def missing(self, wallet: Wallet) -> int:
        """What keeps the agents down."""
        rates = sum(
            agent.rate for agent in self.agents.values() if agent.wallet is wallet and agent.veto and not agent.paused
        )
        return max(1, math.ceil(rates * self.resume_minimum / PICOS)) - wallet.micros

    def open(self, agent: Agent, node_name: str, started: int) -> Run:
        """Start a meter."""
        wallet = agent.wallet
        now = max(self.now, wallet.head)
        self._advance(wallet, now)
        ends = [run.ended for run in self.runs if run.agent is agent and run.ended is not None]
        begins = max([min(started, now), *ends])
        node = self.nodes.setdefault(node_name, Node(proven=0, seen_at=now))
        run = Run(agent=agent, node=node, started=begins, rate=agent.rate, cursor=begins)
        self.runs.append(run)
        self.settle(wallet)
        return run

    def close(self, run: Run, ended: int | None) -> None:
        """Stop a meter: give back what lies beyond the end, or charge what is still owed."""
        wallet = run.agent.wallet
        self.settle(wallet)
        now = max(self.now, wallet.head)
        last = max(run.started, min(now, run.node.proven if ended is None else ended))
        was_burning, run.burning = run.burning, False
        done = wallet.head if was_burning else run.cursor
        if last < done:
            wallet.picos += run.rate * len({second for second in run.paid if second >= last})
            run.paid = {second for second in run.paid if second < last}
            run.absorbed = {second for second in run.absorbed if second < last}
        else:
            limits = [limit for limit in (last, wallet.cut, run.frozen_at) if limit is not None]
            upto = max(done, min(limits))
            reserved = 0
            if wallet.cut is not None:
                burn = sum(other.rate for other in self.open_runs(wallet) if other.burning)
                reserved = burn * (wallet.cut - wallet.head)
            broke = False
            for second in range(done, last):
                owed = upto - self.catchup_max <= second < upto and not broke
                if owed and wallet.picos - reserved >= run.rate:
                    wallet.picos -= run.rate
                    run.paid.add(second)
                else:
                    broke = broke or owed
                    run.absorbed.add(second)
        run.ended = run.cursor = last
        self._decide(wallet)

    def prove(self, proofs: dict[str, int]) -> None:
        """Nodes move forward; the silent park, the proven join."""
        for name, proof in proofs.items():
            node = self.nodes.setdefault(name, Node(proven=0, seen_at=self.now))
            if min(proof, self.now) > node.proven:
                node.proven, node.seen_at, node.silent = min(proof, self.now), self.now, False
        for node in self.nodes.values():
            node.silent = node.silent or self.now - node.seen_at > self.silent_after
        for wallet in self.wallets.values():
            if any(run.burning and run.node.silent for run in self.open_runs(wallet)):
                self._advance(wallet, max(self.now, wallet.head))
                for run in self.open_runs(wallet):
                    if run.burning and run.node.silent:
                        run.burning, run.cursor = False, wallet.head
                self._decide(wallet)
        for wallet in self.wallets.values():
            if any(
                not run.burning and run.frozen_at is None and not run.node.silent
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
        bounds = [run.node.proven for run in self.runs if run.burning]
        target = max(wallet.head, min([now, *bounds, *([] if wallet.cut is None else [wallet.cut])]))
        joining = [
            run
            for run in self.open_runs(wallet)
            if not run.burning and run.frozen_at is None and not run.node.silent
            and run.node.proven >= max(wallet.head, run.cursor)
            and (wallet.cut is None or run.cursor < wallet.cut)
        ]  # fmt: skip
        target = min([target, *(run.node.proven for run in joining)])
        joining = [run for run in joining if run.cursor <= target]
        oldest = target - self.catchup_max
        for second in range(wallet.head, oldest):
            for run in burning:
                run.absorbed.add(second)
        if burning:
            wallet.head = max(wallet.head, oldest)
        zero = None
        for second in range(min([wallet.head, *(run.cursor for run in joining)]), target):
            payers = [run for run in burning if second >= wallet.head]
            payers += [run for run in joining if second >= max(run.cursor, oldest)]
            cost = sum(run.rate for run in payers)
            if cost > wallet.picos:
                zero = second
                break
            wallet.picos -= cost
            for run in payers:
                run.paid.add(second)
        settled = target if zero is None else max(zero, wallet.head)
        joined = [run for run in joining if max(run.cursor, oldest) <= settled]
        for run in joined:
            run.burning = True
            run.absorbed |= set(range(run.cursor, settled)) - run.paid
        if burning or joined:
            wallet.head = settled
        if zero is not None:
            wallet.told = wallet.told and wallet.cut is not None
            wallet.cut = wallet.head

    def zero_until(self, wallet: Wallet, now: int) -> int | None:
        """The first second up to now that cannot be paid if everything open goes on."""
        counted = [
            run
            for run in self.open_runs(wallet)
            if run.burning or (run.frozen_at is None and not run.node.silent)
        ]  # fmt: skip
        begins = {id(run): wallet.head if run.burning else max(run.cursor, wallet.head - self.catchup_max)
                  for run in counted}  # fmt: skip
        left = wallet.picos
        for second in range(min(begins.values(), default=now + 1), now + 1):
            cost = sum(run.rate for run in counted if begins[id(run)] <= second)
            if cost > left:
                return max(second, wallet.head)
            left -= cost
        return None

    def _decide(self, wallet: Wallet) -> None:
        if wallet.cut is None:
            now = max(self.now, wallet.head)
            zero = self.zero_until(wallet, now)
            if wallet.micros <= 0:
                wallet.cut = max(wallet.head, now if zero is None else zero)
            elif zero is not None and now - zero <= self.catchup_max:
                wallet.cut = zero
            wallet.told = wallet.cut is None
        if not wallet.told:
            self._stop(wallet)

    def _stop(self, wallet: Wallet) -> None:
        wallet.told = True
        for agent in self.agents.values():
            if agent.wallet is wallet and agent.state in {"Running", "Draining"}:
                agent.veto = True
                agent.fence += 1
                if agent.state == "Running":
                    agent.state, agent.stop_recorded = "Draining", False

    def _resume(self, wallet: Wallet) -> None:
        for agent in self.agents.values():
            if agent.wallet is wallet and agent.veto:
                agent.veto = False
                agent.fence += 1
                if agent.state == "Draining" and not agent.stop_recorded and not agent.paused:
                    agent.state = "Running"
        now = max(self.now, wallet.head)
        for run in self.open_runs(wallet):
            if run.frozen_at is not None:
                continue
            done = wallet.head if run.burning else run.cursor
            run.burning = False
            run.cursor = done
            if run.agent.state == "Running":
                run.absorbed |= set(range(done, now))
                run.cursor = max(done, now)
            else:
                run.frozen_at = wallet.cut
        wallet.cut = None
