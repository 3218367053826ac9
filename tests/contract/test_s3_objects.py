"""Our S3 adapter against a real S3 server."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from moorage.model.errors import Transient, Unavailable
from moorage.providers.ports import StoredObject, UploadedPart, UploadLost
from moorage.providers.s3_objects import S3Objects
from tests import store_server
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.anyio, pytest.mark.store]

PART = b"p" * (5 << 20)
KEY = "s/tenant/snapshot/attempt"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersityGateway]:
    gateway = VersityGateway(tmp_path_factory.mktemp("store"))
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    return f"b-{abs(hash(request.node.name))}"


@pytest.fixture
async def store(server: VersityGateway, bucket: str) -> AsyncIterator[S3Objects]:
    async with connect(server.endpoint, bucket) as opened:
        yield opened


def connect(endpoint: str, bucket: str, secret_key: str = store_server.SECRET_KEY):  # type: ignore[no-untyped-def]
    return S3Objects.connect(
        endpoint=endpoint,
        region=store_server.REGION,
        bucket=bucket,
        access_key=store_server.ACCESS_KEY,
        secret_key=secret_key,
    )


async def put(url: str, body: bytes) -> str:
    """Put a part as the mover does, knowing nothing but its URL."""

    def send() -> str:
        request = urllib.request.Request(url, body, {"Content-Type": ""}, method="PUT")
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers["ETag"])

    return await asyncio.to_thread(send)


async def uploaded(store: S3Objects, key: str = KEY) -> tuple[str, list[UploadedPart]]:
    upload_id = await store.create_multipart(key)
    urls = await store.presign_parts(key, upload_id, first=1, count=2, seconds=60)
    return upload_id, [
        UploadedPart(1, await put(urls[0], PART)),
        UploadedPart(2, await put(urls[1], b"end")),
    ]


SIZE = len(PART) + 3


async def test_parts_become_one_object(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    assert await store.head(KEY) is None
    await store.complete(KEY, upload_id, parts, object_bytes=SIZE)
    found = await store.head(KEY)
    assert isinstance(found, StoredObject)
    assert found.size == SIZE
    url = await store.presign_get(KEY, seconds=60)
    with await asyncio.to_thread(urllib.request.urlopen, url) as answer:
        assert answer.read() == PART + b"end"


async def test_a_second_completion_is_a_success_when_the_object_is_the_same(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    for _ in range(3):
        await store.complete(KEY, upload_id, parts, object_bytes=SIZE)


async def test_an_existing_object_is_never_replaced(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    await store.complete(KEY, upload_id, parts, object_bytes=SIZE)
    second = await store.create_multipart(KEY)
    (url,) = await store.presign_parts(KEY, second, first=1, count=1, seconds=60)
    other = [UploadedPart(1, await put(url, b"other"))]
    with pytest.raises(UploadLost):
        await store.complete(KEY, second, other, object_bytes=5)
    found = await store.head(KEY)
    assert found is not None
    assert found.size == SIZE


async def test_an_upload_left_open_is_taken_up_again(store: S3Objects) -> None:
    assert await store.create_multipart(KEY) == await store.create_multipart(KEY)
    assert await store.create_multipart(KEY + "-longer") != await store.create_multipart(KEY)


async def test_an_aborted_upload_is_lost(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    await store.abort(KEY)
    await store.abort(KEY)
    with pytest.raises(UploadLost):
        await store.complete(KEY, upload_id, parts, object_bytes=SIZE)


async def test_abort_touches_no_other_key(store: S3Objects) -> None:
    other, parts = await uploaded(store, KEY + "-longer")
    await store.abort(KEY)
    await store.complete(KEY + "-longer", other, parts, object_bytes=SIZE)


async def test_parts_that_the_store_does_not_have_are_lost(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    with pytest.raises(UploadLost):
        await store.complete(KEY, upload_id, [*parts, UploadedPart(3, parts[0].etag)], object_bytes=SIZE)


async def test_deleting_is_repeatable(store: S3Objects) -> None:
    upload_id, parts = await uploaded(store)
    await store.complete(KEY, upload_id, parts, object_bytes=SIZE)
    for _ in range(2):
        await store.delete(KEY)
    assert await store.head(KEY) is None


async def test_a_url_with_a_changed_signature_is_refused(store: S3Objects) -> None:
    upload_id = await store.create_multipart(KEY)
    (url,) = await store.presign_parts(KEY, upload_id, first=1, count=1, seconds=60)
    forged = url.replace("partNumber=1", "partNumber=2")
    assert forged != url
    with pytest.raises(HTTPError) as caught:
        await put(forged, b"x")
    assert caught.value.code == 403
    caught.value.close()


async def test_connecting_to_an_existing_bucket_keeps_it(server: VersityGateway, store: S3Objects, bucket: str) -> None:
    upload_id, parts = await uploaded(store)
    await store.complete(KEY, upload_id, parts, object_bytes=SIZE)
    async with connect(server.endpoint, bucket) as again:
        assert await again.head(KEY) is not None


async def test_a_wrong_secret_is_unavailable_and_starts_nothing(server: VersityGateway, bucket: str) -> None:
    async with connect(server.endpoint, bucket, secret_key="wrong") as refused:
        with pytest.raises(Unavailable, match="credentials"):
            await refused.head(KEY)
        with pytest.raises(Unavailable):
            await refused.create_multipart(KEY)


async def test_a_store_that_is_away_is_unavailable_and_found_again(tmp_path: Path, bucket: str) -> None:
    gateway = VersityGateway(tmp_path)
    async with connect(gateway.endpoint, bucket) as store:
        for call in (store.create_multipart(KEY), store.head(KEY), store.abort(KEY), store.delete(KEY)):
            with pytest.raises(Transient):
                await call
        gateway.start()
        try:
            assert await store.create_multipart(KEY)  # the bucket that could not be made at the start is made now
        finally:
            gateway.stop()


async def test_small_objects_are_read_back_and_the_first_of_write_once_stays(store: S3Objects) -> None:
    assert await store.read("ledger/witness.json") is None
    await store.write("ledger/witness.json", b"one")
    await store.write("ledger/witness.json", b"two")
    assert await store.read("ledger/witness.json") == b"two"
    await store.write_once("ledger/seals/1.json", b"first")
    await store.write_once("ledger/seals/1.json", b"second")
    assert await store.read("ledger/seals/1.json") == b"first"
