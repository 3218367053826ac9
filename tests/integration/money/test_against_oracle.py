"""The SQL ledger against a second-by-second oracle, over random lives of wallets, runs, nodes and clocks."""

import asyncio
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from moorage.model.rates import Meter
from tests.integration.money.oracle import Agent, Oracle, Run
from tests.integration.money.stage import STATEMENTS
from tests.integration.money.world import START_S, World, new_world

pytestmark = pytest.mark.postgres

CATCHUP_S, SILENT_S, RESUME_S = 120, 40, 30
NODES = ("node-a", "node-b")
WALLETS = ("acme", "zoo")
LAG = st.one_of(st.none(), st.integers(-2, 12))  # seconds a node's proof is behind the clock; None: no proof
SIZES = {"tiny": 1_000_000, "odd": 333_333, "large": 7_700_001}
STORAGE = {"Volume": 30, "Snapshot": 7}  # per MiB
GRACE_MICROS = 60
RESET = """
SET session_replication_role = replica;
DELETE FROM money.rate WHERE valid_from > 0;
TRUNCATE money.entry, money.line, money.system_entry, money.run, money.timer, money.wallet, money.node,
         moorage.agent, moorage.tenant, moorage.outbox CASCADE;
SET session_replication_role = DEFAULT;
"""

PREPARE = f"""
UPDATE money.policy SET rate_factor_max = 1000, storage_grace_micros = {GRACE_MICROS};
SET session_replication_role = replica;
DELETE FROM money.rate WHERE meter IN ('Volume', 'Snapshot') AND rate_picos = 0;
UPDATE money.rate SET valid_from = 0;
SET session_replication_role = DEFAULT;
"""


class LedgerMachine(RuleBasedStateMachine):
    """Every rule is one call of the ledger, often made twice; after every rule ledger and oracle must agree."""

    world: World
    runner: asyncio.Runner

    def do(self, call: Any) -> Any:  # Any: whatever the call returns
        return self.runner.run(call)

    @initialize(low=st.sampled_from([0, 41, 303]), runway=st.sampled_from([1, 45]), looks=st.integers(0, 4))
    def begin(self, low: int, runway: int, looks: int) -> None:
        self.pods: dict[str, Run] = {}
        self.oracle = Oracle(
            now=START_S, catchup_max=CATCHUP_S, silent_after=SILENT_S, resume_minimum=RESUME_S, grace=GRACE_MICROS
        )
        self.oracle.low_runway = runway
        self.oracle.prices = {name: [(0, picos)] for name, picos in (SIZES | STORAGE).items()}
        self.stored: dict[str, Run] = {}
        self.freed: dict[tuple[str, int], int] = {}
        self.do(self.world.sql.execute(RESET))
        self.do(self.world.ledger.set_policy(low_runway_seconds=runway))
        self.world.tenants.clear()
        self.do(self.world.at(START_S))
        for name in WALLETS:
            self.do(self.world.wallet(name, low_micros=low))
            self.oracle.add_wallet(name, low)
        for index, size in enumerate([*SIZES, "tiny", "large"]):
            wallet = WALLETS[index % 2]
            uid = self.do(self.world.agent(f"agent-{index}", wallet=wallet, size=size))
            self.oracle.agents[uid] = Agent(wallet=self.oracle.wallets[wallet], size=size)
        self.move(dict.fromkeys(NODES, START_S))
        self.credit("acme", 500)
        for uid, node in zip(self.oracle.agents, (NODES[0], NODES[1], NODES[1]), strict=False):
            self.start(uid, node, ago=0, times=1)
        self.wait(looks)

    def move(self, proofs: dict[str, int]) -> None:
        self.do(self.world.ledger.prove(epoch=1, proofs=proofs))
        self.oracle.prove(proofs)

    @rule(seconds=st.sampled_from([-20, 1, 60, 150, 400]))
    def jump(self, seconds: int) -> None:
        # A zero without proof is looked at again five seconds later by the clock of that time; a clock that then
        # steps back only makes this look later, which no rule forbids.
        waits = any(wallet.cut is None and self.oracle.zero_until(wallet, self.oracle.now) is not None
                    for wallet in self.oracle.wallets.values())  # fmt: skip
        if seconds < 0 and waits:
            return
        self.oracle.now += seconds
        self.do(self.world.at(self.oracle.now + 0.5))

    @rule(
        steps=st.lists(st.tuples(st.integers(1, 12), LAG, LAG), min_size=1, max_size=6),
        due=st.booleans(),
        everybody=st.booleans(),
    )
    def live(self, steps: list[tuple[int, int | None, int | None]], due: bool, everybody: bool) -> None:
        """Ordinary life: time passes, nodes are proven with a lag or not at all, and the clock jobs run."""
        for seconds, *lags in steps:
            self.jump(seconds)
            pairs = zip(NODES, lags, strict=True)
            self.move({name: self.oracle.now - lag for name, lag in pairs if lag is not None})
            if due:
                self.settle_due(twice=False)
        if everybody:
            self.settle_all(twice=False, chunk=5000)

    @rule(wallet=st.sampled_from(WALLETS), micros=st.one_of(st.integers(1, 60), st.integers(100, 2_000)))
    def credit(self, wallet: str, micros: int) -> None:
        key = str(uuid.uuid4())
        first = self.do(self.world.grant(micros, name=wallet, key=key))
        again = self.do(self.world.grant(micros, name=wallet, key=key))
        assert (first.repeated, again.repeated) == (False, True)
        self.oracle.grant(wallet, micros)

    @precondition(lambda self: self.startable())
    @rule(data=st.data(), ago=st.integers(-3, 30), node=st.sampled_from(NODES), twice=st.booleans())
    def open(self, data: st.DataObject, ago: int, node: str, twice: bool) -> None:
        index = data.draw(st.integers(0, len(self.startable()) - 1))
        self.start(self.startable()[index], node, ago=ago, times=1 + twice)

    def startable(self) -> list[str]:
        busy = {id(run.agent) for run in self.pods.values()}
        return [uid for uid, agent in self.oracle.agents.items() if agent.state == "Running" and id(agent) not in busy]

    def start(self, uid: str, node: str, *, ago: int, times: int) -> None:
        agent, pod = self.oracle.agents[uid], str(uuid.uuid4())
        for _ in range(times):
            self.do(self.world.open(uid, self.oracle.now - ago, pod=pod, node=node, size=agent.size))
        self.pods[pod] = self.oracle.open(agent, node, self.oracle.now - ago)

    @precondition(lambda self: self.pods)
    @rule(data=st.data(), ago=st.one_of(st.none(), st.integers(0, 60)), twice=st.booleans())
    def close(self, data: st.DataObject, ago: int | None, twice: bool) -> None:
        pod = list(self.pods)[data.draw(st.integers(0, len(self.pods) - 1))]
        ended = None if ago is None else self.oracle.now - ago
        for _ in range(1 + twice):
            self.do(self.world.close(pod, ended))
        run = self.pods.pop(pod)
        self.oracle.close(run, ended)
        if run.agent.state == "Draining":
            self.set_state(run.agent, "Suspended")

    @rule(
        index=st.integers(0, 4), meter=st.sampled_from([*STORAGE]), mib=st.sampled_from([1_000, 4_000]),
        twice=st.booleans(),
    )  # fmt: skip
    def store(self, index: int, meter: str, mib: int, twice: bool) -> None:
        """A volume is bound or grows, a snapshot is verified."""
        uid, agent = list(self.oracle.agents.items())[index]
        thing = f"{meter}/{index}/{self.freed.get((meter, index), 0)}"
        for _ in range(1 + twice):
            self.do(self.world.store(uid, thing, mib, meter=Meter(meter)))
        older = self.stored.get(thing)
        if older is None or older.quantity != mib:
            self.stored[thing] = self.oracle.store(agent, meter, mib, older)

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), twice=st.booleans())
    def free(self, data: st.DataObject, twice: bool) -> None:
        thing = list(self.stored)[data.draw(st.integers(0, len(self.stored) - 1))]
        meter, index, _ = thing.split("/")
        for _ in range(1 + twice):
            self.do(self.world.free(thing, meter=Meter(meter)))
        self.oracle.free(self.stored.pop(thing))
        key = (meter, int(index))
        self.freed[key] = self.freed.get(key, 0) + 1
        self.do(self.world.store([*self.oracle.agents][int(index)], thing, 1_000, meter=Meter(meter)))  # stays freed

    @rule(priced=st.sampled_from([*SIZES, *STORAGE]), percent=st.sampled_from([0, 50, 120, 290]))
    def price(self, priced: str, percent: int) -> None:
        """A price changes in a minute, noticed by whatever looks at the wallet next; no second that is paid changes."""
        versions = self.oracle.prices[priced]
        rate_picos = ((SIZES | STORAGE)[priced] * percent + 99) // 100
        begins = self.do(self.world.price(priced if priced in STORAGE else f"Pod/{priced}", rate_picos))
        last_paid = max((second for run in self.oracle.runs if run.priced == priced for second in run.paid), default=0)
        assert begins > max(self.oracle.now, last_paid, versions[-1][0])
        versions.append((begins, rate_picos))

    @rule(twice=st.booleans())
    def reprice(self, twice: bool) -> None:
        for _ in range(1 + twice):
            self.do(self.world.meters.reprice(epoch=1))
        self.oracle.reprice()

    @rule(twice=st.booleans())
    def state(self, twice: bool) -> None:
        for _ in range(1 + twice):
            self.do(self.world.state())
        for wallet in self.oracle.wallets.values():
            self.oracle.state(wallet)

    @rule(index=st.integers(0, 4), change=st.sampled_from(["pause", "unpause", "record stop", "resume"]))
    def lead(self, index: int, change: str) -> None:
        """What the operator does to agents between the ledger's calls."""
        agent = list(self.oracle.agents.values())[index]
        if change == "record stop" and agent.state == "Draining":
            agent.stop_recorded = True
        elif change in {"pause", "unpause"}:
            agent.paused = change == "pause"
        elif change == "resume" and agent.state == "Suspended" and not agent.veto and not agent.paused:
            self.set_state(agent, "Running")
        self.write(agent)

    def set_state(self, agent: Agent, state: str) -> None:
        agent.state = state
        self.write(agent)

    def write(self, agent: Agent) -> None:
        uid = next(uid for uid, known in self.oracle.agents.items() if known is agent)
        self.do(
            self.world.sql.execute(
                "UPDATE moorage.agent SET state = $2, user_paused = $3, stop_recorded = $4 WHERE uid = $1",
                uuid.UUID(uid),
                agent.state,
                agent.paused,
                agent.stop_recorded,
            )
        )

    @rule(twice=st.booleans(), chunk=st.sampled_from([1, 5000]))
    def settle_all(self, twice: bool, chunk: int) -> None:
        for _ in range(1 + twice):
            self.do(self.world.ledger.settle_all(epoch=1, chunk=chunk))
        for wallet in self.oracle.wallets.values():
            # What burns nothing is left to whoever notices that its price changes.
            if any(not run.burning or self.oracle.rate(run, wallet.head) for run in self.oracle.open_runs(wallet)):
                self.oracle.settle(wallet)

    @rule(twice=st.booleans())
    def settle_due(self, twice: bool) -> None:
        self.reprice(twice=False)  # both jobs run every second
        rows = self.do(self.world.sql.fetch(
            "SELECT w.name FROM money.timer t JOIN money.wallet w ON w.id = t.wallet_id WHERE t.due_at <= money.now_s()"
        ))  # fmt: skip
        due = {row["name"] for row in rows}
        for name, wallet in self.oracle.wallets.items():
            zero = self.oracle.zero_until(wallet, self.oracle.now) if wallet.cut is None else None
            if zero is not None and self.oracle.now - zero <= CATCHUP_S and name not in due:
                raise AssertionError(f"the timer of {name} is late: zero at {zero}, now {self.oracle.now}")
            if name not in due and wallet.standing == "Funded" and self.oracle.is_low(wallet):
                raise AssertionError(f"the timer of {name} is late: it is low, now {self.oracle.now}")
        for _ in range(1 + twice):
            self.do(self.world.ledger.settle_due(epoch=1))
        for name in due:
            self.oracle.settle(self.oracle.wallets[name])

    @rule(looks=st.integers(1, 4))
    def wait(self, looks: int) -> None:
        """Until the next timer is due, with a look the second before: an early timer leads to the exact one."""
        for _ in range(looks):
            due_s = self.do(self.world.sql.fetchval("SELECT min(due_at) FROM money.timer"))
            if due_s is not None and 1 < due_s - self.oracle.now < 1_000:
                self.jump(due_s - 1 - self.oracle.now)
                self.settle_due(twice=False)
                self.jump(1)
                self.settle_due(twice=False)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "oracle"):
            return
        rows = self.do(self.world.sql.fetch("SELECT * FROM money.wallet"))
        for row in rows:
            wallet = self.oracle.wallets[row["name"]]
            picos = row["balance_micros"] * 1_000_000 - row["carry_picos"]
            assert (picos, row["standing"], row["cut_at"]) == (wallet.picos, wallet.standing, wallet.cut), row["name"]
        agents = self.do(self.world.sql.fetch("SELECT uid::text, state, veto, fence FROM moorage.agent"))
        for row in agents:
            agent = self.oracle.agents[row["uid"]]
            veto = "ZeroBalance" if agent.veto else None
            assert (row["state"], row["veto"], row["fence"]) == (agent.state, veto, agent.fence)
        runs = self.do(self.world.sql.fetch(STATEMENTS))
        expected = [
            (run.started, run.ended, len(run.paid), len(run.absorbed), len(run.waived),
             sum(self.oracle.rate(run, second) for second in run.paid))
            for run in self.oracle.runs if run.ended
        ]  # fmt: skip
        assert [tuple(row) for row in runs] == sorted(expected)

    def teardown(self) -> None:
        if hasattr(self, "oracle"):
            assert self.do(self.world.broken()) == []


def test_the_ledger_agrees_with_the_oracle(database_url: str) -> None:
    with asyncio.Runner() as runner:
        scope = new_world(database_url)
        world = runner.run(scope.__aenter__())
        try:
            for size, rate in SIZES.items():
                runner.run(world.ledger.publish_rate(size=size, rate_picos=rate))
            for meter, rate in STORAGE.items():
                runner.run(world.price(meter, rate))
            runner.run(world.sql.execute(PREPARE))
            policy = {"resume_minimum": RESUME_S, "catchup_max": CATCHUP_S, "silent_after": SILENT_S}
            runner.run(world.ledger.set_policy(**{f"{name}_seconds": value for name, value in policy.items()}))
            machine = type("Machine", (LedgerMachine,), {"world": world, "runner": runner})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    derandomize=True,
                    stateful_step_count=40,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
                ),
            )
        finally:
            runner.run(scope.__aexit__(None, None, None))
