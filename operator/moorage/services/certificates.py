"""The keeper of certificates: asks issuers beside the queue, keeps what they sign, renews it, and has it revoked."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from moorage.lifecycle import certificate as rules
from moorage.lifecycle.certificate import AFTER_TROUBLE
from moorage.model.domain import Issuer
from moorage.model.domain_record import DomainRecord
from moorage.model.domain_seen import Owner, Thing
from moorage.model.errors import LostLeadership, MoorageError, NotAsked, Permanent, Transient
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.model.reasons import Reason
from moorage.model.sealing import Place
from moorage.observability import Metrics
from moorage.providers.ports import CertificateIssuer, SignedCertificate
from moorage.services.keyring import Keyring
from moorage.services.revocations import Revocations
from moorage.services.signing_request import SigningRequest
from moorage.store.certificates import CertificateRows, KeptCertificate
from moorage.store.domains import Domains

log = logging.getLogger(__name__)

AT_ONCE_MAX = 8
ATTEMPT_SECONDS_MAX = 180.0
TURN_SECONDS = 1.0
LOOK_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    owner: Owner
    issuer: Issuer
    due_at: float  # on the keeper's own clock, which only says when to look; the database's clock decides


class Certificates:
    """Holds the wishes of Domains, one certificate each; what is kept, what failed, what is owed is in the database."""

    def __init__(
        self,
        *,
        rows: CertificateRows,
        domains: Domains,
        keyring: Keyring,
        issuers: Mapping[Issuer, CertificateIssuer],
        offer: DomainOffer,
        ring: Callable[[Key, bool], None],
        epoch: Callable[[], int],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._domains = domains
        self._keyring = keyring
        self._issuers = issuers
        self._revocations = Revocations(rows=rows, issuers=issuers, epoch=epoch, metrics=metrics)
        self._offer = offer
        self._ring = ring
        self._epoch = epoch
        self._metrics = metrics
        self._clock = clock
        self._wishes: dict[str, _Wish] = {}
        self._problems: dict[str, Reason] = {}
        self._busy: set[str] = set()
        self._look_at = clock()

    def wish(self, owner: Owner, record: DomainRecord, issuer: Issuer) -> None:
        """Keep a certificate by this issuer for the Domain from now on; wishing again changes nothing."""
        due_in = rules.due_in_seconds(record, issuer)
        if due_in is None or issuer not in self._issuers:
            self._forget(owner.uid)
            return
        known = self._wishes.get(owner.uid)
        due_at = self._clock() + due_in
        if due_in == 0 and known is not None and known.issuer is issuer:
            due_at = known.due_at  # it may wait for its time after a failure
        self._wishes[owner.uid] = _Wish(owner=owner, issuer=issuer, due_at=due_at)

    def seen(self, record: DomainRecord, issuer: Issuer) -> Thing:
        """How the Domain's certificate stands to the wish for one by this issuer."""
        return rules.seen(record, issuer, self._issuers.keys(), self._problems.get(record.uid))

    async def pair(self, uid: str) -> tuple[str, str] | None:
        """The chain and the private key in PEM; None without a certificate. Raises KeysUnavailable."""
        kept, record = await self._rows.one(uid), await self._domains.load(uid)
        if kept is None or record is None:
            return None
        key = await self._keyring.open(_place(uid), record.tenant_uid, kept.sealed_key)
        return kept.chain_pem, key.decode()

    async def revoke(self, record: DomainRecord) -> None:
        """Forget the Domain's certificate with its key at once, and have its issuer take it back in time."""
        self._forget(record.uid)
        await self._rows.give_up(epoch=self._epoch(), uid=record.uid)

    async def step(self) -> float:
        """Ask for what is due until nothing is; returns the seconds until the next look. Ends with the lead."""
        running: set[asyncio.Task[None]] = set()
        ends_at = self._clock() + LOOK_SECONDS
        if self._clock() >= self._look_at:
            self._look_at = ends_at
            running.add(asyncio.create_task(self._look()))
        try:
            while True:
                due = self._due(AT_ONCE_MAX - len(running)) if self._clock() < ends_at else []
                running |= {asyncio.create_task(self._attempt(wish)) for wish in due}
                if not running:
                    return TURN_SECONDS
                done, running = await asyncio.wait(running, timeout=TURN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _due(self, limit: int) -> list[_Wish]:
        """The wishes whose time has come, the oldest first; from now on they are under way."""
        now = self._clock()
        found = [wish for uid, wish in self._wishes.items() if wish.due_at <= now and uid not in self._busy]
        first = sorted(found, key=lambda wish: wish.due_at)[:limit]
        self._busy.update(wish.owner.uid for wish in first)
        return first

    async def _attempt(self, wish: _Wish) -> None:
        uid = wish.owner.uid
        try:
            wait_seconds = await self._ask(wish)
        except LostLeadership:
            raise
        except MoorageError as error:  # the database or the keys: nobody was refused anything
            log.warning("a certificate waits", extra={"domain": str(wish.owner.key), "why": str(error)})
            wait_seconds = AFTER_TROUBLE.first_seconds
        finally:
            self._busy.discard(uid)
        if wait_seconds is None:
            self._forget(uid)
        elif self._wishes.get(uid) is wish:
            self._wishes[uid] = replace(wish, due_at=self._clock() + wait_seconds)

    async def _ask(self, wish: _Wish) -> float | None:
        """One attempt, if it is time; returns the seconds until the next look, None to look no more."""
        uid = wish.owner.uid
        record = await self._domains.load(uid)
        due_in = None if record is None else rules.due_in_seconds(record, wish.issuer)
        if record is None or due_in is None or due_in > 0:
            return due_in
        request = SigningRequest(record.hostname)
        # Before anything is asked for: a certificate whose key cannot be kept would be lost.
        sealed = await self._keyring.seal(_place(uid), record.tenant_uid, request.key_pem)
        begun = await self._rows.begin(
            epoch=self._epoch(), uid=uid,
            first_seconds=AFTER_TROUBLE.first_seconds, max_seconds=AFTER_TROUBLE.max_seconds,
        )  # fmt: skip
        if not begun:
            wait_seconds, reason = await self._rows.waiting(uid)
            self._tell(wish, reason)
            return max(wait_seconds, TURN_SECONDS)
        try:
            signed = await self._signed(wish.issuer, record, request)
            facts = request.checked(signed, wish.issuer, record.now)
        except NotAsked as closed:
            self._tell(wish, Reason.PROVIDER_UNREACHABLE)
            return await self._rows.not_made(epoch=self._epoch(), uid=uid, wait_seconds=closed.wait_seconds)
        except Permanent as refusal:
            return await self._failed(wish, refusal.reason, 0.0)
        except Transient as trouble:
            return await self._failed(wish, Reason.PROVIDER_UNREACHABLE, trouble.retry_after_seconds or 0.0)
        kept = KeptCertificate(facts=facts, chain_pem=signed.chain_pem, sealed_key=sealed)
        if not await self._rows.keep(epoch=self._epoch(), uid=uid, kept=kept):
            await self._rows.queue_revocation(epoch=self._epoch(), certificate=facts, chain_pem=signed.chain_pem)
        self._count(wish.issuer, "issued")
        self._tell(wish, None)
        return 0.0  # look again: when is it to be renewed?

    async def _signed(self, issuer: Issuer, record: DomainRecord, request: SigningRequest) -> SignedCertificate:
        delegation = self._offer.delegation(record.uid) if record.own else None
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await self._issuers[issuer].issue(record.hostname, request.pem, delegation=delegation)
        except TimeoutError as error:
            raise Transient("the issuer took too long") from error

    async def _failed(self, wish: _Wish, reason: Reason, least_seconds: float) -> float:
        pause = rules.pause_after(reason)
        self._count(wish.issuer, "refused" if reason is Reason.CERTIFICATE_REFUSED else "failed")
        log.warning("no certificate was issued", extra={"domain": str(wish.owner.key), "reason": reason.value})
        wait_seconds = await self._rows.fail(
            epoch=self._epoch(), uid=wish.owner.uid, reason=reason,
            first_seconds=pause.first_seconds, max_seconds=pause.max_seconds, least_seconds=least_seconds,
        )  # fmt: skip
        self._tell(wish, reason)
        return wait_seconds

    async def _look(self) -> None:
        """Say when the first certificate ends, and have revoked what is owed."""
        try:
            self._metrics.domain_certificate_expiry.set(await self._rows.first_expiry())
            await self._revocations.work()
        except LostLeadership:
            raise
        except MoorageError as error:
            log.warning("revocations wait", extra={"why": str(error)})

    def _tell(self, wish: _Wish, problem: Reason | None) -> None:
        """Remember how the last attempt ended, and have the Domain looked at."""
        self._problems.pop(wish.owner.uid, None)
        if problem is not None:
            self._problems[wish.owner.uid] = problem
        self._ring(wish.owner.key, False)

    def _forget(self, uid: str) -> None:
        self._wishes.pop(uid, None)
        self._problems.pop(uid, None)

    def _count(self, issuer: Issuer, result: str) -> None:
        self._metrics.certificates.labels(issuer.value, result).inc()


def _place(uid: str) -> Place:
    return Place("domain", uid, "sealed_key")
