"""The settings choose the store, and every process of an installation knows the others' URLs."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from moorage import settings as knobs
from moorage.providers.folder_objects import FolderObjects
from moorage.providers.s3_objects import S3Objects
from moorage.services import object_stores
from moorage.settings import Settings
from tests.fakes import keys

pytestmark = pytest.mark.anyio

KEY = "s/tenant/snapshot/attempt"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "ca.crt").write_text("an authority")
    (tmp_path / "store").mkdir()
    return Settings(
        store_kind="filesystem",
        store_folder=tmp_path / "store",
        mover_api_url="https://api.example:8443",
        mover_api_ca_file=tmp_path / "ca.crt",
    )


async def test_operator_and_api_know_each_others_urls_and_nobody_elses(settings: Settings) -> None:
    rows = keys.MemoryKeys()
    async with (
        object_stores.opened(settings, keys.keyring(rows)) as operator,
        object_stores.opened(settings, keys.keyring(rows)) as api,
        object_stores.opened(settings, keys.keyring()) as stranger,
    ):
        assert isinstance(api, FolderObjects)
        assert isinstance(stranger, FolderObjects)
        assert operator.authority_pem == "an authority"
        url = await operator.presign_get(KEY, seconds=60)
        assert url.startswith("https://api.example:8443/internal/v1/objects/s/")
        query = dict(parse_qsl(urlsplit(url).query))
        assert api.permits("GET", KEY, query)
        assert not stranger.permits("GET", KEY, query)
        await operator.write(KEY, b"there")
        assert await api.read(KEY) == b"there"


async def test_a_bucket_is_the_default(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    settings = Settings(
        store_endpoint="http://127.0.0.1:9", store_access_key="key", store_secret_key_file=secret, store_bucket="b"
    )
    async with object_stores.opened(settings, keys.keyring()) as store:
        assert isinstance(store, S3Objects)
        assert store.authority_pem == ""


def test_what_the_chosen_store_needs_is_said_by_name() -> None:
    for kind, sentence in (
        ("s3", "MOORAGE_STORE_ENDPOINT, MOORAGE_STORE_ACCESS_KEY must be set"),
        ("filesystem", "MOORAGE_STORE_FOLDER, MOORAGE_MOVER_API_URL must be set"),
    ):
        settings = Settings(store_kind=kind)
        with pytest.raises(knobs.SettingsError, match=sentence):
            knobs.required(settings, *object_stores.required(settings))
