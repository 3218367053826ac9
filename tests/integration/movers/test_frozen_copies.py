"""A frozen copy comes when the driver is well, is given up when it is not, and never stays behind."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from moorage.kube import kinds
from moorage.model.errors import LostLeadership
from moorage.model.record import CopyState
from moorage.services.frozen_copies import FrozenCopies
from tests import factories
from tests.fakes.apiserver import Answer, ApiServer
from tests.fakes.snapshot_controller import SnapshotController
from tests.integration.movers.world import EPOCH, RESTORE, World

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

VOLUME = factories.volume_view(storage_class="fast")
NAMESPACE = "mn-acme"


@dataclass
class Stage:
    """A queue, a cluster that can freeze, and an attempt whose mover may run."""

    world: World
    api: ApiServer
    driver: SnapshotController
    copies: FrozenCopies
    attempt: str

    async def freeze(self) -> bool:
        """One step, as the lifecycle asks for it again and again."""
        agent = factories.agent(storage={"size": "1Gi"})
        return await self.copies.freeze(epoch=EPOCH, agent=agent, attempt_id=self.attempt, volume=VOLUME)

    async def frozen(self) -> None:
        """Step until the copy is ready."""
        for _ in range(10):
            if await self.freeze():
                return
            self.driver.step()
        raise AssertionError("the copy does not come")

    async def state(self) -> CopyState | None:
        """How the record says that the copy stands."""
        word = await self.world.admin.fetchval(
            "SELECT state FROM moorage.frozen_copy WHERE attempt_id = $1", self.attempt
        )
        return None if word is None else CopyState(word)

    def there(self) -> set[str]:
        """The kinds of what is in the cluster of the copy."""
        of_copy = (kinds.VOLUME_SNAPSHOT, kinds.PERSISTENT_VOLUME_CLAIM, kinds.VOLUME_SNAPSHOT_CONTENT)
        return {kind.kind for kind in of_copy if self.api.of(kind)}

    async def swept(self) -> None:
        """Sweep until nothing is left to sweep."""
        for _ in range(10):
            if await self.copies.sweep(epoch=EPOCH) == 0:
                return
            self.driver.step()
        raise AssertionError("the copy stays behind")


@pytest.fixture
async def stage(world: World) -> AsyncIterator[Stage]:
    """A stage whose only attempt has started."""
    api = ApiServer()
    driver = SnapshotController(api)
    driver.install()
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(api.serving())
        copies = FrozenCopies(database=world.database, client=client)
        await copies.look()
        attempt = await world.ask()
        await world.admin.execute("UPDATE moorage.attempt SET state = 'Started' WHERE id = $1", attempt)
        yield Stage(world, api, driver, copies, attempt)


async def test_a_copy_is_ready_with_a_claim_to_read_it_from(stage: Stage) -> None:
    assert not await stage.freeze()
    assert await stage.state() is CopyState.ASKED
    await stage.frozen()
    assert await stage.state() is CopyState.READY
    ((place, claim),) = stage.api.of(kinds.PERSISTENT_VOLUME_CLAIM).items()
    ((_, snapshot),) = stage.api.of(kinds.VOLUME_SNAPSHOT).items()
    assert place == (NAMESPACE, f"frozen-{stage.attempt}")
    assert claim["spec"]["dataSource"]["name"] == snapshot["metadata"]["name"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert snapshot["spec"] == {
        "volumeSnapshotClassName": "frozen",
        "source": {"persistentVolumeClaimName": VOLUME.name},
    }
    assert "ownerReferences" not in snapshot["metadata"]
    assert await stage.freeze()  # asked again, nothing happens
    assert stage.driver.made == 1


CALLS = [("get", "volumesnapshots"), ("post", "volumesnapshots"), ("post", "persistentvolumeclaims")]


@pytest.mark.parametrize(("verb", "plural"), CALLS)
@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([Answer(500)] * 3, id="the server is broken for a while"),
        pytest.param([Answer(lost=True)], id="the operator is killed right after the call"),
        pytest.param([Answer(409)], id="the server says that somebody was faster, and nobody was"),
    ],
)
async def test_every_step_is_tried_again_and_makes_one_copy(
    stage: Stage, verb: str, plural: str, answers: list[Answer]
) -> None:
    stage.api.script(verb, plural, *answers)
    await stage.frozen()
    assert await stage.state() is CopyState.READY
    assert stage.driver.made == 1
    assert len(stage.api.of(kinds.PERSISTENT_VOLUME_CLAIM)) == 1


@pytest.mark.parametrize("plural", ["volumesnapshots", "persistentvolumeclaims"])
@pytest.mark.parametrize("code", [403, 422])
async def test_what_the_cluster_refuses_is_given_up_at_once_and_removed(stage: Stage, plural: str, code: int) -> None:
    stage.api.script("post", plural, Answer(code))
    await stage.frozen()
    assert await stage.state() is CopyState.GIVEN_UP
    await stage.swept()
    assert (stage.there(), stage.driver.copies) == (set(), set())


async def test_a_copy_that_does_not_come_is_given_up_by_whoever_waits_and_removed(stage: Stage) -> None:
    stage.driver.works = False
    for _ in range(5):
        assert not await stage.freeze()
        stage.driver.step()
    await stage.copies.give_up(epoch=EPOCH, attempt_id=stage.attempt)
    stage.driver.works = True
    assert await stage.freeze()  # what was given up stays given up, even when the driver comes round
    assert await stage.state() is CopyState.GIVEN_UP
    await stage.swept()
    assert (stage.there(), stage.driver.copies) == (set(), set())


async def test_a_copy_that_is_ready_is_not_given_up(stage: Stage) -> None:
    await stage.frozen()
    await stage.copies.give_up(epoch=EPOCH, attempt_id=stage.attempt)
    assert await stage.state() is CopyState.READY


async def test_a_copy_counts_as_removed_when_its_claim_is_gone_too(stage: Stage) -> None:
    await stage.frozen()
    ((_, claim),) = stage.api.of(kinds.PERSISTENT_VOLUME_CLAIM).items()
    held = {**claim, "metadata": {**claim["metadata"], "finalizers": ["kubernetes.io/pvc-protection"]}}
    stage.api.put(kinds.PERSISTENT_VOLUME_CLAIM, held)  # a mover still has it
    await _failed(stage)
    for _ in range(3):
        assert await stage.copies.sweep(epoch=EPOCH) == 1
        stage.driver.step()
    assert stage.there() == {"PersistentVolumeClaim"}
    stage.api.remove(kinds.PERSISTENT_VOLUME_CLAIM, *_place(claim))
    await stage.swept()


def _place(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


async def _verified(stage: Stage) -> None:
    await stage.world.admin.execute("UPDATE moorage.attempt SET state = 'Verified' WHERE id = $1", stage.attempt)


async def _failed(stage: Stage) -> None:
    await stage.world.fail(stage.attempt)


async def _left(stage: Stage) -> None:
    await stage.world.admin.execute("UPDATE moorage.agent SET attempt_id = NULL")


async def _deleted(stage: Stage) -> None:
    await stage.world.records.mark_deleted(epoch=EPOCH, uid=stage.world.agents[stage.attempt])


ENDS: dict[str, Any] = {
    "the object is verified": _verified,
    "the attempt failed": _failed,
    "the agent has left it": _left,
    "the agent is gone": _deleted,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_nothing_stays_behind_though_the_class_says_retain(stage: Stage, end: Any) -> None:
    await stage.frozen()
    assert await stage.copies.sweep(epoch=EPOCH) == 0  # in use
    assert stage.there() == {"VolumeSnapshot", "PersistentVolumeClaim", "VolumeSnapshotContent"}
    await end(stage)
    await stage.swept()
    assert (stage.there(), stage.driver.copies) == (set(), set())


@pytest.mark.parametrize("call", [("get", "volumesnapshots"), ("delete", "persistentvolumeclaims"),
                                  ("patch", "volumesnapshotcontents"), ("delete", "volumesnapshots")])  # fmt: skip
@pytest.mark.parametrize("answer", [Answer(500), Answer(lost=True)], ids=["broken", "killed after it"])
async def test_a_removal_that_is_cut_off_is_ended_later(stage: Stage, call: tuple[str, str], answer: Answer) -> None:
    await stage.frozen()
    await _failed(stage)
    stage.api.script(*call, answer, answer)
    await stage.swept()
    assert (stage.there(), stage.driver.copies) == (set(), set())


async def test_only_a_capture_that_has_started_and_is_current_may_freeze(stage: Stage) -> None:
    waits = await stage.world.ask()
    for attempt, moved in ((waits, "SELECT 1"), (stage.attempt, "UPDATE moorage.agent SET attempt_id = NULL")):
        await stage.world.admin.execute(moved)
        stage.attempt = attempt
        assert not await stage.freeze()
        assert await stage.state() is None
    await stage.world.limits(9)
    stage.attempt = await stage.world.ask(RESTORE)
    await stage.world.admin.execute("UPDATE moorage.attempt SET state = 'Started' WHERE id = $1", stage.attempt)
    assert not await stage.freeze()
    assert stage.there() == set()


async def test_an_operator_that_no_longer_leads_freezes_nothing(stage: Stage) -> None:
    await stage.world.admin.execute("UPDATE moorage.leader SET epoch = epoch + 1")
    with pytest.raises(LostLeadership):
        await stage.freeze()
    assert stage.there() == set()


NO_RIGHT = 'volumesnapshotclasses.snapshot.storage.k8s.io is forbidden: User "operator" cannot list resource'


@pytest.mark.parametrize(
    "answer", [Answer(404), Answer(403, message=NO_RIGHT)], ids=["the API is not there", "we may not look"]
)
async def test_a_cluster_without_snapshots_freezes_nothing(stage: Stage, answer: Answer) -> None:
    stage.api.script("list", "volumesnapshotclasses", answer)
    await stage.copies.look()
    assert stage.copies.storage_classes == frozenset()


async def test_a_class_counts_when_the_platform_has_labelled_it_and_its_driver_is_the_volumes(stage: Stage) -> None:
    assert stage.copies.storage_classes == {"fast"}
    for wrong in ({"labelled": False}, {"driver": "other.example.com"}):
        stage.driver.install(**wrong)  # type: ignore[arg-type]  # one of its two arguments
        await stage.copies.look()
        assert stage.copies.storage_classes == frozenset()
