"""A real DNS server for tests, CoreDNS over zone files; and servers that answer badly, as small real sockets."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rrset

from dev import toolchain
from dev.layout import Layout

START_LIMIT_SECONDS = 60.0
PORTS_TRIED_MAX = 20
LOOPBACK = "127.0.0.1"
ZONE = "victim.example"
"""The zone the server is asked for; what it holds is up to the test."""

Bad = Callable[[bytes], bytes | None]
"""From a question to an answer; None is silence."""


class NameServer:
    """One authoritative server; its zone is changed by starting it anew, so that no test waits for a reload."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def resolver(self) -> str:
        """As the platform's setting names it."""
        return f"{LOOPBACK}:{self.port}"

    def serve(self, *records: str) -> None:
        """Answer with these records of the zone from now on, in the language of zone files."""
        self.stop()
        (self._folder / "zone").write_text(zone_file(ZONE, *records))
        corefile = self._folder / "Corefile"
        corefile.write_text(f"{ZONE}:{self.port} {{\n bind {LOOPBACK}\n file {self._folder / 'zone'}\n}}\n")
        program = toolchain.program(Layout.current(), "nameserver")
        argv = [str(program), "-conf", str(corefile), "-quiet"]
        self._child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the name server did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Nobody answers any more."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _answers(self) -> bool:
        try:
            dns.query.udp(dns.message.make_query(ZONE, "SOA"), LOOPBACK, port=self.port, timeout=0.2)
        except (dns.exception.DNSException, OSError):
            return False
        return True


def zone_file(zone: str, *records: str, serial: int = 1) -> str:
    """A zone with these records beside those that every zone has; a server loads it anew when its serial is another."""
    lines = ("$TTL 60", f"@ SOA ns.{zone}. root.{zone}. {serial} 60 60 60 60", f"@ NS ns.{zone}.", *records)
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def badly(answer: Bad) -> AsyncIterator[str]:
    """A server on UDP that answers as the function says; yields its address as the setting names it."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answering(answer), local_addr=(LOOPBACK, 0))
    try:
        yield f"{LOOPBACK}:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, answer: Bad) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)


def silence(question: bytes) -> None:
    """No answer at all."""


def failing(code: dns.rcode.Rcode) -> Bad:
    """A resolver that says only that it cannot answer, or will not."""

    def answer(question: bytes) -> bytes:
        made = dns.message.make_response(dns.message.from_wire(question), recursion_available=True)
        made.set_rcode(code)
        return made.to_wire()

    return answer


def lame(question: bytes) -> bytes:
    """A server that knows nothing of the zone and asks nobody, yet answers without an error."""
    return dns.message.make_response(dns.message.from_wire(question)).to_wire()


def empty(question: bytes) -> bytes:
    """A resolver that says that the name is not there."""
    return failing(dns.rcode.NXDOMAIN)(question) or b""


def showing(text: str) -> Bad:
    """A resolver that shows this text wherever it is asked."""

    def answer(question: bytes) -> bytes:
        asked = dns.message.from_wire(question)
        made = dns.message.make_response(asked, recursion_available=True)
        made.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "TXT", f'"{text}"'))
        return made.to_wire()

    return answer


def forged(text: str) -> Bad:
    """Answers to questions that nobody asked, as a forger sends them who cannot see the question's number."""

    def answer(question: bytes) -> bytes:
        made = bytearray(showing(text)(question) or b"")
        made[0] ^= 0xFF
        return bytes(made)

    return answer


def garbage(question: bytes) -> bytes:
    """The right number, and then nothing that is DNS."""
    return question[:2] + b"\xff" * 40


def _free_port() -> int:
    """One that is free twice: of TCP and of UDP, which somebody else may have taken alone."""
    for _ in range(PORTS_TRIED_MAX):
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind((LOOPBACK, 0))
            port = int(stream.getsockname()[1])
            with contextlib.suppress(OSError):
                datagram.bind((LOOPBACK, port))
                return port
    raise RuntimeError("no port is free for both TCP and UDP")
