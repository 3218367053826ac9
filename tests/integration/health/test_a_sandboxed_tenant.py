"""A tenant becomes sandboxed while it has agents: what it may run is decided by its row, before any pod."""

import pytest

from moorage.store.tenants import Tenants
from tests.integration.health.stage import Stage, open_stage
from tests.integration.money.world import World

pytestmark = pytest.mark.anyio


async def _becomes(stage: Stage, *, sandboxed: bool) -> None:
    """The tenant's object has been edited."""
    row = await stage.world.sql.fetchrow(
        "SELECT t.*, w.name AS wallet_name FROM moorage.tenant t JOIN money.wallet w ON w.id = t.wallet_id"
    )
    made = await Tenants(stage.agents._database).ensure(
        epoch=stage.actuator.epoch.current, uid=str(row["uid"]), name=row["name"],
        core_namespace=row["core_namespace"], wallet_name=row["wallet_name"], sandboxed=sandboxed,
    )  # fmt: skip
    assert made


async def test_nothing_starts_while_the_platform_has_no_sandbox(world: World) -> None:
    async with open_stage(world) as stage:
        await _becomes(stage, sandboxed=True)
        await stage.look()
        assert not stage.paper.pods
        assert stage.said("Ready") == "SandboxUnavailable"
        await _becomes(stage, sandboxed=False)
        await stage.look()
        assert list(stage.paper.pods) == ["helper-1"]


async def test_what_runs_is_left_alone_when_there_is_no_sandbox_to_move_to(world: World) -> None:
    async with open_stage(world) as stage:
        pod = await stage.starts()
        await _becomes(stage, sandboxed=True)
        await stage.look()
        assert stage.said("Ready") == "SandboxUnavailable"
        assert not stage.paper.pods[pod.name].deleting
