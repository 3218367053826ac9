"""The root keys that the settings name: the newest wraps, the others open what was wrapped before."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from moorage import settings as knobs
from moorage.model.sealing import KeysRefused, KeyUnreadable
from moorage.providers.file_root_key import FileRootKey
from moorage.providers.ports import RootKey
from moorage.settings import Settings

PROBE = b"is anybody there?"
PROBE_CONTEXT = {"moorage": "probe"}


class RootKeys:
    """At least one root key."""

    def __init__(self, keys: Sequence[RootKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self.newest = keys[0]

    @property
    def known(self) -> frozenset[str]:
        """The ids of all of them."""
        return frozenset(self._keys)

    async def unwrap(self, root_key: str, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Open what the root key of this id has wrapped. Raises KeyUnreadable and KeysUnavailable."""
        if root_key not in self._keys:
            raise KeyUnreadable("something is wrapped with a root key that is not set up here")
        return await self._keys[root_key].unwrap(wrapped, context)

    async def probe(self) -> None:
        """Let the newest wrap and open something. Raises KeysUnavailable, or KeysRefused when it will not."""
        wrapped = await self.newest.wrap(PROBE, PROBE_CONTEXT)
        if await self.newest.unwrap(wrapped, PROBE_CONTEXT) != PROBE:
            raise KeysRefused("the newest root key does not open what it has wrapped")


def check(settings: Settings) -> None:
    """Raise SettingsError, with a sentence, when the root keys cannot be found or used as they are set up."""
    knobs.required(settings, *knobs.ROOT_KEY_NEEDS[settings.root_key_provider])
    _in_file(settings)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[RootKeys]:
    """All root keys, those of the chosen provider first, for as long as the block runs."""
    in_file = _in_file(settings)
    if not settings.kms_keys:
        yield RootKeys(in_file)
        return
    from moorage.providers.kms_root_key import KmsRootKey  # noqa: PLC0415 - half a second that only its users wait for

    async with KmsRootKey.connect(settings.kms_keys, endpoint=settings.kms_endpoint) as in_kms:
        yield RootKeys([*in_kms, *in_file] if settings.root_key_provider == "aws-kms" else [*in_file, *in_kms])


def _in_file(settings: Settings) -> list[RootKey]:
    return [FileRootKey(key) for key in knobs.root_keys(settings)] if settings.root_key_file else []
