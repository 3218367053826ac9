"""A root key in a key management service: asked over HTTP by the real SDK, with the service's own errors."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.model.sealing import KeysRefused, KeysUnavailable, KeyUnreadable, Place
from moorage.providers.kms_root_key import KmsRootKey
from moorage.services import root_keys
from moorage.services.keyring import Keyring, WrongRootKey
from moorage.settings import Settings
from tests.fakes.keys import MemoryKeys, keyring
from tests.fakes.kms import ACCESS_KEY, KeyService

pytestmark = pytest.mark.anyio

CONTEXT = {"moorage": "owner-key", "owner": "acme", "version": "1"}
TENANT, PLACE = "11111111-1111-1111-1111-111111111111", Place("attempt", "row", "wrapped_key")


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the SDK looks for them, and nowhere else."""
    for name, text in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "not a secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
async def service(anyio_backend: str) -> AsyncIterator[KeyService]:
    async with KeyService().serving() as serving:
        yield serving


@contextlib.asynccontextmanager
async def key_of(service: KeyService) -> AsyncIterator[KmsRootKey]:
    async with KmsRootKey.connect([service.new_key()], endpoint=service.url) as (key,):
        yield key


async def test_what_the_service_wrapped_it_unwraps_in_the_same_context_only(service: KeyService) -> None:
    async with key_of(service) as key:
        wrapped = await key.wrap(b"plain", CONTEXT)
        assert b"plain" not in wrapped
        assert await key.unwrap(wrapped, CONTEXT) == b"plain"
        assert service.calls == [("Encrypt", CONTEXT), ("Decrypt", CONTEXT)]
        for context in ({}, CONTEXT | {"owner": "other"}, CONTEXT | {"version": "2"}, CONTEXT | {"more": "1"}):
            with pytest.raises(KeyUnreadable):
                await key.unwrap(wrapped, context)
        with pytest.raises(KeyUnreadable):
            await key.unwrap(wrapped[:-1], CONTEXT)


async def test_a_key_does_not_open_what_another_key_of_the_same_account_wrapped(service: KeyService) -> None:
    async with key_of(service) as one, key_of(service) as other:
        assert one.id != other.id
        with pytest.raises(KeyUnreadable):
            await one.unwrap(await other.wrap(b"plain", CONTEXT), CONTEXT)


@pytest.mark.parametrize(
    "faults",
    [["ThrottlingException"], ["500"], ["KMSInternalException"], ["lost"], ["500", "ThrottlingException"]],
    ids=["throttled", "its own failure", "an internal failure", "a lost answer", "two in a row"],
)
async def test_a_passing_fault_is_not_noticed(service: KeyService, faults: list[str]) -> None:
    async with key_of(service) as key:
        service.faults = list(faults)
        wrapped = await key.wrap(b"plain", CONTEXT)
        service.faults = list(faults)
        assert await key.unwrap(wrapped, CONTEXT) == b"plain"
        assert service.faults == []


async def test_a_service_that_stays_away_is_unavailable_and_not_a_refusal(service: KeyService) -> None:
    async with key_of(service) as key:
        for fault in ("ThrottlingException", "500", "lost"):
            service.faults = [fault] * 3
            with pytest.raises(KeysUnavailable) as caught:
                await key.wrap(b"plain", CONTEXT)
            assert not isinstance(caught.value, KeysRefused)
    async with KmsRootKey.connect([service.new_key()], endpoint="http://127.0.0.1:9") as (nobody,):
        with pytest.raises(KeysUnavailable, match="cannot be reached"):
            await nobody.wrap(b"plain", CONTEXT)


async def test_a_refusal_is_told_apart_and_says_nothing_of_the_services_words(
    service: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with key_of(service) as key:
        service.denied = {"Encrypt"}
        with pytest.raises(KeysRefused) as caught:
            await key.wrap(b"plain", CONTEXT)
        assert "alice" not in str(caught.value)
        service.denied, service.disabled = set(), set(service.keys)
        with pytest.raises(KeysRefused):
            await key.wrap(b"plain", CONTEXT)
        service.disabled = set()
        service.keys.clear()
        with pytest.raises(KeysRefused):
            await key.wrap(b"plain", CONTEXT)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE")
    async with key_of(service) as stranger:
        with pytest.raises(KeysRefused):
            await stranger.wrap(b"plain", CONTEXT)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with key_of(service) as nobody:
        with pytest.raises(KeysRefused, match="credentials"):
            await nobody.wrap(b"plain", CONTEXT)


async def test_an_installation_moves_from_a_file_into_the_service(service: KeyService, tmp_path: Path) -> None:
    rows, file = MemoryKeys(), tmp_path / "root"
    file.write_text("A" * 43 + "=\n")
    before = keyring(rows)  # 32 zero bytes, as in the file
    await before.require()
    sealed = await before.seal(PLACE, TENANT, b"secret")
    both = Settings(
        root_key_provider="aws-kms", root_key_file=file, kms_keys=[service.new_key()], kms_endpoint=service.url
    )
    async with root_keys.opened(both) as roots:
        ring = Keyring(roots, rows)
        await ring.require()
        assert await ring.open(PLACE, TENANT, sealed) == b"secret"
        await ring.seal(PLACE, "22222222-2222-2222-2222-222222222222", b"new")
    assert {root.partition(":")[0] for root in await rows.roots()} == {"file", "aws-kms"}
    with pytest.raises(WrongRootKey, match="file:"):
        async with root_keys.opened(Settings(root_key_provider="aws-kms", kms_keys=both.kms_keys)) as roots:
            await Keyring(roots, rows).require()


async def test_a_process_does_not_start_without_the_right_to_decrypt(service: KeyService) -> None:
    settings = Settings(root_key_provider="aws-kms", kms_keys=[service.new_key()], kms_endpoint=service.url)
    async with root_keys.opened(settings) as roots:
        await Keyring(roots, MemoryKeys()).require()
        service.denied = {"Decrypt"}
        with pytest.raises(WrongRootKey, match="refuses"):
            await Keyring(roots, MemoryKeys()).require()
