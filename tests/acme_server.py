"""A real ACME authority for tests (pebble), the DNS that it asks, and a line to it on which answers get lost."""

import contextlib
import http.client
import http.server
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dev import toolchain
from dev.layout import Layout
from moorage.providers.ports import CustomHostname, DnsRecord, Written
from tests.store_server import free_port, free_ports

START_SECONDS_MAX = 60.0
CONFIG, CA_FILE = "pebble.json", "server-ca.pem"
BLOCKED = "blocked.example"


class ChallengeZone:
    """The DNS of the tests, with a zone that is written as a provider's is (pebble-challtestsrv)."""

    def __init__(self, folder: Path) -> None:
        self.port, self._control = free_ports(2)
        self.shown: dict[str, DnsRecord] = {}
        program = toolchain.program(Layout.current(), "pebble-challtestsrv")
        argv = [str(program), "-dnsserver", f"127.0.0.1:{self.port}", "-management", f"127.0.0.1:{self._control}"]
        argv += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
        self._child = _started(argv, folder / "names.log", self._control)

    def stop(self) -> None:
        """End it."""
        _ended(self._child)

    def tell(self, what: str, **values: str) -> None:
        """One command of its management: set-cname, clear-cname, set-servfail ..."""
        connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", f"/{what}", json.dumps(values))
            assert connection.getresponse().status == 200

    async def records(self, zone: str) -> list[DnsRecord]:
        """As the port says."""
        return [record for record in self.shown.values() if record.name.endswith(zone)]

    async def write(self, zone: str, puts: Sequence[DnsRecord], deletes: Sequence[str]) -> list[Written]:
        """As the port says, for TXT records."""
        written = []
        for put in puts:
            made = DnsRecord(name=put.name, type=put.type, content=put.content, comment=put.comment, id=put.content)
            self.shown[made.id] = made
            self.tell("set-txt", host=f"{put.name}.", value=put.content)
            written.append(Written(record=made))
        for gone in deletes:
            record = self.shown.pop(gone)
            self.tell("clear-txt", host=f"{record.name}.")
            written.append(Written(record=None))
        return written

    async def custom_hostnames(self, zone: str) -> list[CustomHostname]:
        """There are none."""
        return []

    async def add_hostname(self, zone: str, hostname: str) -> CustomHostname:
        """No test of certificates asks for one."""
        raise NotImplementedError

    async def remove_hostname(self, zone: str, hostname_id: str) -> None:
        """No test of certificates asks for one."""
        raise NotImplementedError


class AcmeServer:
    """The authority, which refuses so many good nonces in a hundred; it forgets everything when it is started anew."""

    def __init__(self, folder: Path, names: ChallengeZone, *, bad_nonces: int = 15) -> None:
        self.port = free_port()
        self.ca_file = folder / CA_FILE
        self._folder, self._names, self._bad_nonces = folder, names, bad_nonces
        configure(folder, port=self.port)
        self.start()

    @property
    def directory(self) -> str:
        """Its address."""
        return f"https://localhost:{self.port}/dir"

    def start(self) -> None:
        """Start it without a memory."""
        program = toolchain.program(Layout.current(), "pebble")
        argv = [str(program), "-config", str(self._folder / CONFIG), "-dnsserver", f"127.0.0.1:{self._names.port}"]
        self._child = _started(argv, self._folder / "pebble.log", self.port, environment(self._bad_nonces))

    def stop(self) -> None:
        """End it."""
        _ended(self._child)

    @contextlib.contextmanager
    def lossy_line(self, path: str) -> Iterator[str]:
        """The directory's address on a line that loses the first answer to a path; what was asked is done."""
        lost: list[str] = []
        upstream = self.port

        class Line(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                trusting = ssl.create_default_context()
                trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
                line = http.client.HTTPSConnection("localhost", upstream, timeout=20, context=trusting)
                with contextlib.closing(line):
                    line.request(self.command, self.path, body, dict(self.headers))
                    answer = line.getresponse()
                    content = answer.read()
                if self.path.startswith(path) and not lost:
                    lost.append(self.path)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name not in {"Content-Length", "Date", "Connection"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_HEAD = _forward  # noqa: N815  # the server's names

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Line)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/dir"
            assert lost, f"nothing was asked at {path}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def configure(folder: Path, *, port: int, management_port: int | None = None) -> None:
    """Write what pebble is started with: CONFIG, and the server's own certificate with CA_FILE, who signed it."""
    certificate, key = _certificate(folder, folder / CA_FILE)
    management = "" if management_port is None else f"127.0.0.1:{management_port}"
    settings = {
        "listenAddress": f"127.0.0.1:{port}", "managementListenAddress": management, "certificate": str(certificate),
        "privateKey": str(key), "httpPort": free_port(), "tlsPort": free_port(), "keyAlgorithm": "ecdsa",
        "domainBlocklist": [BLOCKED], "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "for tests", "validityPeriod": 7_776_000}},
    }  # fmt: skip
    (folder / CONFIG).write_text(json.dumps({"pebble": settings}))


def environment(bad_nonces: int) -> dict[str, str]:
    """What pebble does on purpose, for its clients to learn from: only so many good nonces in a hundred refused."""
    return {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": str(bad_nonces)}


def _certificate(folder: Path, ca_file: Path) -> tuple[Path, Path]:
    """The server's own certificate, and who signed it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(local), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    for file in (ca_file, folder / "server.pem"):
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "server.pem", folder / "server.key"


def _started(
    argv: list[str], log: Path, port: int, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=output, env={"PATH": os.defpath, **(environment or {})})
    deadline = time.monotonic() + START_SECONDS_MAX
    while not _listens(port):
        if child.poll() is not None or time.monotonic() > deadline:
            _ended(child)
            raise RuntimeError(f"{Path(argv[0]).name} did not start: {log.read_text()[-500:]}")
        time.sleep(0.02)
    return child


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ended(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    child.wait(10)
