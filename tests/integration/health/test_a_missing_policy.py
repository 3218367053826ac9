"""While an admission policy is missing nothing starts; what runs is neither stopped nor replaced."""

import pytest

from tests.integration.health.stage import open_stage
from tests.integration.money.world import World

pytestmark = pytest.mark.anyio


async def test_no_pod_is_made_until_the_policies_are_back(world: World) -> None:
    async with open_stage(world) as stage:
        stage.guarded = False
        await stage.look()
        assert not stage.paper.pods
        assert stage.said("Ready") == "PolicyMissing"
        stage.guarded = True
        await stage.look()
        assert list(stage.paper.pods) == ["helper-1"]


async def test_what_runs_is_left_alone_even_when_it_is_out_of_date(world: World) -> None:
    async with open_stage(world) as stage:
        pod = await stage.starts()
        stage.guarded = False
        await stage.edit(command=["other"])
        await stage.look()
        assert stage.said("Ready") == "PodReady"
        assert not stage.paper.pods[pod.name].deleting
        stage.guarded = True
        await stage.look()
        assert stage.paper.pods[pod.name].deleting
