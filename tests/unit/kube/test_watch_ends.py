"""A watch that is given up leaves no connection behind, also where the server never says goodbye."""

import asyncio
import contextlib
import datetime
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.kube.client import Client
from moorage.kube.login import Credentials

NOW = datetime.datetime.now(datetime.UTC)
LIMIT_SECONDS = 120.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"


def _certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    day = datetime.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - day, NOW + day).sign(key, hashes.SHA256())
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The address of a server that sends one line of a watch and from then on neither reads nor writes."""
    context, done = _certificate(tmp_path), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with context.wrap_socket(accepted, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(HEAD)
                done.wait()

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            server.join()


async def _watch(server: str) -> None:
    seen = asyncio.Event()

    async def follow(client: Client) -> None:
        async for lines in client.stream("/api/v1/pods", {"watch": "1"}, silence_seconds=LIMIT_SECONDS):
            assert lines == [b"{}"]
            seen.set()

    async with asyncio.timeout(LIMIT_SECONDS), Client.connect(Credentials(server=server, verify=False)) as client:
        following = asyncio.create_task(follow(client))
        await seen.wait()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def test_no_connection_is_left(silent: str) -> None:
    gc.collect()  # what others left is not this one's
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(_watch(silent))
        gc.collect()
    assert [str(warning.message) for warning in told] == []
