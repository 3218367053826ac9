"""What only our S3 adapter can meet: buckets, credentials, versions, a server that is away."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from moorage.model.errors import Transient, Unavailable
from tests import store_server
from tests.contract.object_stores import KEY, Served, s3
from tests.store_server import VersityGateway

pytestmark = [pytest.mark.anyio, pytest.mark.store]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersityGateway]:
    server = VersityGateway(tmp_path_factory.mktemp("store"), versions=tmp_path_factory.mktemp("versions"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket() -> str:
    return f"b{uuid.uuid4().hex}"


async def test_connecting_to_an_existing_bucket_keeps_it(gateway: VersityGateway, bucket: str) -> None:
    for turn in range(2):
        async with s3(gateway.endpoint, bucket) as store:
            if turn == 0:
                await Served(store).completed()
            assert await store.head(KEY) is not None


async def test_a_wrong_secret_is_unavailable_and_starts_nothing(gateway: VersityGateway, bucket: str) -> None:
    async with s3(gateway.endpoint, bucket, secret_key="wrong") as refused:
        with pytest.raises(Unavailable, match="credentials"):
            await refused.head(KEY)
        with pytest.raises(Unavailable):
            await refused.create_multipart(KEY)
        with pytest.raises(Unavailable):
            await anext(refused.listed("s/"))


async def test_a_store_that_is_away_is_unavailable_and_found_again(tmp_path: Path, bucket: str) -> None:
    server = VersityGateway(tmp_path)
    async with s3(server.endpoint, bucket) as store:
        for call in (store.create_multipart(KEY), store.head(KEY), store.abort(KEY), store.delete(KEY)):
            with pytest.raises(Transient):
                await call
        server.start()
        try:
            assert await store.create_multipart(KEY)  # the bucket that could not be made at the start is made now
        finally:
            server.stop()


async def test_deleting_leaves_no_version_of_an_object_behind(gateway: VersityGateway, bucket: str) -> None:
    async with s3(gateway.endpoint, bucket) as store:
        raw = boto3.client(
            "s3",
            endpoint_url=gateway.endpoint,
            region_name=store_server.REGION,
            aws_access_key_id=store_server.ACCESS_KEY,
            aws_secret_access_key=store_server.SECRET_KEY,
        )
        raw.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in (KEY, KEY + "-longer"):
            for body in (b"one", b"two", b"three"):
                await store.write(key, body)
        raw.delete_object(Bucket=bucket, Key=KEY)  # somebody has deleted it as one usually does
        for _ in range(2):
            await store.delete(KEY)
        kept = raw.list_object_versions(Bucket=bucket)
        raw.close()
    assert "DeleteMarkers" not in kept
    assert [version["Key"] for version in kept["Versions"]] == [KEY + "-longer"] * 3
