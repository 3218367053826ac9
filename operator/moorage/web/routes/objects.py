"""The routes under which movers put parts and read objects of a folder: the signed URL is the whole permission."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import IO, Protocol

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from moorage.model.snapshots import PART_BYTES
from moorage.providers.folder_objects import OpenObject
from moorage.providers.signed_urls import PREFIX
from moorage.web.errors import BodyInvalid, BodyTooLarge, ObjectMissing, UrlRefused

PARTS_AT_ONCE = 8  # each is in memory as a whole while it is taken: 56 MiB at most
PART_SECONDS_MAX = 60.0
READ_BYTES = 1 << 20
FROM = re.compile(r"bytes=(\d{1,18})-")


class Objects(Protocol):
    """What the routes need of the store."""

    def permits(self, verb: str, key: str, query: Mapping[str, str]) -> bool:
        """Whether the URL is one of ours and still good."""

    async def put_part(self, key: str, query: Mapping[str, str], body: bytes) -> str:
        """Keep a part; its tag."""

    async def open(self, key: str) -> OpenObject | None:
        """An object to read."""


def routes(objects: Objects) -> APIRouter:
    """PUT takes a part and answers its ETag, GET gives an object, from `Range: bytes=N-` on where one is asked for."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    turn = asyncio.Semaphore(PARTS_AT_ONCE)

    @router.put("/{key:path}")
    async def put_part(key: str, request: Request) -> Response:
        _require_permit(objects, request, key)
        length = _length(request)
        async with turn:
            try:
                async with asyncio.timeout(PART_SECONDS_MAX):
                    body = await _whole(request, length)
            except (TimeoutError, ClientDisconnect) as error:
                raise BodyInvalid from error
            tag = await objects.put_part(key, request.query_params, body)
        return Response(headers={"ETag": tag})

    @router.get("/{key:path}")
    async def read(key: str, request: Request) -> Response:
        _require_permit(objects, request, key)
        found = await objects.open(key)
        if found is None:
            raise ObjectMissing
        asked = FROM.fullmatch(request.headers.get("range", ""))
        start = min(int(asked[1]), found.size) if asked else 0
        headers = {"Content-Length": str(found.size - start), "Cache-Control": "no-store"}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{found.size - 1}/{found.size}"
        return StreamingResponse(
            _chunks(found.file, start), 206 if asked else 200, headers, media_type="application/octet-stream"
        )

    return router


def _require_permit(objects: Objects, request: Request, key: str) -> None:
    if not objects.permits(request.method, key, request.query_params):
        raise UrlRefused


def _length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    if not text.isdigit():
        raise BodyInvalid
    if int(text) > PART_BYTES:
        raise BodyTooLarge
    return int(text)


async def _whole(request: Request, length: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > length:
            raise BodyTooLarge
    if len(body) != length:
        raise BodyInvalid
    return bytes(body)


async def _chunks(file: IO[bytes], start: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(start)
        while chunk := await asyncio.to_thread(file.read, READ_BYTES):
            yield chunk
