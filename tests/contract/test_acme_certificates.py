"""The whole way: a Domain's wish becomes a certificate of a real authority, kept in a real database, and is revoked."""

import time
from pathlib import Path

import pytest

from moorage.model.domain import Issuer
from moorage.model.domain_seen import Sight
from moorage.providers.acme_issuer import AcmeIssuer
from moorage.providers.dns_challenges import DnsChallenges
from moorage.services.acme_accounts import SealedAcmeAccounts
from moorage.store.acme_accounts import AcmeAccountRows
from tests.acme_server import AcmeServer, ChallengeZone
from tests.integration.domains.certified import OFFER, Certified
from tests.integration.domains.registry import Registry
from tests.integration.money.world import new_world

pytestmark = [pytest.mark.anyio, pytest.mark.cluster, pytest.mark.postgres]


def _issuer(stage: Certified, server: AcmeServer, zone: ChallengeZone) -> AcmeIssuer:
    here, world = ("127.0.0.1", zone.port), stage.registry.world

    async def servers() -> list[tuple[str, int]]:
        return [here]

    rows = AcmeAccountRows(world.database)
    return AcmeIssuer(
        directory=server.directory, email="", ca_file=server.ca_file, each_seconds=0.05,
        accounts=SealedAcmeAccounts(server.directory, rows, stage.keyring, lambda: world.epoch),
        board=DnsChallenges(OFFER.zone, provider=zone, mark="moorage/test/acme", resolvers=[here], servers=servers),
    )  # fmt: skip


async def test_wishes_become_certificates_and_are_given_back(tmp_path: Path, database_url: str) -> None:
    zone = ChallengeZone(tmp_path)
    server = AcmeServer(tmp_path, zone)
    try:
        async with new_world(database_url) as world:
            stage = await Certified.of(Registry(world))
            stage.now_s = time.time()  # the authority's clock
            await stage.later()
            stage.issuer = _issuer(stage, server, zone)
            stage.keeper = stage.new_keeper()
            uids = [await stage.active(f"bot{number}.agents.example") for number in range(4)]
            for uid in uids:
                await stage.wish(uid)
            assert (await stage.look(uids[0])).sight is Sight.THERE
            assert [(await stage.wish(uid)).sight for uid in uids] == [Sight.THERE] * 4
            assert zone.shown == {}
            assert await world.sql.fetchval("SELECT count(*) FROM moorage.acme_account") == 1

            stage.issuer = _issuer(stage, server, zone)  # a new leader has the account of the last
            stage.keeper = stage.new_keeper()
            for uid in uids:
                await stage.state(uid, "Releasing")
                await stage.keeper.revoke(await stage.record(uid))
            await stage.keeper.step()
            told = {"issuer": Issuer.ACME.value, "result": "revoked"}
            assert stage.metrics.registry.get_sample_value("moorage_certificates_total", told) == 4
            assert await world.sql.fetchval("SELECT count(*) FROM moorage.certificate_revocation") == 0
    finally:
        server.stop()
        zone.stop()
