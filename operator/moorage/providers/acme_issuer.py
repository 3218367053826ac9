"""Certificates from an ACME authority (RFC 8555), whose challenge is a text in the DNS."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509

from moorage.model.errors import MoorageError, NotAsked, Permanent, Transient
from moorage.model.reasons import Reason
from moorage.providers.acme_ports import AccountUnknown, AcmeAccounts, ChallengeBoard
from moorage.providers.ports import SignedCertificate

if TYPE_CHECKING:  # the client with all it brings is loaded by the first order only
    from moorage.providers.acme_calls import AcmeCalls

log = logging.getLogger(__name__)

Result = TypeVar("Result")

AT_ONCE_MAX = 8
SHOWN_SECONDS_MAX = 60.0
SHOWN_EACH_SECONDS = 2.0
CHALLENGE_LABEL = "_acme-challenge"


class AcmeIssuer:
    """Asks one authority. Its client blocks, so that it works in threads of its own, one connection per order."""

    def __init__(
        self,
        *,
        directory: str,
        email: str,
        ca_file: Path | None,
        accounts: AcmeAccounts,
        board: ChallengeBoard,
        each_seconds: float = SHOWN_EACH_SECONDS,
    ) -> None:
        self._directory = directory
        self._email = email
        self._ca_file = ca_file
        self._accounts = accounts
        self._board = board
        self._each_seconds = each_seconds
        self._threads = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="acme")
        self._registering = asyncio.Lock()

    async def issue(self, hostname: str, csr_pem: bytes, *, delegation: str | None) -> SignedCertificate:
        """As the port says."""
        name = f"{CHALLENGE_LABEL}.{hostname}"
        if delegation is not None and not await self._board.leads_to(name, delegation):
            raise Permanent(Reason.ACME_NOT_DELEGATED)
        calls = await self._opened()
        order = await self._do(lambda: calls.order(csr_pem))
        async with contextlib.AsyncExitStack() as shown:
            for text in order.texts:
                await self._show(shown, delegation or name, text)
            await self._do(lambda: calls.answer(order))
            while not await self._do(lambda: calls.is_authorized(order)):  # each look takes a second
                pass
            await self._do(lambda: calls.finalize(order))
            while (chain_pem := await self._do(lambda: calls.chain(order))) is None:
                pass
        return SignedCertificate(id=_serial(chain_pem), chain_pem=chain_pem)

    async def revoke(self, certificate_id: str, chain_pem: str) -> None:  # noqa: ARG002  # its bytes say which it is
        """As the port says."""
        calls = await self._opened()
        await self._do(lambda: calls.revoke(chain_pem))

    async def _show(self, shown: contextlib.AsyncExitStack, name: str, text: str) -> None:
        """Present a text until the stack is closed, and wait until it can be seen: a challenge that fails counts."""
        shown.push_async_callback(self._remove, name, text)  # first: an answer may be lost
        try:
            await self._board.present(name, text)
        except NotAsked as error:  # the provider of the zone was not; but the authority has the order
            raise Transient("the challenge cannot be shown", retry_after_seconds=error.wait_seconds) from error
        try:
            async with asyncio.timeout(SHOWN_SECONDS_MAX):
                while not await self._board.shows(name, text):  # noqa: ASYNC110  # nobody rings when a zone has it
                    await asyncio.sleep(self._each_seconds)
        except TimeoutError as error:
            raise Transient("the zone does not show the challenge yet") from error

    async def _remove(self, name: str, text: str) -> None:
        try:
            await self._board.remove(name, text)
        except MoorageError as error:  # it harms nobody, and its Domain's end takes it along
            log.warning(
                "the text of a challenge stays in the zone", extra={"record": name, "why": type(error).__name__}
            )

    async def _opened(self) -> "AcmeCalls":
        """A connection in the name of our account, which is registered when it has to be."""
        from moorage.providers.acme_calls import AcmeCalls  # noqa: PLC0415  # brings the whole client

        async with self._registering:
            account = await self._accounts.load()
            calls = await self._do(lambda: AcmeCalls(self._directory, account.key_pem, self._ca_file))
            if account.uri is None:
                await self._accounts.note(await self._do(lambda: calls.register(self._email)))
            else:
                calls.known_as(account.uri)
        return calls

    async def _do(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except AccountUnknown:
            await self._accounts.note(None)
            raise


def _serial(chain_pem: str) -> str:
    try:
        return f"{x509.load_pem_x509_certificate(chain_pem.encode()).serial_number:x}"
    except ValueError as error:
        raise Permanent(Reason.CERTIFICATE_REFUSED, "what came back is no certificate") from error
