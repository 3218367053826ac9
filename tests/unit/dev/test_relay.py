"""The relay passes bytes both ways and lets one side finish before the other."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest

from dev import relay

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def through(answer: Answer | None, request: bytes) -> bytes:
    """Send a request through a relay to a server that answers so (None: nobody listens), and read to the end."""
    target = socket.socket()
    target.bind(("127.0.0.1", 0))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    forward = relay.Forward(listener.getsockname()[1], "127.0.0.1", target.getsockname()[1])
    server = await asyncio.start_server(answer, sock=target) if answer else None
    serving = asyncio.create_task(relay._serve([(listener, forward)]))
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.host_port)
    writer.write(request)
    writer.write_eof()
    received = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    if server is not None:
        server.close()
    target.close()
    return received


def test_an_answer_arrives_after_the_request_was_finished() -> None:
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Only the end of the request tells that it is complete: it must come through by itself.
        request = await reader.read()
        writer.write(f"{len(request)} bytes".encode())
        writer.close()

    assert asyncio.run(through(count, b"x" * 3_000_000)) == b"3000000 bytes"


def test_a_target_nobody_listens_on_closes_the_connection() -> None:
    assert asyncio.run(through(None, b"hello")) == b""


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("20000=10.77.0.1:6443", relay.Forward(20000, "10.77.0.1", 6443)),
        ("20009=10.123.4.5:80", relay.Forward(20009, "10.123.4.5", 80)),
    ],
)
def test_a_forward_reads_as_host_port_and_target(text: str, forward: relay.Forward) -> None:
    assert relay.Forward.parse(text) == forward
