"""A node is lost with an agent on it: exact money, one agent, and the old one fenced, on the real ledger."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from moorage.model.observation import PodPhase
from moorage.model.record import AgentState
from tests.integration.health.stage import Stage, open_stage
from tests.integration.money.world import NODE, START_S, World

pytestmark = pytest.mark.anyio

STORED = {"storage": {"size": "1Gi"}, "http": {"port": 8080}}
SILENT = {"node_ready": False, "node_lost": True, "ready": False}
BACK = {"node_ready": True, "node_lost": False}


async def _falls_silent(stage: Stage) -> str:
    """An agent with a verified snapshot runs for six seconds, then its node is heard no more; returns its pod."""
    await stage.starts()
    await _snapshot(stage)
    await stage.passed(6)
    old = await stage.shows(**SILENT)
    stage.paper.volumes["data-helper-1"] = replace(stage.paper.volumes["data-helper-1"], node_lost=True)
    await stage.passed(305, proven=6)
    await stage.look()
    assert (await stage.record()).state is AgentState.RUNNING, "not yet"
    await stage.passed(306, proven=6)
    await stage.look()
    return old.name


async def _snapshot(stage: Stage) -> None:
    attempt = uuid.uuid4()
    await stage.world.sql.execute(
        "WITH s AS (INSERT INTO moorage.snapshot (id, agent_uid, tenant_uid, attempt_id, object_key, wrapped_key,"
        " purpose, taken_at, object_bytes, plain_bytes, file_count, sha256, verified_at)"
        " SELECT $1, a.uid, a.tenant_uid, $1, 's/1', '', 'Suspension', clock_timestamp(), 1, 1, 1, sha256(''),"
        " clock_timestamp() FROM moorage.agent a RETURNING id)"
        " UPDATE moorage.agent SET snapshot_id = s.id FROM s",
        attempt,
    )


async def _restored(stage: Stage) -> None:
    """The mover has filled the new volume on another node, and the platform has counted."""
    changed = await stage.world.sql.execute(
        "UPDATE moorage.attempt SET state = 'Verified' WHERE kind = 'Restore' AND state IN ('Created', 'Started')"
    )
    assert changed == "UPDATE 1"
    await stage.actuator.applier.apply({"kind": "PersistentVolumeClaim", "metadata": {"name": "data-helper-2"}})
    await stage.look()


async def _pod_lines(world: World) -> list[tuple[int, int, int]]:
    """The statement of the agent's ended pods: from, to, seconds charged."""
    rows = await world.sql.fetch(
        "SELECT l.lo, l.hi, l.charged_seconds FROM money.line l JOIN money.run r ON r.id = l.run_id"
        " WHERE r.meter = 'Pod' ORDER BY r.id, l.no"
    )
    return [tuple(row) for row in rows]


async def test_the_agent_comes_back_elsewhere_and_every_second_is_paid_once(world: World) -> None:
    async with open_stage(world, **STORED, recovery="FromSnapshot") as stage:
        old = await _falls_silent(stage)
        record = await stage.record()
        assert (record.state, record.pod_uid) == (AgentState.RESTORING, None)
        assert stage.paper.pods[old].deleting, "asked to go"
        assert await _pod_lines(world) == [(START_S, START_S + 6, 6)], "paid to the last proof"

        await _restored(stage)
        await world.at(START_S + 310)
        new = await stage.starts(310, node="node-b")
        assert new.name != old
        assert stage.paper.served() == [new.name]
        await world.at(START_S + 320)
        await world.prove(node_b=START_S + 320)
        assert await stage.paid_seconds() == 6 + 10

        # The node comes back: its container ran all the time, and nobody pays for that.
        stage.paper.pods[old] = replace(stage.paper.pods[old], **BACK, ready=True, phase=PodPhase.RUNNING)
        stage.paper.volumes["data-helper-1"] = replace(stage.paper.volumes["data-helper-1"], node_lost=False)
        await stage.look()
        assert stage.paper.served() == [new.name]
        await stage.passed(330)
        await stage.vanishes(old)
        await world.prove(node_b=START_S + 330)
        assert await stage.paid_seconds() == 6 + 20
        assert "data-helper-1" in stage.paper.volumes, "it may be newer than the snapshot"
        assert (await stage.record()).left_until is not None

        await world.sql.execute("UPDATE moorage.agent SET left_until = to_timestamp(money.clock())")
        await stage.look()
        assert list(stage.paper.volumes) == ["data-helper-2"]
        await stage.look()
        record = await stage.record()
        assert (record.left_generation, record.left_until, record.state) == (0, None, AgentState.RUNNING)


async def test_the_operator_may_die_between_any_two_steps_of_the_recovery(world: World) -> None:
    async with open_stage(world, **STORED, recovery="FromSnapshot") as stage:
        await stage.starts()
        await _snapshot(stage)
        await stage.passed(6)
        stage.node_lost_after = timedelta(hours=1)
        await stage.shows(**SILENT)
        # What it died after: the record was saved, and nothing of it was done.
        await world.sql.execute(
            "UPDATE moorage.agent SET state = 'Restoring', fence = fence + 1, fenced_incarnation = incarnation,"
            " incarnation = incarnation + 1, left_generation = 1, volume_generation = 2, volume_uid = NULL"
        )
        await stage.passed(300, proven=6)
        await stage.look()
        assert await _pod_lines(world) == [(START_S, START_S + 6, 6)]
        assert (await stage.record()).pod_uid is None
        assert all(pod.deleting for pod in stage.paper.pods.values())
        assert "data-helper-1" in stage.paper.volumes


async def test_an_agent_that_did_not_ask_for_it_waits_and_goes_on_as_if_nothing_had_been(world: World) -> None:
    async with open_stage(world, **STORED) as stage:
        old = await _falls_silent(stage)
        assert (stage.said("Ready"), stage.said("Healthy")) == ("NodeUnreachable", "NodeUnreachable")
        assert stage.paper.status["lastSnapshot"]["id"].startswith("snp_"), "what there would be to come back from"
        assert not stage.paper.pods[old].deleting
        assert await stage.paid_seconds() == 6
        await stage.passed(310)
        await stage.shows(**BACK, ready=True)
        assert (await stage.record()).silent_since is None
        # Its node has proven all of it at last, so all of it is owed.
        assert await stage.paid_seconds() == 310
        assert await _pod_lines(world) == [], "one run, still open"


async def test_a_wallet_at_zero_is_not_held_up_by_an_agent_on_a_lost_node(world: World) -> None:
    async with open_stage(world, **STORED, recovery="FromSnapshot") as stage:
        await stage.starts()
        await _snapshot(stage)
        await stage.passed(6)
        stage.node_lost_after = timedelta(hours=1)
        await stage.shows(**SILENT)
        await stage.edit(**STORED, recovery="FromSnapshot", desiredState="Suspended")
        record = await stage.record()
        assert (record.state, stage.said("Suspended")) == (AgentState.DRAINING, "NodeUnreachable")
        # The wallet goes on: what else it has is charged, granted, and stopped as ever.
        other = await world.agent("other")
        await world.open(other, START_S + 6, node="node-b")
        await world.at(START_S + 500)
        await world.prove(node_b=START_S + 500)
        await world.settle()
        await world.grant(5_000_000)
        view = await world.see()
        assert view.balance_micros == 1_000_000 - 10 * (6 + 494) + 5_000_000
        assert view.burn_picos == 10_000_000, "only the other agent burns"

        # Wanted again, it comes back elsewhere: the pod that cannot be stopped is left behind.
        stage.node_lost_after = timedelta(0)
        await stage.edit(**STORED, recovery="FromSnapshot", desiredState="Running")
        assert (await stage.record()).state is AgentState.RESTORING
        ended = await world.sql.fetchval("SELECT ended FROM money.run WHERE node = $1 AND meter = 'Pod'", NODE)
        assert ended == START_S + 6
