"""Prove that snapshots can be restored, by restoring some of them; nothing is ever deleted because of what is found."""

import logging
from dataclasses import dataclass

from moorage.model import names
from moorage.model.errors import Transient, Unavailable
from moorage.model.sealing import KeyUnreadable
from moorage.model.snapshots import Failure, RehearseRequest
from moorage.providers.ports import ObjectStore
from moorage.services import mover_child
from moorage.services.keyring import Keyring
from moorage.services.readback import limit_seconds
from moorage.services.scratch import Scratch
from moorage.services.snapshots import data_key_place
from moorage.store.catalogue import Catalogue, Catalogued

URL_SECONDS = 3600
PER_NIGHT_MIN = 5
PER_NIGHT_PERCENT = 1
BLOCK_BYTES = 4096
STORE_IN_THE_WAY = {Failure.STORE_UNREACHABLE, Failure.STORE_REFUSED, Failure.INTERRUPTED}
# The scratch folder's fault, not the snapshot's.
ROOM_IN_THE_WAY = {Failure.VOLUME_FULL, Failure.VOLUME_UNREADABLE, Failure.VOLUME_NOT_EMPTY}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """One snapshot, by its name, and what came of restoring it; None: it came back whole."""

    snapshot: str
    failure: Failure | None


class RestoreTests:
    """Takes the longest untested snapshots and restores them into a scratch folder with the mover's own code."""

    def __init__(self, catalogue: Catalogue, store: ObjectStore, keyring: Keyring, scratch: Scratch) -> None:
        self._catalogue = catalogue
        self._store = store
        self._keyring = keyring
        self._scratch = scratch

    async def due(self) -> list[Catalogued]:
        """The next few to test, unless a hundredth of all, and at least five, were tested within the last day."""
        state = await self._catalogue.test_state()
        wanted = max(PER_NIGHT_MIN, -(-state.living * PER_NIGHT_PERCENT // 100))
        return await self.sample(PER_NIGHT_MIN) if state.tested < wanted else []

    async def sample(self, count: int) -> list[Catalogued]:
        """The longest untested; one that the scratch folder has no room for now is not among them."""
        return await self._catalogue.untested(bytes_max=await self._scratch.room(), limit=count)

    async def test(self, snapshot: Catalogued) -> RestoreOutcome | None:
        """Restore one; None when it was purged meanwhile. Raises Transient when the world is in the way."""
        failure = await self._restore(snapshot)
        if failure is not None:
            if await self._catalogue.find(snapshot.id) is None:
                return None
            name = names.snapshot_name(snapshot.id)
            log.error("a snapshot cannot be restored", extra={"snapshot": name, "why": failure})
        return RestoreOutcome(names.snapshot_name(snapshot.id), failure)

    async def remember(self, *, epoch: int, snapshot: Catalogued, tested: RestoreOutcome) -> None:
        """Write down what came of a test, so that the next takes another snapshot."""
        await self._catalogue.tested(epoch=epoch, snapshot_id=snapshot.id, failure=tested.failure)

    async def _restore(self, snapshot: Catalogued) -> Failure | None:
        try:
            data_key = await data_key_of(self._keyring, snapshot)
        except KeyUnreadable as error:
            now = await self._catalogue.find(snapshot.id)
            if now is not None and now.wrapped_key != snapshot.wrapped_key:
                raise Transient("the key of a snapshot was replaced meanwhile") from error
            return Failure.OBJECT_DAMAGED
        totals = snapshot.totals
        async with self._scratch.folder(totals.plain_bytes + BLOCK_BYTES * totals.file_count) as folder:
            request = RehearseRequest(
                download_url=await self._store.presign_get(snapshot.object_key, seconds=URL_SECONDS),
                data_key=data_key,
                binding=snapshot.binding,
                expected=totals,
                folder=str(folder),
                authority_pem=self._store.authority_pem,
            )
            limit = limit_seconds(max(totals.plain_bytes, totals.object_bytes))
            answer = await mover_child.ask((*mover_child.MOVER, "rehearse"), request, limit_seconds=limit)
        if answer.failure in STORE_IN_THE_WAY:
            raise Unavailable("a snapshot could not be read for a test")
        if answer.failure in ROOM_IN_THE_WAY:
            raise Transient("the scratch folder could not take a snapshot for a test")
        return answer.failure


async def data_key_of(keyring: Keyring, snapshot: Catalogued) -> bytes:
    """The data key of a snapshot's object; raises KeyUnreadable."""
    bound = snapshot.binding
    return await keyring.open(data_key_place(bound.written_by), bound.tenant_uid, snapshot.wrapped_key)
