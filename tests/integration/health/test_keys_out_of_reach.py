"""Without the root key what runs runs on and what has to stop stops; only the snapshot waits, and says so."""

import pytest

from moorage.model.record import AgentState
from moorage.model.sealing import KeysRefused, KeysUnavailable
from moorage.providers.file_root_key import FileRootKey
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.store.movers import Movers
from moorage.store.owner_keys import OwnerKeys
from tests.fakes.keys import AwayRootKey
from tests.integration.health.stage import Stage, open_stage
from tests.integration.money.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


def _keyring(world: World, root: FileRootKey) -> Keyring:
    return Keyring(RootKeys([root]), OwnerKeys(world.database))


async def _stopped(stage: Stage) -> None:
    """Its kubelet has ended the pod."""
    for name in list(stage.paper.pods):
        await stage.vanishes(name)


@pytest.mark.parametrize("failure", [KeysUnavailable("away"), KeysRefused("denied")], ids=["away", "refused"])
async def test_a_suspension_stops_the_agent_and_its_snapshot_waits_with_a_reason(
    world: World, failure: Exception
) -> None:
    root = AwayRootKey(bytes(32))
    async with open_stage(world, keyring=_keyring(world, root), storage={"size": "1Gi"}) as stage:
        await stage.starts()
        root.failure = failure
        await stage.edit(storage={"size": "1Gi"}, desiredState="Suspended")
        await _stopped(stage)
        assert stage.paper.pods == {}, "compute is stopped whatever the keys do"
        record = await stage.record()
        assert (record.state, record.attempt) == (AgentState.SNAPSHOTTING, None)
        assert [stage.said(one) for one in ("Suspended", "SnapshotReady", "Ready")] == ["KeysUnavailable"] * 3

        root.failure = None
        await Movers(world.database).set_limits(epoch=world.epoch, movers_max=0, per_node_max=0)  # this is far enough
        await stage.look()
        assert (await stage.record()).attempt is not None
        assert stage.said("Suspended") == "SnapshotQueued"


async def test_an_agent_whose_snapshot_was_asked_for_runs_on_and_is_ready(world: World) -> None:
    root = AwayRootKey(bytes(32))
    root.failure = KeysUnavailable("away")
    async with open_stage(world, keyring=_keyring(world, root), storage={"size": "1Gi"}) as stage:
        await stage.starts()
        await world.sql.execute("UPDATE moorage.agent SET wish = 'Demand'")
        await stage.look()
        assert [stage.said(one) for one in ("Ready", "SnapshotReady")] == ["PodReady", "KeysUnavailable"]
