"""The routes movers use: token in, assignment out, report in."""

from typing import Protocol, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from moorage.model.identity import Identity
from moorage.model.names import MOVER_AUDIENCE
from moorage.model.snapshots import Assignment, AttemptRequest, PartsRequest, PartUrls, Report
from moorage.providers.ports import TokenReviewer
from moorage.web.errors import BodyInvalid, BodyTooLarge, Unauthenticated

REQUEST_BYTES_MAX = 4 << 10
REPORT_BYTES_MAX = 4 << 20  # 10,000 parts of about 160 bytes, with room
TOKEN_LENGTH_MAX = 16 << 10

Parsed = TypeVar("Parsed")


class Sessions(Protocol):
    """What the routes need of the service."""

    async def session(self, identity: Identity, attempt_id: str) -> Assignment:
        """The caller's assignment."""

    async def parts(self, identity: Identity, attempt_id: str, *, first: int, count: int) -> list[str]:
        """Fresh part URLs."""

    async def report(self, identity: Identity, report: Report) -> None:
        """The caller's last word."""


def routes(sessions: Sessions, reviewer: TokenReviewer) -> APIRouter:
    """The mover's protocol under /internal/v1/mover."""
    router = APIRouter(prefix="/internal/v1/mover", include_in_schema=False)

    @router.post("/session")
    async def session(request: Request) -> Response:
        identity = await _identity(request, reviewer)
        asked = await _body(request, AttemptRequest, REQUEST_BYTES_MAX)
        return _answer(await sessions.session(identity, asked.attempt))

    @router.post("/parts")
    async def parts(request: Request) -> Response:
        identity = await _identity(request, reviewer)
        asked = await _body(request, PartsRequest, REQUEST_BYTES_MAX)
        urls = await sessions.parts(identity, asked.attempt, first=asked.first, count=asked.count)
        return _answer(PartUrls(urls))

    @router.post("/report")
    async def report(request: Request) -> Response:
        identity = await _identity(request, reviewer)
        await sessions.report(identity, await _body(request, Report, REPORT_BYTES_MAX))
        return _answer({})

    return router


async def _identity(request: Request, reviewer: TokenReviewer) -> Identity:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_LENGTH_MAX:
        raise Unauthenticated
    identity = await reviewer.review(token, MOVER_AUDIENCE)
    if identity is None:
        raise Unauthenticated
    return identity


async def _body(request: Request, kind: type[Parsed], bytes_max: int) -> Parsed:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise BodyTooLarge
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BodyInvalid from error


def _answer(message: msgspec.Struct | dict[str, object]) -> Response:
    return Response(msgspec.json.encode(message), media_type="application/json", headers={"Cache-Control": "no-store"})
