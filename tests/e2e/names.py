"""The world's names in a test: a name server with the platform's zone and its customers', and an ACME authority."""

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dev import netns, processes, toolchain
from tests import acme_server
from tests.e2e.front import ZONE, zone_of_the_provider
from tests.e2e.house import House
from tests.name_server import zone_file

CUSTOMERS = "customers.test"
NAME_SERVER, AUTHORITY = "name-server", "authority"
DNS_PORT, ACME_PORT, MANAGEMENT_PORT = 53, 14_000, 15_000  # on the node's network, where nobody else listens
RELOAD = "100ms"
START_SECONDS_MAX = 60.0


class Names:
    """What its customers' zone shows, and who signs for host names."""

    def __init__(self, house: House) -> None:
        self._house, self._serial = house, 0
        self._folder = house.layout.run / "names"
        self._folder.mkdir(exist_ok=True)
        self.show()

    def show(self, *records: str) -> None:
        """The customers' zone holds exactly these records from now on, in the language of zone files."""
        self._serial += 1
        fresh = self._folder / "customers.new"
        fresh.write_text(zone_file(CUSTOMERS, *records, serial=self._serial))
        fresh.rename(self._customers)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead the operator to them."""
        return {
            "MOORAGE_DOMAIN_RESOLVERS": f'["{self._house.layout.node_ip}"]',
            "MOORAGE_ACME_DIRECTORY": f"https://localhost:{ACME_PORT}/dir",
            "MOORAGE_ACME_CA_FILE": str(self._folder / acme_server.CA_FILE),
        }

    def root(self) -> str:
        """The certificate (PEM) of the authority, which it makes anew at every start."""
        return self._ask_authority("/roots/0")

    @property
    def _customers(self) -> Path:
        return self._folder / "customers"

    def start(self) -> None:
        """Start both, without a memory."""
        self.stop()
        layout, address = self._house.layout, self._house.layout.node_ip
        platform = zone_of_the_provider(self._house)
        platform.write_text(zone_file(ZONE))
        corefile = self._folder / "Corefile"
        served = {CUSTOMERS: self._customers, ZONE: platform}
        corefile.write_text("".join(_served(name, file, address) for name, file in served.items()))
        argv = [str(toolchain.program(layout, "nameserver")), "-conf", str(corefile)]
        processes.start(layout, NAME_SERVER, argv, inside=True)
        self._wait(NAME_SERVER, lambda: netns.connect(layout, address, DNS_PORT).close())

        acme_server.configure(self._folder, port=ACME_PORT, management_port=MANAGEMENT_PORT)
        config = str(self._folder / acme_server.CONFIG)
        argv = [str(toolchain.program(layout, "pebble")), "-config", config, "-dnsserver", f"{address}:{DNS_PORT}"]
        processes.start(layout, AUTHORITY, argv, inside=True, env=acme_server.environment(bad_nonces=0))
        self._wait(AUTHORITY, self.root)

    def stop(self) -> None:
        """End both."""
        processes.stop(self._house.layout, AUTHORITY)
        processes.stop(self._house.layout, NAME_SERVER)

    def _wait(self, name: str, act: Callable[[], Any]) -> None:  # Any: nobody asks what comes back
        def answers() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                act()
                return True
            return False

        processes.wait(self._house.layout, name, answers, seconds=START_SECONDS_MAX, what="its first answer")

    def _ask_authority(self, path: str) -> str:
        trusting = ssl.create_default_context(cafile=str(self._folder / acme_server.CA_FILE))
        line = http.client.HTTPSConnection("localhost", MANAGEMENT_PORT, timeout=10)
        with contextlib.closing(line):
            plain = netns.connect(self._house.layout, "127.0.0.1", MANAGEMENT_PORT)
            line.sock = trusting.wrap_socket(plain, server_hostname="localhost")
            line.request("GET", path)
            answer = line.getresponse()
            assert answer.status == http.client.OK, answer.status
            return answer.read().decode()


def _served(name: str, file: Path, address: str) -> str:
    return f"{name}:{DNS_PORT} {{\n bind {address}\n file {file} {{\n  reload {RELOAD}\n }}\n}}\n"


@contextlib.contextmanager
def opened(house: House) -> Iterator[Names]:
    """For as long as the block runs."""
    names = Names(house)
    try:
        names.start()
        yield names
    finally:
        names.stop()
