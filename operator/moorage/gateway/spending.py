"""Spending from slices: admit a request against one, note what it cost, give back what is idle or asked for."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.billing import slices
from moorage.gateway.journal import Admitted, Ended, Journal, Leftovers
from moorage.gateway.purse import Purse
from moorage.gateway.reports import Reports
from moorage.gateway.tickets import Ask, OutOfCredit, Ticket
from moorage.model.errors import Transient
from moorage.model.money import PICOS_PER_MICRO
from moorage.model.names import WalletId
from moorage.model.spending import FinishedRequest, Lease, Reservation, Tokens
from moorage.store.leases import Leases

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
ASK_SECONDS = 1.0
IDLE_SECONDS = 30.0
RENEW_SECONDS = 20.0


class Spending:
    """All purses of one gateway. `now_s` is a monotonic clock, `new_id` makes UUIDv7s."""

    def __init__(
        self, leases: Leases, to: Journal, *, now_s: Callable[[], float], new_id: Callable[[], str], gateways: int = 1
    ) -> None:
        self._leases = leases
        self._journal = to
        self._now_s = now_s
        self._new_id = new_id
        self._gateways = gateways
        self._reports = Reports(leases, self._heard)
        self._purses: dict[WalletId, Purse] = {}
        self._spare_micros: dict[WalletId, int] = {}  # as last told
        self._growing: dict[WalletId, asyncio.Lock] = {}

    async def admit(self, ask: Ask) -> Ticket:
        """Promise credit to a request, from the purse if it has enough. Raises OutOfCredit."""
        worst = slices.worst_case_picos(
            ask.price, input_tokens=ask.input_tokens, output_tokens_max=ask.output_tokens_max
        )
        purse = self._purses.get(ask.wallet)
        if purse is None or purse.free_picos < worst:
            async with self._growing.setdefault(ask.wallet, asyncio.Lock()):
                purse = self._purses.get(ask.wallet)  # somebody else may have made or filled it
                if purse is None or purse.free_picos < worst:
                    purse = await self._larger_purse(ask.wallet, worst)
                if purse is None:
                    return await self._hold(ask, worst)
        purse.promised_picos += worst
        purse.used_s = self._now_s()
        return self._ticket(ask, self._new_id(), purse.lease_id, ask.output_tokens_max, worst)

    def finish(self, ticket: Ticket, tokens: Tokens) -> None:
        """Note what a request cost; it is reported with the next batch. All zero when it never reached its provider."""
        ask = ticket.ask
        request = FinishedRequest(
            id=ticket.id, lease_id=ticket.lease_id, agent_uid=ask.agent_uid, price=ask.price, tokens=tokens
        )
        self._journal.append(Ended(ticket.id, tokens))
        self._reports.add(request)
        purse = self._purses.get(ask.wallet)
        if purse is not None and purse.lease_id == ticket.lease_id:
            purse.promised_picos -= ticket.worst_picos
            purse.spent_picos += request.cost_picos
            purse.recent.add(request.cost_picos, self._now_s())

    async def flush(self) -> None:
        """Report what ended; nothing is charged twice, and what could not be reported is reported again."""
        await self._reports.flush(self._journal)

    async def give_back(self) -> None:
        """Return purses that are idle or asked for, as far as nothing in them is promised; renew the others."""
        asked = set(await self._leases.asked_back())
        now_s = self._now_s()
        for wallet, purse in list(self._purses.items()):
            purse.revoked = purse.lease_id in asked
            if purse.promised_picos == 0 and (purse.revoked or now_s - purse.used_s >= IDLE_SECONDS):
                del self._purses[wallet]
                await self.flush()
                await self._leases.close(purse.lease_id)
            elif purse.revoked:
                purse.answered(await self._leases.resize(purse.lease_id, target_micros=purse.needed_micros))
            elif now_s - purse.renewed_s >= RENEW_SECONDS:
                purse.renewed_s = now_s
                target_micros = purse.granted_picos // PICOS_PER_MICRO
                purse.answered(await self._leases.resize(purse.lease_id, target_micros=target_micros))

    async def run(self) -> None:
        """Write, report and give back until it is cancelled; only a lost registration or a bug ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._journal.run())
            tasks.create_task(_again_and_again(self.flush, FLUSH_SECONDS))
            tasks.create_task(_again_and_again(self.give_back, ASK_SECONDS))

    async def drain(self) -> None:
        """Report everything and close all leases; call it when no request is under way any more."""
        await self.flush()
        for purse in self._purses.values():
            await self._leases.close(purse.lease_id)
        self._purses.clear()
        await self._journal.close()

    async def _larger_purse(self, wallet: WalletId, worst: int) -> Purse | None:
        """A purse with room for the request; None when the wallet cannot spare a slice of that size."""
        purse, spare = self._purses.get(wallet), self._spare_micros.get(wallet)
        if purse is not None and purse.revoked:
            raise OutOfCredit("the wallet is about to stop")
        least = slices.whole_micros(worst)
        if purse is None and slices.is_for_single_requests(
            worst_micros=least, spare_micros=spare, gateways=self._gateways
        ):
            return None
        recent = 0 if purse is None else purse.recent.micros(self._now_s())
        want = slices.slice_micros(
            worst_micros=least, recent_micros=recent, spare_micros=spare, gateways=self._gateways
        )
        if purse is None:
            lease = await self._leases.open(str(uuid.uuid4()), wallet, want_micros=want, at_least_micros=least)
            if lease.state is Reservation.OPEN:
                now_s = self._now_s()
                purse = self._purses[wallet] = Purse(lease.id, 0, used_s=now_s, renewed_s=now_s)
        else:
            lease = await self._leases.resize(purse.lease_id, target_micros=purse.needed_micros + want)
            if lease.state is Reservation.OPEN and purse.free_after(lease) < worst:
                # Too little for a slice: what is free in this one goes back, so that the request can be held.
                lease = await self._leases.resize(purse.lease_id, target_micros=purse.needed_micros)
        self._heard(lease)
        self._spare_micros[wallet] = lease.spare_micros
        purse = self._purses.get(wallet)
        return purse if purse is not None and purse.free_picos >= worst else None

    async def _hold(self, ask: Ask, worst: int) -> Ticket:
        """A hold for this request alone, with less output when that is all the wallet can pay."""
        spare = self._spare_micros.pop(ask.wallet, 0)  # others spend too: the next request asks how much is left
        output = ask.output_tokens_max
        if slices.whole_micros(worst) > spare:
            output = min(
                output, slices.affordable_output_tokens(ask.price, input_tokens=ask.input_tokens, spare_micros=spare)
            )
            worst = slices.worst_case_picos(ask.price, input_tokens=ask.input_tokens, output_tokens_max=output)
        if output < 1:
            raise OutOfCredit("the wallet cannot pay for this request")
        id_ = self._new_id()
        held = await self._leases.hold(id_, ask.wallet, ask.agent_uid, amount_micros=slices.whole_micros(worst))
        if held is not Reservation.OPEN:
            raise OutOfCredit("the wallet cannot pay for this request")
        return self._ticket(ask, id_, None, output, worst)

    def _ticket(self, ask: Ask, id_: str, lease_id: str | None, output: int, worst: int) -> Ticket:
        self._journal.append(Admitted(id_, lease_id, ask.agent_uid, ask.price))
        return Ticket(id=id_, ask=ask, lease_id=lease_id, output_tokens_max=output, worst_picos=worst)

    def _heard(self, lease: Lease) -> None:
        """Take over what the ledger says of a lease; one that ended is no purse any more."""
        for wallet, purse in self._purses.items():
            if purse.lease_id == lease.id:
                purse.answered(lease)
                if lease.state is not Reservation.OPEN:
                    del self._purses[wallet]
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What the journal of a dead gateway came to."""

    gateway: str
    ended: int
    unfinished: int  # under way when it died: recorded at a cost of nothing
    cost_picos: int
    leases_closed: int


async def settle_journal(leases: Leases, left: Leftovers) -> Replayed:
    """Report what a journal knows, close the gateway's leases, remove the segments; may be repeated at any point.

    `leases` is a new life of the same gateway: the dead one, should it still live, is refused from then on.
    """
    reports = Reports(leases, lambda _: None)
    for request in (*left.ended, *left.unfinished):
        reports.add(request)
    await reports.flush()
    lease_ids = await leases.still_open()
    for lease_id in lease_ids:
        await leases.close(lease_id)
    for path in left.segments:
        path.unlink(missing_ok=True)
    return Replayed(
        gateway=left.gateway,
        ended=len(left.ended),
        unfinished=len(left.unfinished),
        cost_picos=sum(request.cost_picos for request in left.ended),
        leases_closed=len(lease_ids),
    )


def new_request_id(now_ms: int) -> str:
    """A UUIDv7 of this moment."""
    chance = uuid.uuid4().int
    version_and_variant = 7 << 76 | 2 << 62
    return str(uuid.UUID(int=now_ms << 80 | version_and_variant | chance & (0xFFF << 64 | 2**62 - 1)))


async def _again_and_again(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Transient as error:
            log.warning("the ledger is out of reach", extra={"why": str(error)})
