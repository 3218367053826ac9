"""A zone at the provider, whoever keeps it, and a clock that jumps; only the database is played."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path

from moorage.model.domain_seen import Owner
from moorage.model.errors import LostLeadership
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.observability import Metrics
from moorage.providers.allowance import Allowance
from moorage.providers.cloudflare_calls import CloudflareCalls
from moorage.providers.cloudflare_zones import CloudflareZones
from moorage.providers.ports import DnsRecord, DnsType
from moorage.services.zones import Zones
from tests.fakes.cloudflare.account import TOKEN, Account, Json
from tests.fakes.cloudflare.server import CloudflareServer
from tests.simulation import virtual_time

ZONE, PLATFORM = "agents.example", "7d3c1f8e-0000-4000-8000-000000000001"
OFFER = DomainOffer(zone=ZONE, target="192.0.2.1")
PER_MINUTE = 200


class PlayedRows:
    """What the database would say."""

    def __init__(self) -> None:
        self.epoch = 1
        self.finished: dict[str, str] = {}
        self.record_ids: dict[str, str | None] = {}
        self.hostname_ids: dict[str, str | None] = {}

    async def require(self, *, epoch: int) -> None:
        """Raises LostLeadership to whoever led before."""
        if epoch != self.epoch:
            raise LostLeadership("another process leads")

    async def gone(self, *, epoch: int, uids: Collection[str]) -> dict[str, str]:
        """Those that were finished."""
        await self.require(epoch=epoch)
        return {uid: hostname for uid, hostname in self.finished.items() if uid in uids}

    async def note_records(self, *, epoch: int, ids: Mapping[str, str | None]) -> None:
        """Remember them."""
        await self.require(epoch=epoch)
        self.record_ids |= ids

    async def note_hostname(self, *, epoch: int, uid: str, hostname_id: str | None) -> None:
        """Remember it."""
        await self.require(epoch=epoch)
        self.hostname_ids[uid] = hostname_id


class Stage:
    """One account with one zone."""

    def __init__(self, account: Account, server: CloudflareServer, token_file: Path) -> None:
        self.account, self.zone = account, account.zone(ZONE)
        self.token_file, self.url = token_file, server.url
        self.metrics = Metrics()
        self.allowance = Allowance(PER_MINUTE, clock=account.clock)
        self.calls = CloudflareCalls(
            url=server.url, token_file=token_file, allowance=self.allowance, metrics=self.metrics
        )
        self.provider = CloudflareZones(self.calls)
        self.rows = PlayedRows()
        self.rung: list[str] = []
        self.zones = self.keeper()

    def keeper(self, offer: DomainOffer = OFFER) -> Zones:
        """A process that leads now."""
        epoch = self.rows.epoch
        return Zones(
            offer=offer, platform_id=PLATFORM, provider=self.provider, rows=self.rows, epoch=lambda: epoch,
            ring=lambda key, _: self.rung.append(key.name), metrics=self.metrics, clock=self.account.clock,
        )  # fmt: skip

    async def pass_time(self, seconds: float, zones: Zones | None = None) -> None:
        """Turn by turn, as the clock drives it."""
        until = self.account.clock() + seconds
        while self.account.clock() < until:
            await virtual_time.passed(await (zones or self.zones).step())

    def at(self, name: str) -> list[Json]:
        """The records at one name."""
        return [record for record in self.zone.records.values() if record["name"] == name]


def owner(number: int) -> Owner:
    """One of many Domains."""
    return Owner(f"00000000-0000-4000-8000-{number:012d}", Key("Domain", "mn-acme", f"d{number}"))


def mark(number: int, platform: str = PLATFORM) -> str:
    """The comment that says whose a record is."""
    return f"moorage/{platform}/{owner(number).uid}"


def record(number: int, *, record_id: str = "", content: str = "192.0.2.1") -> DnsRecord:
    """What a Domain wishes for."""
    name = f"d{number}.{ZONE}"
    return DnsRecord(name=name, type=DnsType.A, content=content, proxied=True, id=record_id)


def played(act: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """A test that plays on a stage of its own, in virtual time."""

    def test() -> None:
        virtual_time.run(_play(act))

    test.__name__, test.__doc__ = act.__name__, act.__doc__
    return test


async def _play(act: Callable[[Stage], Awaitable[None]]) -> None:
    async with opened() as stage:
        await act(stage)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Stage]:
    """A stage on the running loop."""
    account = Account(clock=asyncio.get_running_loop().time)
    with tempfile.TemporaryDirectory() as folder:
        token_file = Path(folder) / "token"
        token_file.write_text(TOKEN)
        async with CloudflareServer(account).serving() as server:
            stage = Stage(account, server, token_file)
            try:
                yield stage
            finally:
                await stage.calls.close()
