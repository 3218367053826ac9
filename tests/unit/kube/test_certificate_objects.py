"""What cert-manager is asked for is asked once, believed when it says Ready, and never taken from a tenant."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moorage.desired.certificate import certificate
from moorage.kube import certificate_objects, kinds
from moorage.kube.client import Client
from moorage.model.domain_seen import Sight
from moorage.model.errors import Permanent
from moorage.model.reasons import Reason
from tests import factories
from tests.fakes.apiserver import Answer, ApiServer

WANTED = certificate(factories.domain(), "bot.example.com", cluster_issuer="letsencrypt")
PLACE = (kinds.CERTIFICATE.plural, "mn-acme", "tls-bot")


def played(scene: Callable[[ApiServer, Client], Awaitable[None]]) -> None:
    """Play a scene with a server and a client."""

    async def play() -> None:
        server = ApiServer()
        async with server.serving() as client:
            await scene(server, client)

    asyncio.run(play())


def _say(server: ApiServer, **status: Any) -> None:
    server.put(kinds.CERTIFICATE, {**server.objects[PLACE], "status": status})


def test_it_is_written_once_and_there_when_it_is_ready() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        assert (await certificate_objects.keep(client, WANTED)).sight is Sight.UNDER_WAY
        assert (await certificate_objects.keep(client, WANTED)).sight is Sight.UNDER_WAY
        assert [verb for verb, _ in server.requests if verb != "get"] == ["apply"]
        _say(server, conditions=[{"type": "Ready", "status": "True"}])
        assert (await certificate_objects.keep(client, WANTED)).sight is Sight.THERE
        assert not await certificate_objects.remove(client, "mn-acme", "tls-bot")
        assert await certificate_objects.remove(client, "mn-acme", "tls-bot")

    played(scene)


def test_what_the_authority_refused_is_told() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        await certificate_objects.keep(client, WANTED)
        _say(server, conditions=[{"type": "Ready", "status": "False"}], lastFailureTime="2026-05-01T12:00:00Z")
        assert (await certificate_objects.keep(client, WANTED)).problem is Reason.CERTIFICATE_REFUSED

    played(scene)


def test_a_tenants_own_certificate_stays() -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        theirs = {"metadata": {"name": "tls-bot", "namespace": "mn-acme"}, "spec": {"dnsNames": ["theirs.example"]}}
        before = server.put(kinds.CERTIFICATE, theirs)
        with pytest.raises(Permanent) as refusal:
            await certificate_objects.keep(client, WANTED)
        assert refusal.value.reason is Reason.NAME_TAKEN
        assert server.objects[PLACE] == before

    played(scene)


@pytest.mark.parametrize(("code", "reason"), [(404, Reason.ISSUER_UNKNOWN), (403, Reason.RIGHTS_MISSING)])
def test_a_cluster_without_it_or_a_right_to_it_is_told(code: int, reason: Reason) -> None:
    async def scene(server: ApiServer, client: Client) -> None:
        said = 'certificates.cert-manager.io "tls-bot" is forbidden: User "operator" cannot patch resource'
        server.script("apply", kinds.CERTIFICATE.plural, Answer(code, message=said))
        assert (await certificate_objects.keep(client, WANTED)).problem is reason

    played(scene)
