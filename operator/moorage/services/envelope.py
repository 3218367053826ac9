"""The format of a sealed value: AES-256-GCM under one key, bound to its owner, place and key version.

sealed     = header ‖ nonce (12 random bytes) ‖ AES-256-GCM(key, nonce, text, associated)
header     = 0x02 ‖ version of the owner's key (2 bytes)
associated = "moorage", header, owner, table, row, column, each after its length (4 bytes); numbers are big endian
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moorage.model.sealing import KeyUnreadable, Place

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION_MAX = 0xFFFF
FORMAT = 2  # a later format gets another number, and both are read
HEADER_BYTES = 3


def seal(key: bytes, version: int, owner: str, place: Place, text: bytes) -> bytes:
    """The sealed value, a new one with each call."""
    header = bytes([FORMAT]) + version.to_bytes(HEADER_BYTES - 1, "big")
    nonce = os.urandom(NONCE_BYTES)
    return header + nonce + AESGCM(key).encrypt(nonce, text, _associated(header, owner, place))


def version_of(sealed: bytes) -> int:
    """The version of the owner's key that opens a sealed value; raises KeyUnreadable when it is none of ours."""
    if len(sealed) < HEADER_BYTES + NONCE_BYTES + TAG_BYTES or sealed[0] != FORMAT:
        raise KeyUnreadable("a sealed value has an unknown format")
    return int.from_bytes(sealed[1:HEADER_BYTES], "big")


def unseal(key: bytes, owner: str, place: Place, sealed: bytes) -> bytes:
    """What was sealed; raises KeyUnreadable unless key, owner and place are those it was sealed with."""
    version_of(sealed)
    header, nonce = sealed[:HEADER_BYTES], sealed[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, sealed[HEADER_BYTES + NONCE_BYTES :], _associated(header, owner, place))
    except InvalidTag as error:
        raise KeyUnreadable("a sealed value does not open") from error


def _associated(header: bytes, owner: str, place: Place) -> bytes:
    fields = [b"moorage", header, *(text.encode() for text in (owner, place.table, place.row, place.column))]
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)
