"""One call to Cloudflare: paid from the bucket, tried once, its answer believed only when it is whole."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from moorage.model.errors import NotAsked, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason
from moorage.observability import Metrics
from moorage.providers.allowance import CLOSED_SECONDS, Allowance, Urgency

if TYPE_CHECKING:  # 38 MB and a third of a second, which only those wait for who have domains
    from cloudflare import AsyncCloudflare

TIMEOUT_SECONDS = 30.0
PAGES_MAX = 200
NOT_FOUND = 404
LIST_TRIES = 3
# Error numbers of the API; the HTTP status alone does not tell them apart.
TOKEN_INVALID = {1000, 6003, 6111, 9103, 9106, 9107}
NOT_ALLOWED = {9109, 10000}  # a token that is worth nothing, or one that lacks a right
ENOUGH = {971, 10100, 10429}
NO_SUCH_ZONE = {1001, 7000, 7003}
OF_AN_ACCOUNT = "cfat_"  # how tokens begin that belong to no user, and that the question after tokens does not know

T = TypeVar("T")
log = logging.getLogger(__name__)


class Refused(Transient):
    """Cloudflare said no to this very wish, by these numbers; who does not know what to do may try again later."""

    def __init__(self, call: str, status: int, codes: Iterable[int]) -> None:
        self.status, self.codes = status, frozenset(codes)
        super().__init__(f"cloudflare refused {call} with {status}, {sorted(self.codes)}")


class _Problem(msgspec.Struct):
    code: int = 0


class _Pages(msgspec.Struct):
    total_count: int
    total_pages: int = 1


class _Answer(msgspec.Struct, Generic[T]):
    success: bool | None = None
    errors: list[_Problem] = []
    result: T | None = None
    result_info: _Pages | None = None
    id: str = ""  # some deletions are answered by the id alone

    @property
    def whole(self) -> bool:
        """Whether it says that something was done, or what there is."""
        return self.result is not None if self.success else self.success is None and bool(self.id)


class Identified(msgspec.Struct):
    """Anything that has an id."""

    id: str


Found = TypeVar("Found", bound=Identified)
# The SDK's methods in their form that returns the answer as it came; each has its own types, ours are those we read.
Method = Callable[..., Awaitable[Any]]


class CloudflareCalls:
    """The way to Cloudflare that zones, host names and certificates share."""

    def __init__(self, *, url: str, token_file: Path, allowance: Allowance, metrics: Metrics) -> None:
        self.allowance = allowance
        self._url = url
        self._token_file = token_file
        self._metrics = metrics
        self._client: AsyncCloudflare | None = None
        self._zone_ids: dict[str, str] = {}

    async def close(self) -> None:
        """Close its connections; it opens again by itself."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def client(self) -> "AsyncCloudflare":
        """The SDK, with the token as the file has it now, none of its retries, and nothing of the environment."""
        if self._client is None:
            from cloudflare import AsyncCloudflare  # noqa: PLC0415 - see TYPE_CHECKING above

            self._client = AsyncCloudflare(api_token="", base_url=self._url, max_retries=0, timeout=TIMEOUT_SECONDS)
            self._client.api_key = self._client.api_email = self._client.user_service_key = None
        try:
            self._client.api_token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise Permanent(Reason.PROVIDER_TOKEN_INVALID, "the token cannot be read from its file") from error
        if not self._client.api_token:
            raise Permanent(Reason.PROVIDER_TOKEN_INVALID, "the file of the token is empty")
        return self._client

    async def zone_id(self, zone: str) -> str:
        """Cloudflare's id of a zone. Raises Permanent(ZONE_NOT_FOUND)."""
        if zone not in self._zone_ids:
            method = self.client().zones.with_raw_response.list
            found = await self.ask(
                "find_zone", list[Identified], method, urgency=Urgency.REMOVE, lacks=Reason.ZONE_NOT_FOUND, name=zone
            )
            if not found:
                raise Permanent(Reason.ZONE_NOT_FOUND)
            self._zone_ids[zone] = found[0].id
        return self._zone_ids[zone]

    async def ask(
        self, call: str, answer: type[T], method: Method, *, urgency: Urgency, lacks: Reason, **asked: Any
    ) -> T:
        """The result of one call. `lacks` is the reason that says which right it needs.

        Raises NotAsked, Refused, Permanent, Transient or Unavailable; never returns for an answer that says nothing.
        """
        found = await self._whole(call, answer, method, urgency=urgency, lacks=lacks, **asked)
        if found.result is None:
            raise Unavailable(f"cloudflare's answer to {call} is not whole")
        return found.result

    async def remove(self, call: str, method: Method, *, lacks: Reason, **asked: Any) -> None:
        """Take one thing away; one that is gone already is fine."""
        try:
            await self._whole(call, Identified, method, urgency=Urgency.REMOVE, lacks=lacks, **asked)
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise

    async def listed(
        self, call: str, one: type[Found], method: Method, *, per_page: int, lacks: Reason, **asked: Any
    ) -> list[Found]:
        """Everything of a list in pages; one that moved while it was read is read again, and never believed."""
        several: type[list[Found]] = list[one]  # type: ignore[valid-type]  # a type as an argument
        for _ in range(LIST_TRIES):
            found: dict[str, Found] = {}
            totals = set()
            for page in range(1, PAGES_MAX + 1):
                answer = await self._whole(
                    call, several, method, urgency=Urgency.RECORD, lacks=lacks, **asked, page=page, per_page=per_page
                )
                if answer.result is None or answer.result_info is None:
                    raise Unavailable(f"cloudflare's answer to {call} is not whole")
                found |= {item.id: item for item in answer.result}
                totals.add(answer.result_info.total_count)
                if page >= answer.result_info.total_pages or not answer.result:
                    break
            if totals == {len(found)}:
                return list(found.values())
        raise Unavailable(f"cloudflare's list of {call} moved while it was read")

    async def _whole(
        self, call: str, answer: type[T], method: Method, *, urgency: Urgency, lacks: Reason, **asked: Any
    ) -> _Answer[T]:
        self.allowance.take(urgency)
        status, headers, body = await self._sent(call, method, asked)
        self.allowance.note(status, headers)
        self._metrics.dns_calls_left.set(self.allowance.left())
        try:
            said = msgspec.json.decode(body, type=_Answer[answer])  # type: ignore[valid-type]  # a type as an argument
        except msgspec.MsgspecError as error:  # a page of HTML, half an answer, or a null where an id should be
            said = _Answer(success=False)
            log.debug("an answer that is none", extra={"call": call, "why": type(error).__name__})
        if status < 300 and said.whole:
            self._metrics.dns_calls.labels(call, "ok").inc()
            return said
        self._metrics.dns_calls.labels(call, _kind(status)).inc()
        raise await self._failure(call, status, {problem.code for problem in said.errors}, lacks, asked.get("zone_id"))

    async def _sent(self, call: str, method: Method, asked: dict[str, Any]) -> tuple[int, Any, bytes]:
        import cloudflare  # noqa: PLC0415 - see TYPE_CHECKING above

        try:
            raw = await method(**asked)
            return raw.status_code, raw.headers, await raw.read()
        except cloudflare.APIStatusError as error:
            return error.status_code, error.response.headers, error.response.content
        except cloudflare.APIConnectionError:
            self._metrics.dns_calls.labels(call, "no_answer").inc()
            # The text of the SDK's error may show what was asked.
            raise Unavailable(f"cloudflare does not answer {call}") from None

    async def _failure(self, call: str, status: int, codes: set[int], lacks: Reason, zone_id: str | None) -> Exception:
        if status == 429 or codes & ENOUGH:
            if status != 429:
                self.allowance.close(CLOSED_SECONDS)
            return Transient("cloudflare asked for patience", retry_after_seconds=CLOSED_SECONDS)
        if status == 401 or codes & TOKEN_INVALID:
            return Permanent(Reason.PROVIDER_TOKEN_INVALID)
        if status == 403 or codes & NOT_ALLOWED:
            return Permanent(lacks if await self._token_is_good() else Reason.PROVIDER_TOKEN_INVALID)
        if codes & NO_SUCH_ZONE:
            self._zone_ids = {zone: known for zone, known in self._zone_ids.items() if known != zone_id}
            return Permanent(Reason.ZONE_NOT_FOUND)
        if 400 <= status < 500 or codes:
            return Refused(call, status, codes)
        return Unavailable(f"cloudflare answers {call} with {status}")

    async def _token_is_good(self) -> bool:
        """Whether a token that was refused is one at all, and only lacks a right."""
        client = self.client()
        if str(client.api_token).startswith(OF_AN_ACCOUNT):
            return True
        try:
            self.allowance.take(Urgency.REMOVE)
        except NotAsked as error:  # not this question; but the call that led to it was made
            raise Transient("a refusal is not explained", retry_after_seconds=error.wait_seconds) from error
        status, headers, _ = await self._sent("verify_token", self._verify, {})
        self.allowance.note(status, headers)
        self._metrics.dns_calls.labels("verify_token", _kind(status)).inc()
        return status < 400

    async def _verify(self) -> "_Verified":
        # By its path: the SDK's method for it would bring the models of all accounts into the image.
        await self.client().get("/user/tokens/verify", cast_to=object)
        return _Verified()


class _Verified:
    """An answer of which nothing but its success is of interest."""

    status_code = 200
    headers: Mapping[str, str] = {}

    async def read(self) -> bytes:
        """Nobody looks."""
        return b""


def _kind(status: int) -> str:
    return "refused" if 200 <= status < 500 and status != 429 else "limited" if status == 429 else "failed"


def new_calls(*, url: str, token_file: Path, per_minute: int, metrics: Metrics) -> CloudflareCalls:
    """With a bucket of its own, on the process's clock."""
    return CloudflareCalls(
        url=url, token_file=token_file, allowance=Allowance(per_minute, clock=time.monotonic), metrics=metrics
    )
