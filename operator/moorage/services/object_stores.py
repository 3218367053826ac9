"""Opens the object store that the settings name."""

import contextlib
from collections.abc import AsyncIterator

from moorage import settings as knobs
from moorage.providers.folder_objects import FolderObjects
from moorage.providers.ports import ObjectStore
from moorage.providers.signed_urls import SignedUrls
from moorage.services.keyring import Keyring
from moorage.settings import Settings

URL_PURPOSE = "object-url"


def required(settings: Settings) -> tuple[str, ...]:
    """The settings that the chosen store cannot do without."""
    return knobs.STORE_NEEDS[settings.store_kind]


@contextlib.asynccontextmanager
async def opened(settings: Settings, keyring: Keyring) -> AsyncIterator[ObjectStore]:
    """The store, for as long as the block runs."""
    if settings.store_kind == "filesystem":
        assert settings.store_folder is not None  # required
        urls = SignedUrls(settings.mover_api_url, await keyring.mac_of(URL_PURPOSE))
        yield await FolderObjects.connect(settings.store_folder, urls, knobs.mover_authority(settings))
        return
    async with s3(settings) as store:
        yield store


@contextlib.asynccontextmanager
async def s3(settings: Settings) -> AsyncIterator[ObjectStore]:
    """The bucket of an S3 store, which needs none of our keys."""
    from moorage.providers.s3_objects import S3Objects  # noqa: PLC0415 - half a second that only its users wait for

    async with S3Objects.connect(
        endpoint=settings.store_endpoint,
        region=settings.store_region,
        bucket=settings.store_bucket,
        access_key=settings.store_access_key,
        secret_key=knobs.read_file(settings.store_secret_key_file, "store_secret_key_file"),
    ) as store:
        yield store
