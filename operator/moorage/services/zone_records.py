"""Keeps the records of our zone as Domains wish them: one list now and then, and writes in sets."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

from moorage.model.domain_seen import NOT_SEEN, Owner, Sight, Thing
from moorage.providers.ports import WRITTEN, DnsProvider, DnsRecord
from moorage.services import zone_plan
from moorage.services.patience import Patience, ProviderFailed
from moorage.services.zone_plan import Changes, Wish

LIST_SECONDS = 600.0
STALE_SECONDS = 3 * LIST_SECONDS  # so old a list says nothing any more
SET_MAX = 100
MARK = "moorage"

Place = tuple[str, str]  # uid and host name


class Rows(Protocol):
    """What the database has to say, and to remember."""

    async def require(self, *, epoch: int) -> None:
        """Raises LostLeadership when another process leads."""

    async def gone(self, *, epoch: int, uids: Collection[str]) -> dict[str, str]:
        """The host names of those Domains that are finished for certain."""

    async def note_records(self, *, epoch: int, ids: Mapping[str, str | None]) -> None:
        """The provider's ids of records, by Domain; None: it is gone."""

    async def note_hostname(self, *, epoch: int, uid: str, hostname_id: str | None) -> None:
        """The provider's id of a custom host name; empty: it is asked for; None: it is gone."""


class ZoneRecords:
    """One zone. What lacks our mark is never touched; what bears it for an unknown Domain only when that is gone."""

    def __init__(
        self,
        *,
        zone: str,
        platform_id: str,
        provider: DnsProvider,
        rows: Rows,
        epoch: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._zone = zone
        self._marks = f"{MARK}/{platform_id}/"
        self._provider = provider
        self._rows = rows
        self._epoch = epoch
        self._clock = clock
        self._patience = Patience()
        self._wishes: dict[Place, Wish] = {}
        self._open: set[Place] = set()  # what is not yet as wished, as far as we know
        self._there: dict[str, list[DnsRecord]] = {}
        self._orphans: list[DnsRecord] = []
        self._listed_at: float | None = None
        self._list_due = True

    def wish(self, owner: Owner, record: DnsRecord) -> None:
        """This record, marked as the owner's; its id is the one that the database knows."""
        mark = self._marks + owner.uid
        self._keep(Wish(owner, record.name, mark, replace(record, id="", comment=mark), record.id or None))

    def unwish(self, owner: Owner, hostname: str, record_id: str | None) -> None:
        """Nothing of the owner's at this name."""
        self._keep(Wish(owner, hostname, self._marks + owner.uid, None, record_id))

    def _keep(self, wish: Wish) -> None:
        place = (wish.owner.uid, wish.hostname)
        before = self._wishes.get(place)
        if before is None or before.record != wish.record:
            self._wishes[place] = wish
            self._open.add(place)

    def seen(self, uid: str, hostname: str) -> Thing:
        """How the record stands; UNKNOWN before anything was wished and read."""
        wish = self._wishes.get((uid, hostname))
        if wish is None:
            return NOT_SEEN
        if self._listed_at is None or self._clock() - self._listed_at > STALE_SECONDS:
            return replace(NOT_SEEN, problem=self._patience.problem)
        thing = self._look(wish)
        return replace(thing, problem=self._patience.problem) if self._unsettled(wish, thing) else thing

    def places(self) -> list[tuple[Owner, str]]:
        """Everything that is wished for, or was."""
        return [(wish.owner, wish.hostname) for wish in self._wishes.values()]

    @property
    def outstanding(self) -> int:
        """Wishes that are not fulfilled."""
        return len(self._open)

    async def step(self) -> bool:
        """List when it is time, write what is outstanding; True when something may look different now."""
        now = self._clock()
        due = self._list_due or self._listed_at is None or now - self._listed_at >= LIST_SECONDS
        if self._patience.wait_seconds(now) > 0 or not (due or self._open):
            return False
        try:
            if due:
                await self._list()
            await self._write()
        except ProviderFailed:
            pass  # patience knows
        await self._note()
        return True

    async def _list(self) -> None:
        there: defaultdict[str, list[DnsRecord]] = defaultdict(list)
        for record in await self._patience.asked(
            self._provider.records(self._zone), self._clock, lost=self._answer_lost
        ):
            there[record.name].append(record)
        self._there = dict(there)
        self._listed_at, self._list_due = self._clock(), False
        self._forget()
        self._open = {
            place
            for place, wish in self._wishes.items()
            if wish.refused is not None or self._unsettled(wish, self._look(wish))
        }
        self._orphans = await self._find_orphans()

    def _answer_lost(self) -> None:
        """What was sent may have been done all the same: the next thing is to look."""
        self._list_due = True

    def _forget(self) -> None:
        """Names that were given up and are not there any more."""
        over = [place for place, wish in self._wishes.items() if wish.record is None and place not in self._open]
        for place in over:
            del self._wishes[place]

    async def _find_orphans(self) -> list[DnsRecord]:
        """Records with our mark that nobody asks for, and whose Domain is gone by the word of the database."""
        unasked = {}
        for record in (each for there in self._there.values() for each in there if each.type in WRITTEN):
            uid = record.comment.removeprefix(self._marks)
            if record.comment.startswith(self._marks) and (uid, record.name) not in self._wishes and _is_uid(uid):
                unasked[record.id] = (uid, record)
        if not unasked:
            return []
        gone = await self._rows.gone(epoch=self._epoch(), uids={uid for uid, _ in unasked.values()})
        return [record for uid, record in unasked.values() if gone.get(uid) == record.name]

    async def _write(self) -> None:
        changes = Changes(deletes=self._orphans)
        places = list(self._open)
        while changes.deletes or places:
            while places and len(changes) < SET_MAX:
                wish = self._wishes[places.pop()]
                zone_plan.add_changes(changes, wish, self._there.get(wish.hostname, ()))
            if changes:
                await self._write_set(changes)
            changes = Changes()
        self._orphans = []
        self._open = {
            place for place in self._open if self._unsettled(self._wishes[place], self._look(self._wishes[place]))
        }

    async def _write_set(self, changes: Changes) -> None:
        await self._rows.require(epoch=self._epoch())  # a leader that was replaced must not write over its successor
        puts, deletes = [record for _, record in changes.puts], [record.id for record in changes.deletes]
        writing = self._provider.write(self._zone, puts, deletes)
        answers = await self._patience.asked(writing, self._clock, lost=self._answer_lost)
        for record in changes.deletes:
            self._replace(record.name, record.id, None)
        for (wish, record), answer in zip(changes.puts, answers, strict=False):  # deletions come after the puts
            wish.refused = answer.refused
            if answer.record is not None:
                self._replace(record.name, answer.record.id, answer.record)

    def _replace(self, name: str, record_id: str, record: DnsRecord | None) -> None:
        others = [other for other in self._there.get(name, ()) if other.id != record_id]
        self._there[name] = others if record is None else [*others, record]

    async def _note(self) -> None:
        """Ids that the database does not know yet."""
        if self._listed_at is None:
            return
        ids: dict[str, str | None] = {}
        for wish in self._wishes.values():
            thing = self._look(wish)
            if thing.id != wish.noted and _is_uid(wish.owner.uid):
                ids[wish.owner.uid] = thing.id
        if ids:
            await self._rows.note_records(epoch=self._epoch(), ids=ids)
            for wish in self._wishes.values():
                wish.noted = ids.get(wish.owner.uid, wish.noted)

    def _look(self, wish: Wish) -> Thing:
        return zone_plan.look(wish, self._there.get(wish.hostname, ()))

    @staticmethod
    def _unsettled(wish: Wish, thing: Thing) -> bool:
        """Whether there is something to do; somebody else's record, and a refusal, wait for the next list."""
        return thing.sight in ((Sight.THERE,) if wish.record is None else (Sight.UNDER_WAY, Sight.DIFFERENT))


def _is_uid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
