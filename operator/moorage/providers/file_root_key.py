"""A root key that this process has read from a file."""

import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.model.sealing import KeyUnreadable

FORMAT = b"\x01"
NONCE_BYTES = 12
ID_BYTES = 8


class FileRootKey:
    """32 random bytes; its id is made from them, so that two keys cannot share one by mistake."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.id = f"file:{hmac.digest(key, b'moorage root key id', 'sha256')[:ID_BYTES].hex()}"

    async def wrap(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """Format, nonce, AES-256-GCM under a key derived for this context."""
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + nonce + AESGCM(self._key_of(context)).encrypt(nonce, plain, _encoded(context))

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """What was wrapped in this context; raises KeyUnreadable."""
        nonce = wrapped[1 : 1 + NONCE_BYTES]
        if wrapped[:1] != FORMAT or len(nonce) != NONCE_BYTES:
            raise KeyUnreadable("a wrapped key has an unknown format")
        try:
            return AESGCM(self._key_of(context)).decrypt(nonce, wrapped[1 + NONCE_BYTES :], _encoded(context))
        except InvalidTag as error:
            raise KeyUnreadable("a wrapped key does not open") from error

    def _key_of(self, context: Mapping[str, str]) -> bytes:
        # One key for each context: random nonces of different contexts cannot meet.
        return hmac.digest(self._key, b"moorage wrap" + _encoded(context), "sha256")


def _encoded(context: Mapping[str, str]) -> bytes:
    fields = [text.encode() for pair in sorted(context.items()) for text in pair]
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)
