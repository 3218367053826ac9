"""What is sealed, for whom and where: the words of the keyring."""

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.model.errors import MoorageError, Unavailable

# The owner of what belongs to no tenant; no object of the API server ever has this UID.
PLATFORM = "00000000-0000-0000-0000-000000000000"


class KeyUnreadable(MoorageError):
    """A sealed value or a wrapped key does not open: it was damaged, moved, or belongs to somebody else."""


class KeysUnavailable(Unavailable):
    """Whoever keeps the root key does not answer at the moment."""


class KeysRefused(KeysUnavailable):
    """Whoever keeps the root key refuses us: a person has to put that right."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs: a column of one row. Anywhere else it does not open."""

    table: str
    row: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """One version of an owner's key, as the database keeps it."""

    owner: str  # a tenant's UID, or PLATFORM
    version: int  # counts from 1; the highest seals
    root_key: str  # the id of the root key it is wrapped with
    wrapped: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """A sealed value as it is found in a table, with the place it was sealed for."""

    stored_in: str  # the table of this copy
    id: str  # the row of this copy
    place: Place  # copies keep the place of the first
    sealed: bytes


def wrapping_context(owner: str, version: int) -> Mapping[str, str]:
    """What the wrap of an owner's key is bound to."""
    return {"moorage": "owner-key", "owner": owner, "version": str(version)}


def signing_context(purpose: str) -> Mapping[str, str]:
    """What a signature under the root key is bound to."""
    return {"moorage": "signature", "purpose": purpose}
