"""A thousand agents come and go, and the number of series is what it was: labels are bounded."""

import random
from collections.abc import AsyncIterator

import pytest

from moorage import bootstrap, operation
from moorage.controllers.journeys import Journeys
from moorage.jobs.count_agents import CountAgents
from moorage.kube import kinds
from moorage.model.names import Key
from moorage.model.record import AgentState
from moorage.model.wallet import Standing, Veto
from moorage.observability import Metrics
from moorage.store.overview import Overviews
from tests.factories import agent_record
from tests.integration.money.world import World, new_world

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

AGENTS, TENANTS = 1_000, 20
# All but those that need more in their rows.
LIVING = [AgentState.RUNNING, AgentState.DRAINING, AgentState.SNAPSHOTTING, AgentState.VERIFYING, AgentState.SUSPENDED]
# Words that name somebody or something: what a label must never be about.
UNBOUNDED = {
    "agent", "tenant", "namespace", "wallet", "user", "owner", "host", "node", "pod", "image", "uid", "name",
    "url", "snapshot", "attempt", "object", "message", "error", "why", "key", "id", "instance",
}  # fmt: skip


@pytest.fixture
async def world(anyio_backend: str, database_url: str) -> AsyncIterator[World]:
    async with new_world(database_url) as made:
        yield made


def series(metrics: Metrics) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series that a scrape would show."""
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in metrics.registry.collect()
        for sample in family.samples
    }


async def populate(world: World) -> None:
    """A thousand agents in all states, of twenty tenants, held by everything that can hold one."""
    for number in range(TENANTS):
        await world.wallet(f"tenant-{number}", micros=1_000 * number)
        await world.agent("first", wallet=f"tenant-{number}")
    await world.sql.execute(
        "INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size, state, veto, user_paused)"
        " SELECT gen_random_uuid(), t.uid, t.wallet_id, t.core_namespace, 'agent-' || i, 'small',"
        "  ($2::text[])[i % $3 + 1],"
        "  CASE WHEN i % 3 = 0 THEN ($4::text[])[i % 4 + 1] END, i % 5 = 0"
        " FROM generate_series(1, $1) i"
        " JOIN (SELECT *, row_number() OVER () AS n FROM moorage.tenant) t ON t.n = i % $5 + 1",
        AGENTS, [state.value for state in LIVING], len(LIVING), [*Veto, None], TENANTS,
    )  # fmt: skip


async def live(metrics: Metrics, number: int) -> None:
    """What one agent's life counts: reconciles, calls, a start, a stop."""
    key = Key("Agent", f"mn-tenant-{number % TENANTS}", f"agent-{number}")

    async def reconcile(_: Key) -> None:
        return None

    await operation.measured({"Agent": reconcile}, metrics, random.Random(number))(key)
    count = bootstrap._count(metrics)
    for kind in (kinds.AGENT, kinds.POD, kinds.PERSISTENT_VOLUME_CLAIM):
        count("PATCH", kinds.resource_of(kinds.object_path(kind, key.namespace, key.name)), 200, 0.01)
        count("PATCH", kinds.resource_of(f"{kinds.object_path(kind, key.namespace, key.name)}/status"), 200, 0.01)
    journeys = Journeys(metrics)
    resting = agent_record(uid=key.name, state=AgentState.SUSPENDED)
    running = agent_record(uid=key.name, state=AgentState.RUNNING)
    draining = agent_record(uid=key.name, state=AgentState.DRAINING)
    journeys.moved(resting, running)
    journeys.told(running, {"conditions": [{"type": "Ready", "status": "True"}]})
    journeys.moved(draining, resting)


async def test_a_thousand_agents_leave_no_series_behind(world: World) -> None:
    metrics = Metrics()
    look = CountAgents(Overviews(world.database), metrics).look
    await live(metrics, 0)
    await look()
    base = series(metrics)

    await populate(world)
    for number in range(AGENTS):
        await live(metrics, number)
    await look()
    crowded = series(metrics)
    counted = {tuple(labels.values()): value for labels, value in _agents(metrics)}
    assert sum(counted.values()) == AGENTS + TENANTS
    assert len(crowded) - len(base) <= len(LIVING) * (len(Veto) + 2)

    await world.sql.execute("UPDATE moorage.agent SET state = 'Deleted', veto = NULL")
    await look()
    assert series(metrics) == base


async def test_the_sums_are_those_of_the_database(world: World) -> None:
    await world.wallet("rich", micros=10_000_000)
    await world.wallet("poor")
    for name, state in (("one", "Running"), ("two", "Running"), ("three", "Suspended")):
        await world.agent(name, wallet="rich", state=state)
    await world.agent("four", wallet="poor", state="Draining")
    await world.sql.execute(
        "UPDATE moorage.agent SET veto = 'ZeroBalance', state_since = to_timestamp(money.clock()) - interval '90 s'"
        " WHERE name = 'four'"
    )
    await world.sql.execute("UPDATE moorage.agent SET user_paused = true WHERE name = 'three'")
    metrics = Metrics()
    await CountAgents(Overviews(world.database), metrics).look()
    assert sorted((labels["state"], labels["held_by"], value) for labels, value in _agents(metrics)) == [
        ("Draining", "ZeroBalance", 1),
        ("Running", "Nothing", 2),
        ("Suspended", "UserRequested", 1),
    ]
    read = metrics.registry.get_sample_value
    assert read("moorage_agents_oldest_seconds", {"state": "Draining"}) == pytest.approx(90)
    assert read("moorage_agents_oldest_seconds", {"state": "Restoring"}) == 0
    assert read("moorage_tenants") == 2
    wallets = {standing: read("moorage_wallets", {"standing": standing.value}) for standing in Standing}
    assert sum(value or 0 for value in wallets.values()) == 2


def test_no_label_can_name_anybody() -> None:
    labels = {label for name, metric in vars(Metrics()).items() if name != "registry" for label in metric._labelnames}
    assert labels & UNBOUNDED == set()


def _agents(metrics: Metrics) -> list[tuple[dict[str, str], float]]:
    found = [family for family in metrics.registry.collect() if family.name == "moorage_agents"]
    return [(sample.labels, sample.value) for sample in found[0].samples]
