"""Snapshots are restored for a test every day, and catalogue and object store are compared every week."""

from collections.abc import Callable

from moorage.observability import Metrics
from moorage.providers.ports import ObjectStore
from moorage.services import store_census
from moorage.services.restore_tests import RestoreTests
from moorage.store.catalogue import Catalogue

BETWEEN_TESTS_SECONDS = 5.0
LOOK_SECONDS = 600.0
CENSUS_EVERY_SECONDS = 7 * 86_400


class ProveSnapshots:
    """Two pieces of work; both only look, and nothing is deleted or repaired."""

    def __init__(
        self, catalogue: Catalogue, store: ObjectStore, tests: RestoreTests, metrics: Metrics, epoch: Callable[[], int]
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._tests = tests
        self._metrics = metrics
        self._epoch = epoch
        self._put_off: set[str] = set()

    async def restore(self) -> float:
        """Test one snapshot when one is due."""
        epoch = self._epoch()
        waiting = [snapshot for snapshot in await self._tests.due() if snapshot.id not in self._put_off]
        if not waiting:
            self._put_off.clear()
            return LOOK_SECONDS
        snapshot = waiting[0]
        self._put_off.add(snapshot.id)  # one that takes too long must not keep all others from their test
        tested = await self._tests.test(snapshot)
        if tested is not None:
            if tested.failure is not None:
                self._metrics.restore_test_failures.inc()
            await self._tests.remember(epoch=epoch, snapshot=snapshot, tested=tested)
        return BETWEEN_TESTS_SECONDS

    async def count(self) -> float:
        """Take the census when a week has passed since the last; show what the last has found."""
        epoch = self._epoch()
        last = await self._catalogue.last_census()
        if last is None or last[0] >= CENSUS_EVERY_SECONDS:
            found = await store_census.take(self._catalogue, self._store)
            lacking, unknown = found.lacking_count, found.unknown_count
            await self._catalogue.remember_census(epoch=epoch, living=found.living, lacking=lacking, unknown=unknown)
        else:
            _, lacking, unknown = last
        self._metrics.snapshot_orphans.labels("catalogue").set(lacking)
        self._metrics.snapshot_orphans.labels("store").set(unknown)
        return LOOK_SECONDS
