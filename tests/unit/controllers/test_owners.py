"""Wallet, Namespace and ledger learn of their agents: soon, once for many, with the size and budget asked for."""

from datetime import timedelta
from typing import Any

import pytest

from moorage.controllers.actuator import OWNERS_SECONDS, Actuator
from moorage.controllers.agent import AgentController
from moorage.controllers.journeys import Journeys
from moorage.controllers.leading import Epoch
from moorage.lifecycle import effects as do
from moorage.model.agent import Agent
from moorage.model.names import Key, PodUid
from moorage.model.observation import Observation
from moorage.model.record import AgentRecord, AgentState
from moorage.observability import Metrics
from tests import factories
from tests.simulation import virtual_time

WALLET, NAMESPACE = Key("Wallet", "", "acme"), Key("Namespace", "", "acme")
AGENT = Key("Agent", "mn-acme", "helper")


class Ledger:
    """Books nothing."""

    def __init__(self) -> None:
        self.budgets: list[object] = []

    async def open_run(self, **_: object) -> None:
        """Accepted."""

    async def close_run(self, **_: object) -> None:
        """Accepted."""

    async def set_budget(self, **asked: object) -> None:
        """Accepted."""
        self.budgets.append(asked["picos_per_day"])


class Meters:
    """Meters nothing."""

    async def open_storage(self, **_: object) -> None:
        """Accepted."""

    async def close_storage(self, **_: object) -> None:
        """Accepted."""


class Agents:
    """One record, which is not there before it is asked for."""

    def __init__(self, record: AgentRecord | None) -> None:
        self.record = record
        self.sizes: list[str] = []

    async def resize(self, *, epoch: int, uid: str, size: str) -> None:
        """Remember what a resume will cost."""
        self.sizes.append(size)

    async def load(self, uid: str) -> AgentRecord | None:
        """The record."""
        return self.record

    async def ensure(self, **_: object) -> bool:
        """Make it."""
        self.record = factories.agent_record()
        return True

    async def save(self, *, after: AgentRecord, **_: object) -> bool:
        """Keep what was decided."""
        self.record = after
        return True


class World:
    """Shows a world in order."""

    def agent(self, *_: object) -> Observation:
        """Always the same."""
        return factories.observation(pods=(), volumes=(), jobs=())

    def sheltered(self, *_: object) -> bool:
        """In a closed core namespace."""
        return True


class Applier:
    """Writes nothing."""

    async def apply(self, *_: object, **__: object) -> bool:
        """Nothing to write."""
        return False

    apply_status = set_finalizer = apply

    async def make_sure(self, owner_uid: str) -> None:
        """Everything was answered."""


def _actuator(rung: list[Key]) -> Actuator:
    epoch = Epoch()
    epoch.lead(1)

    fakes: Any = {
        "client": None,
        "applier": Applier(),
        "agents": None,
        "ledger": Ledger(),
        "meters": Meters(),
        "snapshots": None,
        "purges": None,
        "copies": None,
    }
    return Actuator(
        **fakes,
        metrics=None,  # type: ignore[arg-type] # nothing here counts
        platform=factories.platform(),
        epoch=epoch,
        snapshot_grace=timedelta(days=1),
        ring=lambda key, _: rung.append(key),
    )


def _controller(agent: Agent, agents: Agents, actuator: Actuator) -> AgentController:
    class Objects:
        def agent(self, _: Key) -> Agent:
            return agent

        def domains_of(self, namespace: str, agent_name: str) -> list[Key]:
            return []

    fakes: Any = {"objects": Objects(), "world": World(), "applier": Applier(), "agents": agents}
    return AgentController(
        **fakes,
        ledger=actuator.ledger,
        actuator=actuator,
        journeys=Journeys(Metrics()),
        platform=factories.platform(),
        epoch=actuator.epoch,
        freezable=frozenset,
        guarded=lambda: True,
        warm_window=timedelta(days=1),
        grace=timedelta(days=30),
    )


def test_owners_are_rung_once_when_many_meters_start_and_stop() -> None:
    rung: list[Key] = []

    async def scene() -> None:
        actuator, record = _actuator(rung), factories.agent_record()
        for number in range(20):
            opened = do.OpenRun(factories.pod_view(uid=PodUid(f"pod-{number}")))
            await actuator.act(opened, factories.agent(), record)
            await actuator.act(do.CloseRun(PodUid(f"pod-{number}"), None), factories.agent(), record)
        assert rung == []
        await virtual_time.passed(OWNERS_SECONDS)
        assert sorted(rung) == [NAMESPACE, WALLET]
        await actuator.act(do.CloseRun(PodUid("pod-0"), None), factories.agent(), record)
        await virtual_time.passed(OWNERS_SECONDS)
        assert len(rung) == 4, "what moves later rings again"

    virtual_time.run(scene())


def test_owners_are_rung_when_an_agent_changes_its_state() -> None:
    rung: list[Key] = []

    async def scene() -> None:
        agents = Agents(factories.agent_record(user_paused=False, pod_uid=None))
        controller = _controller(factories.agent(desiredState="Suspended"), agents, _actuator(rung))
        await controller.reconcile(AGENT)
        assert agents.record is not None
        assert agents.record.state is AgentState.DRAINING
        await virtual_time.passed(OWNERS_SECONDS)

    virtual_time.run(scene())
    assert sorted(rung) == [NAMESPACE, WALLET]


def test_owners_are_rung_when_an_agent_is_new() -> None:
    rung: list[Key] = []

    async def scene() -> None:
        controller = _controller(factories.agent(size="unknown"), Agents(None), _actuator(rung))
        await controller.reconcile(AGENT)
        await virtual_time.passed(OWNERS_SECONDS)

    virtual_time.run(scene())
    assert sorted(rung) == [NAMESPACE, WALLET]


@pytest.mark.parametrize(
    ("status", "size", "remembered"),
    [
        ({"observedGeneration": 1}, "small", []),
        ({"observedGeneration": 0}, "small", ["small"]),
        ({"observedGeneration": 0}, "unknown", []),
        ({}, "small", []),
    ],
    ids=["as it was", "edited", "edited to what nobody sells", "new: its record has the size"],
)
def test_the_ledger_learns_the_size_when_the_spec_was_edited(
    status: dict[str, Any], size: str, remembered: list[str]
) -> None:
    async def scene() -> list[str]:
        agents = Agents(factories.agent_record(pod_uid=None))
        await _controller(factories.agent(status=status, size=size), agents, _actuator([])).reconcile(AGENT)
        return agents.sizes

    assert virtual_time.run(scene()) == remembered


@pytest.mark.parametrize(
    ("known", "spec", "told"),
    [
        pytest.param(None, {}, [], id="none"),
        pytest.param(None, {"budget": {"perDay": "2"}}, [2 * 10**12], id="a new one"),
        pytest.param(2 * 10**12, {"budget": {"perDay": "2.00"}}, [], id="known"),
        pytest.param(2 * 10**12, {"budget": {"perDay": "1"}}, [10**12], id="a smaller one"),
        pytest.param(2 * 10**12, {}, [None], id="removed"),
    ],
)
def test_the_ledger_is_told_a_budget_before_anything_starts(
    known: int | None, spec: dict[str, Any], told: list[int | None]
) -> None:
    async def scene() -> None:
        actuator = _actuator([])
        agents = Agents(factories.agent_record(budget_picos=known, state=AgentState.SUSPENDED))
        controller = _controller(factories.agent(status={"observedGeneration": 1}, **spec), agents, actuator)
        again = await controller.reconcile(AGENT)
        assert actuator.ledger.budgets == told  # type: ignore[attr-defined]  # our fake
        if told:
            assert again == 0.0
            assert agents.record is not None
            assert agents.record.state is AgentState.SUSPENDED, "decided only with the answer"

    virtual_time.run(scene())
