"""The cipher of snapshots: Tink's AES-GCM-HKDF streaming AEAD (key type AES256_GCM_HKDF_1MB), in bounded memory.

Own code over `cryptography` instead of the Tink wheel: the layout is public, the wheel costs the mover tens of
megabytes of resident memory, and the tests read and write every size around the segment borders with the real Tink.

    object  = segment 0 ‖ segment 1 ‖ … ‖ last segment         each 1 MiB, the last one shorter or equal
    header  = length (1 byte, 40) ‖ salt (32) ‖ nonce prefix (7)   at the start of segment 0, part of its 1 MiB
    key     = HKDF-SHA256(data key, salt, info = associated data), 32 bytes
    nonce   = nonce prefix ‖ segment number (4 bytes, big endian) ‖ 1 if last else 0
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.model.snapshots import FORMAT_VERSION, Binding

KEY_BYTES = 32
SALT_BYTES = 32
PREFIX_BYTES = 7
TAG_BYTES = 16
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES
SEGMENT_BYTES = 1 << 20
SEGMENTS_MAX = 1 << 32


class Tampered(Exception):
    """The object is not what was written under this key and binding."""


class Source(Protocol):
    """Where bytes come from: a pipe, a socket, a download."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a part of the buffer; 0 means the end."""


def associated_data(binding: Binding) -> bytes:
    """The identities an object is bound to, each field with its length, so that no two bindings read the same."""
    fields = (binding.tenant_uid, binding.agent_uid, binding.snapshot_id, binding.written_by)
    packed = b"".join(struct.pack(">H", len(field)) + field for field in (text.encode() for text in fields))
    return b"moorage snapshot" + struct.pack(">H", FORMAT_VERSION) + packed


def encrypt(source: Source, key: bytes, associated: bytes, *, segment_bytes: int = SEGMENT_BYTES) -> Iterator[bytes]:
    """Read the source to its end and yield the object segment by segment."""
    salt, prefix = os.urandom(SALT_BYTES), os.urandom(PREFIX_BYTES)
    header = bytes([HEADER_BYTES]) + salt + prefix
    cipher = AESGCM(_segment_key(key, salt, associated))
    plain_bytes = segment_bytes - TAG_BYTES
    for number, segment, last in _segments(source, plain_bytes - HEADER_BYTES, plain_bytes):
        sealed = cipher.encrypt(_nonce(prefix, number, last=last), segment, None)
        yield header + sealed if number == 0 else sealed


def decrypt(source: Source, key: bytes, associated: bytes, *, segment_bytes: int = SEGMENT_BYTES) -> Iterator[bytes]:
    """Yield the plain text segment by segment; raises Tampered. Until it ends without an error, nothing is proven."""
    header = bytearray(HEADER_BYTES)
    if _fill(source, memoryview(header)) != HEADER_BYTES or header[0] != HEADER_BYTES:
        raise Tampered("the object has no valid header")
    salt, prefix = bytes(header[1 : 1 + SALT_BYTES]), bytes(header[1 + SALT_BYTES :])
    cipher = AESGCM(_segment_key(key, salt, associated))
    for number, segment, last in _segments(source, segment_bytes - HEADER_BYTES, segment_bytes):
        if len(segment) < TAG_BYTES:
            raise Tampered("the object ends inside a segment")
        try:
            plain = cipher.decrypt(_nonce(prefix, number, last=last), segment, None)
        except InvalidTag as error:
            raise Tampered("a segment does not authenticate") from error
        yield plain


def _segments(source: Source, first_bytes: int, next_bytes: int) -> Iterator[tuple[int, memoryview, bool]]:
    """Cut the source; two buffers take turns, because a segment is known to be the last only when nothing follows."""
    current, following = bytearray(next_bytes), bytearray(next_bytes)
    size = _fill(source, memoryview(current)[:first_bytes])
    full = first_bytes
    for number in range(SEGMENTS_MAX):
        ahead = _fill(source, memoryview(following)) if size == full else 0
        yield number, memoryview(current)[:size], ahead == 0
        if ahead == 0:
            return
        current, following, size, full = following, current, ahead, next_bytes
    raise OverflowError("the stream has more segments than its counter can name")


def _fill(source: Source, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer):
        count = source.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


def _segment_key(key: bytes, salt: bytes, associated: bytes) -> bytes:
    """HKDF (RFC 5869) with SHA-256 for one block of output, which is all a 32-byte key needs."""
    if len(key) != KEY_BYTES:
        raise ValueError("a data key has 32 bytes")
    pseudo_random_key = hmac.digest(salt, key, hashlib.sha256)
    return hmac.digest(pseudo_random_key, associated + b"\x01", hashlib.sha256)
