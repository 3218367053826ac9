"""An agent starts only in a core namespace that is closed; one that runs is left alone when it is opened."""

import pytest

from tests.integration.health.stage import open_stage
from tests.integration.money.world import World

pytestmark = pytest.mark.anyio


async def test_no_pod_is_made_until_the_namespace_is_closed(world: World) -> None:
    async with open_stage(world) as stage:
        stage.paper.closed = False
        await stage.look()
        await stage.passed(6)
        await stage.look()
        assert not stage.paper.pods
        assert stage.said("Ready") == "IsolationPending"
        stage.paper.closed = True
        await stage.look()
        assert list(stage.paper.pods) == ["helper-1"]


async def test_what_runs_is_left_alone(world: World) -> None:
    async with open_stage(world) as stage:
        pod = await stage.starts()
        stage.paper.closed = False
        await stage.look()
        assert stage.said("Ready") == "PodReady"
        assert not stage.paper.pods[pod.name].deleting
