"""What every object store of ours promises, whatever it keeps its objects in."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from moorage.providers.ports import FoundObject, StoredObject, UploadedPart, UploadLost
from tests.contract import object_stores
from tests.contract.object_stores import KEY, PART, SIZE, Served
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.anyio, pytest.mark.store]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersityGateway]:
    server = VersityGateway(tmp_path_factory.mktemp("store"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["s3", "filesystem"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    if request.param == "s3":
        async with object_stores.over_s3(request.getfixturevalue("gateway")) as opened:
            yield opened
    else:
        async with object_stores.over_folder(tmp_path) as opened:
            yield opened


async def test_parts_become_one_object(store: Served) -> None:
    upload_id, parts = await store.uploaded()
    assert await store.objects.head(KEY) is None
    await store.objects.complete(KEY, upload_id, parts, object_bytes=SIZE)
    found = await store.objects.head(KEY)
    assert isinstance(found, StoredObject)
    assert found.size == SIZE
    url = await store.objects.presign_get(KEY, seconds=60)
    assert await store.get(url) == (200, PART + b"end")


async def test_a_read_goes_on_from_where_it_broke(store: Served) -> None:
    await store.completed()
    url = await store.objects.presign_get(KEY, seconds=60)
    assert await store.get(url, SIZE - 4) == (206, b"pend")


async def test_a_part_that_is_put_again_replaces_the_first(store: Served) -> None:
    upload_id = await store.objects.create_multipart(KEY)
    (url,) = await store.objects.presign_parts(KEY, upload_id, first=1, count=1, seconds=60)
    await store.put(url, b"first")
    again = [UploadedPart(1, await store.put(url, b"second try"))]
    await store.objects.complete(KEY, upload_id, again, object_bytes=10)
    assert await store.objects.read(KEY) == b"second try"


async def test_a_second_completion_is_a_success_when_the_object_is_the_same(store: Served) -> None:
    upload_id, parts = await store.uploaded()
    for _ in range(3):
        await store.objects.complete(KEY, upload_id, parts, object_bytes=SIZE)


async def test_an_existing_object_is_never_replaced(store: Served) -> None:
    await store.completed()
    second = await store.objects.create_multipart(KEY)
    (url,) = await store.objects.presign_parts(KEY, second, first=1, count=1, seconds=60)
    other = [UploadedPart(1, await store.put(url, b"other"))]
    with pytest.raises(UploadLost):
        await store.objects.complete(KEY, second, other, object_bytes=5)
    found = await store.objects.head(KEY)
    assert found is not None
    assert found.size == SIZE


async def test_an_upload_left_open_is_taken_up_again(store: Served) -> None:
    assert await store.objects.create_multipart(KEY) == await store.objects.create_multipart(KEY)
    assert await store.objects.create_multipart(KEY + "-longer") != await store.objects.create_multipart(KEY)


async def test_an_aborted_upload_is_lost(store: Served) -> None:
    upload_id, parts = await store.uploaded()
    (late,) = await store.objects.presign_parts(KEY, upload_id, first=3, count=1, seconds=60)
    for _ in range(2):
        await store.objects.abort(KEY)
    with pytest.raises(UploadLost):
        await store.objects.complete(KEY, upload_id, parts, object_bytes=SIZE)
    with pytest.raises(HTTPError) as caught:
        await store.put(late, b"x")
    assert caught.value.code == 404
    caught.value.close()


async def test_abort_touches_no_other_key(store: Served) -> None:
    other, parts = await store.uploaded(KEY + "-longer")
    await store.objects.abort(KEY)
    await store.objects.complete(KEY + "-longer", other, parts, object_bytes=SIZE)


async def test_parts_that_the_store_does_not_have_are_lost(store: Served) -> None:
    upload_id, parts = await store.uploaded()
    with pytest.raises(UploadLost):
        await store.objects.complete(
            KEY, upload_id, [*parts, UploadedPart(3, parts[0].etag)], object_bytes=SIZE + len(PART)
        )
    assert await store.objects.head(KEY) is None


async def test_deleting_is_repeatable(store: Served) -> None:
    await store.completed()
    for _ in range(2):
        await store.objects.delete(KEY)
    assert await store.objects.head(KEY) is None


async def test_deleting_touches_no_other_key(store: Served) -> None:
    await store.objects.write(KEY, b"kept no longer")
    await store.objects.write(KEY + "-longer", b"kept")
    await store.objects.delete(KEY)
    assert await store.objects.read(KEY + "-longer") == b"kept"


async def test_a_listing_has_every_object_below_the_prefix_and_no_upload(store: Served) -> None:
    for number in range(5):
        await store.objects.write(f"s/t{number % 2}/{number}", b"x" * number)
    await store.objects.write("ledger/witness.json", b"w")
    await store.uploaded("s/t0/unfinished")
    found = [entry async for entry in store.objects.listed("s/")]
    assert sorted(found, key=lambda entry: entry.key) == [
        *(FoundObject(f"s/t0/{number}", number) for number in (0, 2, 4)),
        *(FoundObject(f"s/t1/{number}", number) for number in (1, 3)),
    ]
    assert {entry.key async for entry in store.objects.listed("s/t1/")} == {"s/t1/1", "s/t1/3"}
    assert [entry async for entry in store.objects.listed("nothing/")] == []


FORGERIES = {
    "another part": ("partNumber=1", "partNumber=2"),
    "another key": ("/attempt?", "/other?"),
    "a longer life": ("xpires=", "xpires=9"),
}


@pytest.mark.parametrize(("genuine", "forged"), list(FORGERIES.values()), ids=list(FORGERIES))
async def test_a_changed_url_is_refused(store: Served, genuine: str, forged: str) -> None:
    upload_id = await store.objects.create_multipart(KEY)
    (url,) = await store.objects.presign_parts(KEY, upload_id, first=1, count=1, seconds=60)
    changed = url.replace(genuine, forged)
    assert changed != url
    await refused(store.put(changed, b"x"))


async def test_a_url_for_reading_cannot_write_nor_the_other_way_round(store: Served) -> None:
    await store.completed()
    upload_id = await store.objects.create_multipart(KEY)
    (part_url,) = await store.objects.presign_parts(KEY, upload_id, first=1, count=1, seconds=60)
    await refused(store.put(await store.objects.presign_get(KEY, seconds=60), b"x"))
    await refused(store.get(part_url))


async def test_a_url_without_a_signature_is_refused(store: Served) -> None:
    await store.completed()
    await refused(store.get((await store.objects.presign_get(KEY, seconds=60)).partition("?")[0]))


async def refused(call: object) -> None:
    with pytest.raises(HTTPError) as caught:
        await call  # type: ignore[misc]  # a coroutine of Served
    assert caught.value.code == 403
    caught.value.close()


async def test_an_object_that_is_not_there_is_not_found(store: Served) -> None:
    with pytest.raises(HTTPError) as caught:
        await store.get(await store.objects.presign_get(KEY, seconds=60))
    assert caught.value.code == 404
    caught.value.close()


async def test_small_objects_are_read_back_and_the_first_of_write_once_stays(store: Served) -> None:
    assert await store.objects.read("ledger/witness.json") is None
    await store.objects.write("ledger/witness.json", b"one")
    await store.objects.write("ledger/witness.json", b"two")
    assert await store.objects.read("ledger/witness.json") == b"two"
    await store.objects.write_once("ledger/seals/1.json", b"first")
    await store.objects.write_once("ledger/seals/1.json", b"second")
    assert await store.objects.read("ledger/seals/1.json") == b"first"
