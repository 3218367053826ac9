"""Both object stores as their users meet them: a client of ours, and URLs that strangers use over HTTP."""

import asyncio
import contextlib
import ssl
import urllib.request
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from moorage.providers.folder_objects import FolderObjects
from moorage.providers.ports import ObjectStore, UploadedPart
from moorage.providers.s3_objects import S3Objects
from moorage.providers.signed_urls import SignedUrls
from moorage.web import errors
from moorage.web.routes import objects
from tests import store_server
from tests.fakes import keys
from tests.integration.snapshots.world import served, write_certificate
from tests.store_server import VersityGateway

PART = b"p" * (5 << 20)
KEY = "s/tenant/snapshot/attempt"
SIZE = len(PART) + 3


@dataclass
class Served:
    """An open store, and how strangers speak to what it signs."""

    objects: ObjectStore
    trust: ssl.SSLContext | None = None

    async def put(self, url: str, body: bytes) -> str:
        """Put a part as the mover does, knowing nothing but its URL."""

        def send() -> str:
            request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
            with urllib.request.urlopen(request, context=self.trust) as answer:
                return str(answer.headers["ETag"])

        return await asyncio.to_thread(send)

    async def get(self, url: str, start: int | None = None) -> tuple[int, bytes]:
        """Status and body of a read, from a position on where one is given."""

        def fetch() -> tuple[int, bytes]:
            headers = {} if start is None else {"Range": f"bytes={start}-"}
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=self.trust) as answer:
                return int(answer.status), answer.read()

        return await asyncio.to_thread(fetch)

    async def uploaded(self, key: str = KEY) -> tuple[str, list[UploadedPart]]:
        """An upload with two parts, not completed."""
        upload_id = await self.objects.create_multipart(key)
        urls = await self.objects.presign_parts(key, upload_id, first=1, count=2, seconds=60)
        return upload_id, [
            UploadedPart(1, await self.put(urls[0], PART)),
            UploadedPart(2, await self.put(urls[1], b"end")),
        ]

    async def completed(self, key: str = KEY) -> None:
        """A whole object."""
        upload_id, parts = await self.uploaded(key)
        await self.objects.complete(key, upload_id, parts, object_bytes=SIZE)


def s3(
    endpoint: str, bucket: str, secret_key: str = store_server.SECRET_KEY
) -> contextlib.AbstractAsyncContextManager[S3Objects]:
    """A client of a test server."""
    return S3Objects.connect(
        endpoint=endpoint,
        region=store_server.REGION,
        bucket=bucket,
        access_key=store_server.ACCESS_KEY,
        secret_key=secret_key,
    )


@contextlib.asynccontextmanager
async def over_s3(gateway: VersityGateway) -> AsyncIterator[Served]:
    """The store over a bucket of its own."""
    async with s3(gateway.endpoint, f"b{uuid.uuid4().hex}") as store:
        yield Served(store)


@contextlib.asynccontextmanager
async def over_folder(home: Path) -> AsyncIterator[Served]:
    """The store over a folder, its URLs served over TLS as `moorage api` does."""
    root = home / "store"
    root.mkdir()
    write_certificate(home / "api.crt", home / "api.key")
    port, mac = store_server.free_port(), await keys.keyring().mac_of("object-url")
    urls = SignedUrls(f"https://127.0.0.1:{port}", mac)
    store = await FolderObjects.connect(root, urls, (home / "api.crt").read_text())
    app = FastAPI()
    app.include_router(objects.routes(store))
    errors.install(app)
    async with served(app, home, port):
        yield Served(store, ssl.create_default_context(cadata=store.authority_pem))
