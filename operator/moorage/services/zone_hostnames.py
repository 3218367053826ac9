"""Keeps the custom host names of tenants at the provider: one list while something is under way, and now and then.

They bear no mark, so a name is ours by what the database knows: its id, or that we have found it free and asked for it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from moorage.model.domain_seen import NOT_SEEN, Owner, Sight, Thing
from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from moorage.providers.ports import CustomHostname, DnsProvider, HostnameState
from moorage.services.patience import Patience, ProviderFailed
from moorage.services.zone_records import LIST_SECONDS, STALE_SECONDS, Place, Rows

T = TypeVar("T")

ASKED_FOR = ""  # in the place of an id: it is not known yet, or its answer was lost
SOON_SECONDS = 2.0  # after something was asked for; then twice as long each time
REFUSED = {Reason.HOSTNAME_CONFLICT, Reason.HOSTNAME_BLOCKED}
_SIGHTS = {
    HostnameState.ACTIVE: (Sight.THERE, None),
    HostnameState.PENDING: (Sight.UNDER_WAY, Reason.HOSTNAME_NOT_POINTED),
    HostnameState.FAILED: (Sight.UNDER_WAY, Reason.HOSTNAME_NOT_POINTED),  # it is asked for anew
    HostnameState.BLOCKED: (Sight.REFUSED, Reason.HOSTNAME_BLOCKED),
}
_CERTIFICATES = {
    HostnameState.ACTIVE: (Sight.THERE, None),
    HostnameState.PENDING: (Sight.UNDER_WAY, Reason.CERTIFICATE_PENDING),
    HostnameState.FAILED: (Sight.UNDER_WAY, Reason.CERTIFICATE_PENDING),
    HostnameState.BLOCKED: (Sight.REFUSED, Reason.CERTIFICATE_REFUSED),
}


@dataclass(slots=True)
class _Wish:
    owner: Owner
    hostname: str
    wanted: bool
    known: str | None  # its id as the database has it; ASKED_FOR; None: never asked for
    refused: Reason | None = None


class ZoneHostnames:
    """The custom host names of one zone; foreign ones are never touched."""

    def __init__(
        self, *, zone: str, provider: DnsProvider, rows: Rows, epoch: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self._zone = zone
        self._provider = provider
        self._rows = rows
        self._epoch = epoch
        self._clock = clock
        self._patience = Patience()
        self._wishes: dict[Place, _Wish] = {}
        self._there: dict[str, CustomHostname] = {}
        self._listed_at: float | None = None
        self._list_at = 0.0
        self._pause = SOON_SECONDS

    def wish(self, owner: Owner, hostname: str, known: str | None, *, wanted: bool) -> None:
        """This host name shall be served for the owner, or no longer."""
        place = (owner.uid, hostname)
        before = self._wishes.get(place)
        if before is None or before.wanted is not wanted:
            self._wishes[place] = _Wish(owner, hostname, wanted, before.known if before else known)

    def seen(self, uid: str, hostname: str) -> Thing:
        """How the host name stands at the provider."""
        return self._seen(uid, hostname, of_certificate=False)

    def seen_certificate(self, uid: str, hostname: str) -> Thing:
        """How the certificate stands that the provider has for it at its edge."""
        return self._seen(uid, hostname, of_certificate=True)

    def places(self) -> list[tuple[Owner, str]]:
        """Everything that is wished for, or was."""
        return [(wish.owner, wish.hostname) for wish in self._wishes.values()]

    @property
    def outstanding(self) -> int:
        """Wishes with something left to do, or to wait for."""
        return sum(self._is_under_way(wish) for wish in self._wishes.values())

    async def step(self) -> bool:
        """List when it is time, ask for what is missing, give up what is not wished; True when something may differ."""
        now = self._clock()
        if not self._wishes or self._patience.wait_seconds(now) > 0:
            return False
        try:
            if due := self._listed_at is None or now >= self._list_at:
                await self._list(now)
            acted = [wish for wish in self._wishes.values() if self._has_work(wish)]
            for wish in acted:
                await self._act(wish)
        except ProviderFailed:
            return True
        if any(wish.wanted for wish in acted):
            self._pause, self._list_at = SOON_SECONDS, min(self._list_at, now + SOON_SECONDS)
        return due or bool(acted)

    async def _list(self, now: float) -> None:
        found = await self._asked(self._provider.custom_hostnames(self._zone))
        self._there = {one.hostname: one for one in found}
        self._listed_at = now
        for place in [place for place, wish in self._wishes.items() if not wish.wanted and wish.known is None]:
            if not self._ours(self._wishes[place]):
                del self._wishes[place]
        for wish in self._wishes.values():
            wish.refused = None
            ours = self._ours(wish)
            if ours is not None and wish.known != ours.id:
                await self._note(wish, ours.id)
        self._pause = min(LIST_SECONDS, 2 * self._pause) if self.outstanding else LIST_SECONDS
        self._list_at = now + self._pause

    async def _act(self, wish: _Wish) -> None:
        await self._rows.require(epoch=self._epoch())
        ours = self._ours(wish)
        if ours is not None:
            await self._asked(self._provider.remove_hostname(self._zone, ours.id))
            del self._there[wish.hostname]
        if not wish.wanted:
            await self._note(wish, None)
            return
        # First what we intend, then the call: when its answer is lost, the name that is found later is known as ours.
        await self._note(wish, ASKED_FOR)
        try:
            made = await self._asked(self._provider.add_hostname(self._zone, wish.hostname))
        except ProviderFailed as failed:
            cause = failed.__cause__
            if isinstance(cause, Permanent) and cause.reason in REFUSED:
                wish.refused = cause.reason
                self._patience = Patience()  # it is this name's alone
                await self._note(wish, None)
                return
            raise
        self._there[wish.hostname] = made
        await self._note(wish, made.id)

    def _has_work(self, wish: _Wish) -> bool:
        ours = self._ours(wish)
        if not wish.wanted:
            return ours is not None or wish.known is not None
        if ours is not None:
            return ours.state is HostnameState.FAILED  # taken away and asked for anew: its time for proof begins again
        return wish.refused is None and wish.hostname not in self._there

    def _is_under_way(self, wish: _Wish) -> bool:
        ours = self._ours(wish)
        waits = ours is not None and HostnameState.PENDING in (ours.state, ours.certificate)
        return self._has_work(wish) or (wish.wanted and waits)

    def _ours(self, wish: _Wish) -> CustomHostname | None:
        found = self._there.get(wish.hostname)
        return found if found is not None and wish.known in (found.id, ASKED_FOR) else None

    def _seen(self, uid: str, hostname: str, *, of_certificate: bool) -> Thing:
        wish = self._wishes.get((uid, hostname))
        if wish is None:
            return NOT_SEEN
        if self._listed_at is None or self._clock() - self._listed_at > STALE_SECONDS:
            return replace(NOT_SEEN, problem=self._patience.problem)
        ours = self._ours(wish)
        if not wish.wanted:
            gone = ours is None and wish.known is None
            return Thing(sight=Sight.ABSENT if gone else Sight.THERE, id=wish.known)
        if ours is None:
            foreign = wish.hostname in self._there or wish.refused is Reason.HOSTNAME_CONFLICT
            if foreign:
                return Thing(sight=Sight.FOREIGN, problem=Reason.HOSTNAME_CONFLICT)
            sight = Sight.REFUSED if wish.refused else Sight.UNDER_WAY
            return Thing(sight=sight, problem=wish.refused or self._patience.problem)
        sight, problem = _CERTIFICATES[ours.certificate] if of_certificate else _SIGHTS[ours.state]
        return Thing(sight=sight, problem=problem, id=ours.id)

    async def _asked(self, answer: Awaitable[T]) -> T:
        return await self._patience.asked(answer, self._clock, lost=self._answer_lost)

    def _answer_lost(self) -> None:
        self._list_at = 0.0

    async def _note(self, wish: _Wish, known: str | None) -> None:
        if wish.known != known:
            await self._rows.note_hostname(epoch=self._epoch(), uid=wish.owner.uid, hostname_id=known)
            wish.known = known
