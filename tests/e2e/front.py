"""The front of the platform in a test: an ingress controller, the waiting page behind its Service, and visitors."""

import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dev import platform, processes, secret_files
from dev.ingress import Ingress
from tests.e2e.house import House
from tests.fakes.cloudflare.account import TOKEN

ZONE = "agents.test"
PATH = "/healthz"  # what every agent answers
WAITING_PORT = 8080
PROVIDER = "dns-provider"
SOON_SECONDS = 90.0
POLL_SECONDS = 0.2
BODY_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a visitor got."""

    status: int
    headers: dict[str, str]
    body: str


def is_agent(answer: Answer) -> bool:
    """Whether the agent itself answered."""
    return (answer.status, answer.headers.get("retry-after")) == (200, None)


def is_page(*words: str) -> Callable[[Answer], bool]:
    """Whether it is the waiting page, with these words; an ingress controller's own 503 is bare."""

    def reached(answer: Answer) -> bool:
        return answer.status == 503 and "retry-after" in answer.headers and all(word in answer.body for word in words)

    return reached


@dataclass(frozen=True, slots=True)
class Front:
    """The one door to all agents."""

    ingress: Ingress

    def visit(self, hostname: str, authority: str, *, host: str = "") -> Answer | None:
        """Ask over TLS, trusting only this authority (PEM); None: no such certificate is shown.

        `host` is what the request says where that is something else.
        """
        context = ssl.create_default_context(cadata=authority)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate may be trusted by itself
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(10)
            plain.connect(str(self.ingress.door))
            try:
                with context.wrap_socket(plain, server_hostname=hostname) as secure:
                    asked = f"GET {PATH} HTTP/1.1\r\nHost: {host or hostname}\r\nConnection: close\r\n\r\n"
                    secure.sendall(asked.encode())
                    return _parsed(_all_of(secure))
            except ssl.SSLError:
                return None

    def until(
        self,
        hostname: str,
        authority: str,
        reached: Callable[[Answer], bool],
        what: str,
        *,
        seconds: float = SOON_SECONDS,
    ) -> Answer:
        """Visit until the answer is as wanted; a 502 on the way is a failure of its own."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            last = self.visit(hostname, authority)
            assert last is None or last.status != 502, last
            if last is not None and reached(last):
                return last
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{hostname}: {what} did not happen within {seconds:.0f} s; last: {last}")

    def until_nobody(self, hostname: str, authority: str) -> None:
        """Visit until nobody answers to the name any more."""
        deadline, last = time.monotonic() + SOON_SECONDS, None
        while time.monotonic() < deadline:
            last = self.visit(hostname, authority)
            if last is None or last.status == 404:
                return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{hostname} is answered for {SOON_SECONDS:.0f} s after its end; last: {last}")


@contextlib.contextmanager
def opened(house: House, **settings: str) -> Iterator[Front]:
    """The platform with host names below the zone, and a front before it; afterwards it runs as it was found."""
    provider = _provider(house)
    place = {"MOORAGE_WAITING_LISTEN": f"{house.layout.node_ip}:{WAITING_PORT}"}
    wanted = {"MOORAGE_DOMAIN_ZONE": ZONE, "MOORAGE_DOMAIN_TARGET": "192.0.2.1", **place, **provider, **settings}
    house.cluster.apply("endpointslices", _page(house))
    try:
        platform.start_program(house.layout, "api", {**house.settings, **wanted})
        house.start_operator(**wanted)
        with Ingress(house.layout) as ingress:
            yield Front(ingress)
    finally:
        house.cluster.delete("endpointslices", "moorage-system", "moorage-waiting-here")
        platform.start_program(house.layout, "api", dict(house.settings))
        house.start_operator()
        processes.stop(house.layout, PROVIDER)


def zone_of_the_provider(house: House) -> Path:
    """The file in which the provider shows its zone to a name server."""
    return house.layout.run / "provider-zone"


def _provider(house: House) -> dict[str, str]:
    """Start the DNS provider on the node's network; the settings that lead to it."""
    told, token = house.layout.run / "provider-url", house.layout.run / "provider-token"
    told.unlink(missing_ok=True)
    secret_files.write(token, TOKEN.encode())
    published = str(zone_of_the_provider(house))
    argv = [sys.executable, "-m", "tests.fakes.cloudflare", ZONE, str(told), published, house.layout.node_ip]
    path = f"{house.layout.root}:{house.layout.root / 'operator'}"
    processes.start(house.layout, PROVIDER, argv, inside=True, env={"PYTHONPATH": path})
    has_said: Callable[[], bool] = lambda: told.exists() and bool(told.read_text())  # noqa: E731 -- only handed on
    processes.wait(house.layout, PROVIDER, has_said, seconds=SOON_SECONDS, what="its address")
    return {"MOORAGE_CLOUDFLARE_URL": told.read_text(), "MOORAGE_CLOUDFLARE_TOKEN_FILE": str(token)}


def _page(house: House) -> dict[str, object]:
    """The API runs beside the cluster: what its Service leads to."""
    labels = {"kubernetes.io/service-name": "moorage-waiting", "endpointslice.kubernetes.io/managed-by": "e2e"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "moorage-waiting-here", "namespace": "moorage-system", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [house.layout.node_ip], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": WAITING_PORT, "protocol": "TCP"}],
    }


def _all_of(secure: ssl.SSLSocket) -> bytes:
    found = b""
    while len(found) < BODY_BYTES_MAX and (more := secure.recv(1 << 16)):
        found += more
    return found


def _parsed(raw: bytes) -> Answer:
    head, _, body = raw.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)
