"""What comes over the wire: pages of a list, events of a watch, and their decoders."""

import functools
from typing import Any, Generic, TypeVar

import msgspec

from moorage.kube.failures import StatusAnswer
from moorage.model.errors import Unavailable

T = TypeVar("T")

LINE_BYTES_MAX = 8 << 20  # one watch event; etcd refuses objects above 1.5 MiB


class PageMetadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """metadata of a list."""

    resource_version: str = ""
    next_token: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    metadata: PageMetadata
    items: list[T] | None = None


class Added(msgspec.Struct, Generic[T], frozen=True, tag_field="type", tag="ADDED"):
    """An object came into being, or into view."""

    object: T


class Modified(msgspec.Struct, Generic[T], frozen=True, tag_field="type", tag="MODIFIED"):
    """An object changed."""

    object: T


class Deleted(msgspec.Struct, Generic[T], frozen=True, tag_field="type", tag="DELETED"):
    """An object ceased to be, or left the view; it carries its last state and the version of the deletion."""

    object: T


class MarkMetadata(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """metadata of a bookmark: only the version."""

    resource_version: str


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The object of a bookmark."""

    metadata: MarkMetadata


class Bookmark(msgspec.Struct, frozen=True, tag_field="type", tag="BOOKMARK"):
    """Nothing happened up to this version."""

    object: Mark


class Failed(msgspec.Struct, frozen=True, tag_field="type", tag="ERROR"):
    """The server ends the watch and says why."""

    object: StatusAnswer


@functools.cache
def decoder_of(type_: Any) -> msgspec.json.Decoder[Any]:  # Any: a type as a value, also a parametrised one
    """The one decoder of a type: building one costs far more than using it."""
    return msgspec.json.Decoder(type_)


def event_decoder(type_: Any) -> msgspec.json.Decoder[Any]:  # Any: as above
    """The decoder of the watch events of a type."""
    return decoder_of(Added[type_] | Modified[type_] | Deleted[type_] | Bookmark | Failed)


def page_of(type_item: Any) -> Any:  # Any: as above
    """The type of a page of these items."""
    return Page[type_item]


def decoded(type_: Any, body: bytes) -> Any:  # Any: an instance of type_
    """Decode an answer; one that does not fit comes from a server we cannot work with for now."""
    try:
        return decoder_of(type_).decode(body)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"the API server's answer cannot be read: {error}") from error


class Lines:
    """A watch's lines, out of pieces that end anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in this piece.

        Raises:
            Unavailable: a line that is longer than any event
        """
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise Unavailable("the API server sent a line without end")
        return lines

    def end(self) -> None:
        """Nothing more comes.

        Raises:
            Unavailable: it ended inside a line
        """
        if self._rest:
            raise Unavailable("the watch ended inside a line")
