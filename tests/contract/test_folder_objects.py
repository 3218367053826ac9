"""What only a folder's routes can meet: bodies that lie about themselves, and a disk without room."""

import contextlib
import http.client
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import anyio.to_thread
import pytest

from moorage.model.snapshots import PART_BYTES
from moorage.providers.ports import StoreFull, UploadedPart
from tests.contract import object_stores
from tests.contract.object_stores import KEY, Served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Served]:
    async with object_stores.over_folder(tmp_path) as opened:
        yield opened


async def part_url(store: Served, number: int = 1) -> str:
    upload_id = await store.objects.create_multipart(KEY)
    (url,) = await store.objects.presign_parts(KEY, upload_id, first=number, count=1, seconds=60)
    return url


async def put_raw(store: Served, url: str, headers: dict[str, str], body: bytes) -> int:
    """The status of a PUT whose headers say what they like; 0 when the server just hangs up."""
    parts = urlsplit(url)

    def send() -> int:
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=store.trust, timeout=20)
        with contextlib.closing(connection):
            connection.putrequest("PUT", f"{parts.path}?{parts.query}", skip_accept_encoding=True)
            for name, text in headers.items():
                connection.putheader(name, text)
            connection.endheaders()
            connection.send(body)
            with contextlib.suppress(http.client.RemoteDisconnected):
                return connection.getresponse().status
            return 0

    return await anyio.to_thread.run_sync(send)


async def test_a_part_beyond_the_limit_is_refused_before_it_is_read(store: Served) -> None:
    url = await part_url(store)
    assert await put_raw(store, url, {"Content-Length": str(PART_BYTES + 1)}, b"") == 413
    assert await store.put(url, bytes(PART_BYTES))


async def test_a_body_without_a_length_is_refused(store: Served) -> None:
    chunked = b"3\r\nabc\r\n0\r\n\r\n"
    assert await put_raw(store, await part_url(store), {"Transfer-Encoding": "chunked"}, chunked) == 400


async def test_a_part_that_ends_early_is_no_part(store: Served, tmp_path: Path) -> None:
    url = await part_url(store)
    parts = urlsplit(url)

    def hang_up() -> None:
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=store.trust, timeout=20)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(b"x" * 999)
        connection.close()

    await anyio.to_thread.run_sync(hang_up)
    whole = await store.put(await part_url(store, 2), b"whole")  # the server goes on
    upload_id = await store.objects.create_multipart(KEY)
    await store.objects.complete(KEY, upload_id, [UploadedPart(2, whole)], object_bytes=5)
    assert list((tmp_path / "store" / "temporary").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A home for a store on a file system of four megabytes."""
    home = tmp_path / "small"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(home)], check=False)
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small file system to fill")
    yield home
    subprocess.run(["umount", str(home)], check=True)


async def test_a_full_disk_is_an_answer_and_leaves_no_torn_object(small_disk: Path) -> None:
    async with object_stores.over_folder(small_disk) as store:
        url = await part_url(store)
        assert await put_raw(store, url, {"Content-Length": str(5 << 20)}, bytes(5 << 20)) == 507
        tag = await store.put(url, bytes(3 << 20))  # a smaller one fits, but not twice: as a part and in the object
        upload_id = await store.objects.create_multipart(KEY)
        with pytest.raises(StoreFull):
            await store.objects.complete(KEY, upload_id, [UploadedPart(1, tag)], object_bytes=3 << 20)
        assert await store.objects.head(KEY) is None
        assert list((small_disk / "store" / "temporary").iterdir()) == []
        await store.objects.abort(KEY)
        await store.objects.write("ledger/witness.json", bytes(3 << 20))
