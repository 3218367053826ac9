"""Keys in three tiers: the root key wraps each tenant's key, a tenant's key wraps the data key of each attempt.

Every wrap is AES-256-GCM with a random 96-bit nonce; its associated data names the purpose and the identities, so a
wrapped key moved to another row does not open. Destroying a wrapped key makes what it protects unreadable everywhere.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.model.errors import MoorageError

KEY_BYTES = 32
NONCE_BYTES = 12
WRAP_VERSION = b"\x01"
CHECK_TEXT = b"moorage root key check"


class WrongRootKey(MoorageError):
    """The root key is not the one this installation's keys were wrapped with; nothing may start with it."""


class KeyUnreadable(MoorageError):
    """A wrapped key does not open: its row was damaged or moved."""


class Keyring:
    """Makes and opens keys; the root key stays in this object."""

    def __init__(self, root_key: bytes) -> None:
        if len(root_key) != KEY_BYTES:
            raise WrongRootKey("the root key must have exactly 32 bytes")
        self._root_key = root_key

    def new_tenant_key(self, tenant_uid: str) -> bytes:
        """A fresh tenant key, wrapped with the root key."""
        return _wrap(self._root_key, os.urandom(KEY_BYTES), _purpose("tenant-key", tenant_uid))

    def new_data_key(self, wrapped_tenant_key: bytes, tenant_uid: str, attempt_id: str) -> tuple[bytes, bytes]:
        """A fresh data key for one attempt: plain, and wrapped with the tenant's key."""
        plain = os.urandom(KEY_BYTES)
        tenant_key = self._open_tenant_key(wrapped_tenant_key, tenant_uid)
        return plain, _wrap(tenant_key, plain, _purpose("data-key", tenant_uid, attempt_id))

    def open_data_key(
        self, wrapped_data_key: bytes, wrapped_tenant_key: bytes, tenant_uid: str, attempt_id: str
    ) -> bytes:
        """The data key of the attempt that wrote an object; raises KeyUnreadable."""
        tenant_key = self._open_tenant_key(wrapped_tenant_key, tenant_uid)
        return _open(tenant_key, wrapped_data_key, _purpose("data-key", tenant_uid, attempt_id))

    def mac(self, purpose: str, body: bytes) -> str:
        """An HMAC-SHA-256 in hexadecimal that only whoever has the root key can make."""
        key = hmac.digest(self._root_key, _purpose("mac", purpose), "sha256")
        return hmac.new(key, body, "sha256").hexdigest()

    def check_value(self) -> bytes:
        """A known text under the root key, to keep in the database."""
        return _wrap(self._root_key, CHECK_TEXT, _purpose("root-key-check"))

    def accepts(self, check_value: bytes) -> bool:
        """Whether the kept check value was made with this root key."""
        try:
            return _open(self._root_key, check_value, _purpose("root-key-check")) == CHECK_TEXT
        except KeyUnreadable:
            return False

    def _open_tenant_key(self, wrapped: bytes, tenant_uid: str) -> bytes:
        return _open(self._root_key, wrapped, _purpose("tenant-key", tenant_uid))


def _purpose(*fields: str) -> bytes:
    return b"\0".join([b"moorage", *(field.encode() for field in fields)])


def _wrap(key: bytes, plain: bytes, purpose: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return WRAP_VERSION + nonce + AESGCM(key).encrypt(nonce, plain, purpose)


def _open(key: bytes, wrapped: bytes, purpose: bytes) -> bytes:
    version, nonce, sealed = wrapped[:1], wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    if version != WRAP_VERSION or len(nonce) != NONCE_BYTES:
        raise KeyUnreadable("a wrapped key has an unknown format")
    try:
        return AESGCM(key).decrypt(nonce, sealed, purpose)
    except InvalidTag as error:
        raise KeyUnreadable("a wrapped key does not open") from error
