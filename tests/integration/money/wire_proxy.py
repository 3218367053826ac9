"""A proxy in front of PostgreSQL that counts protocol messages and cuts the connection between two of them.

It understands just enough of the protocol to see where a message ends: a type byte and a length, after a first message
without a type; the client must not ask for TLS. Messages of both directions share one count, since the two take turns.
"""

import asyncio
import contextlib
import fcntl
import re
import struct
import sys
import termios
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

HEADER = struct.Struct("!cI")
LENGTH = struct.Struct("!I")
ARRIVED_SECONDS_MAX = 10


class Cut(Exception):
    """The connection has to go now."""


@dataclass
class WireProxy:
    """One listening port; every connection to it is passed on to the server until the count says otherwise."""

    server_host: str
    server_port: int
    port: int = 0
    seen: list[str] = field(default_factory=list)
    """The messages passed on since it was armed: `>Q` from the client, `<Z` from the server."""
    was_cut: bool = False
    ports: set[int] = field(default_factory=set)
    """By which the server knows the connections that came through here."""
    _messages_left: int | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _clients: set[asyncio.StreamWriter] = field(default_factory=set)
    _pumps: set["asyncio.Task[None]"] = field(default_factory=set)
    _serving: "set[asyncio.Task[Any]]" = field(default_factory=set)  # Any: nobody wants their results

    def url(self, url: str) -> str:
        """The same database by way of this proxy."""
        return re.sub(r"@[^/]+/", f"@127.0.0.1:{self.port}/", url) + "?sslmode=disable"

    def arm(self, messages: int) -> None:
        """Let so many more messages pass, in either direction, then cut."""
        self._messages_left, self.was_cut, self.seen = messages, False, []

    def disarm(self) -> None:
        """Pass everything on."""
        self._messages_left = None

    async def take_leave(self) -> None:
        """Say to every client what a server that stops says to an idle one, and keep the connection open.

        Returns when it has arrived: a busy machine may carry it to the other side only after a moment.
        """
        said = b"".join(
            b"%c%s\0" % field for field in ((b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", b"57P01"), (b"M", b""))
        )
        for writer in self._clients:
            writer.write(HEADER.pack(b"E", LENGTH.size + len(said) + 1) + said + b"\0")
        deadline = time.monotonic() + ARRIVED_SECONDS_MAX
        while any(_under_way(writer) for writer in self._clients):
            assert time.monotonic() < deadline, "a client does not take what was said"
            await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        if task := asyncio.current_task():
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        behind_reader, behind_writer = await asyncio.open_connection(self.server_host, self.server_port)
        self.ports.add(behind_writer.get_extra_info("sockname")[1])
        both = {writer, behind_writer}
        self._writers |= both
        self._clients.add(writer)
        pumps = [
            asyncio.create_task(self._pump(reader, behind_writer, ">", typed=False)),
            asyncio.create_task(self._pump(behind_reader, writer, "<", typed=True)),
        ]
        self._pumps |= set(pumps)
        # Whichever way ends first takes the other with it, as a broken wire does.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps -= set(pumps)
        for one in both:
            one.transport.abort()
        self._writers -= both
        self._clients.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str, *, typed: bool) -> None:
        with contextlib.suppress(Cut, OSError, asyncio.IncompleteReadError):
            if not typed:
                length = await reader.readexactly(LENGTH.size)
                writer.write(length + await reader.readexactly(LENGTH.unpack(length)[0] - LENGTH.size))
            while True:
                header = await reader.readexactly(HEADER.size)
                kind, length_bytes = HEADER.unpack(header)
                body = await reader.readexactly(length_bytes - LENGTH.size)
                self._count(way + kind.decode())
                writer.write(header + body)
                await writer.drain()

    def _count(self, message: str) -> None:
        if self._messages_left is None:
            return
        if self._messages_left == 0:
            self.was_cut = True
            raise Cut
        self._messages_left -= 1
        self.seen.append(message)

    async def close(self) -> None:
        """End every connection, and whatever was done for it."""
        for pump in list(self._pumps):
            pump.cancel()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)


def _under_way(writer: asyncio.StreamWriter) -> bool:
    """Whether something that was written has not arrived on the other side yet."""
    left = fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(left, sys.byteorder) > 0


@contextlib.asynccontextmanager
async def in_front_of(host: str, port: int) -> AsyncIterator[WireProxy]:
    """A proxy on a free port."""
    proxy = WireProxy(host, port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
