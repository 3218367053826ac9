"""The relay: ports of the host's loopback that lead into the node's network."""

import asyncio
import contextlib
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev import netns, processes
from dev.layout import Layout

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Forward:
    """One port of the host and where it leads."""

    host_port: int
    target_host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `host_port=target_host:target_port`."""
        host_port, _, target = text.partition("=")
        host, _, port = target.rpartition(":")
        return cls(int(host_port), host, int(port))


def start(layout: Layout, *extra: Forward) -> None:
    """Start the relay for the layout's ports, and any others (a Service's ClusterIP, for example)."""
    forwards = [Forward(*forward) for forward in layout.forwards] + list(extra)
    argv = [sys.executable, "-m", "dev", "relay", "--netns", str(layout.netns)]
    argv += [f"{forward.host_port}={forward.target_host}:{forward.target_port}" for forward in forwards]
    # The relay starts on the host and enters the node's network itself.
    processes.start(layout, "relay", argv, inside=False, env={"PYTHONPATH": str(layout.root)})
    port = layout.port("api-server")
    processes.wait(layout, "relay", lambda: _listens(port), seconds=20, what="the relay's first answer")


def serve(netns_file: Path, forwards: list[Forward]) -> None:
    """Listen on the host, then move inside and connect from there, until killed."""
    # The listeners first: a socket keeps the network it was made in.
    listeners = [(_listener(forward.host_port), forward) for forward in forwards]
    netns.enter(netns_file)
    asyncio.run(_serve(listeners))


async def _serve(listeners: list[tuple[socket.socket, Forward]]) -> None:
    async with contextlib.AsyncExitStack() as servers:
        for listener, forward in listeners:
            server = await asyncio.start_server(_handler(forward), sock=listener, limit=CHUNK_BYTES)
            await servers.enter_async_context(server)
        await asyncio.Event().wait()


def _handler(forward: Forward) -> "asyncio.streams._ClientConnectedCallback":  # the name the type stubs give it
    async def handle(near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_reader, far = await asyncio.open_connection(forward.target_host, forward.target_port, limit=CHUNK_BYTES)
        except OSError:
            near.close()
            return
        await asyncio.gather(_copy(near_reader, far), _copy(far_reader, near))
        for writer in (near, far):
            writer.close()

    return handle


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the sender ends its half; the other direction may go on."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        # A broken connection cannot be half closed: both ends go.
        writer.transport.abort()
        return
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


def _listener(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    return listener


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
