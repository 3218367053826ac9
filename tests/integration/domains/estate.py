"""Domains reconciled as the operator does it: a real database, a played API server, and providers in memory."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

from moorage.controllers.leading import Epoch
from moorage.controllers.objects import Objects
from moorage.kube import kinds
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.observe import World as Cluster
from moorage.kube.routes import watched
from moorage.model.clock import from_epoch
from moorage.model.domain import Issuer
from moorage.model.domain_seen import ProofAnswer
from moorage.model.names import Key
from moorage.model.offer import DomainOffer
from moorage.naming import Ground, Naming, assemble
from moorage.observability import Metrics
from moorage.services.keyring import Keyring
from moorage.services.root_keys import RootKeys
from moorage.services.zones import Zones
from moorage.settings import Settings
from moorage.store.owner_keys import OwnerKeys
from moorage.store.zone_rows import ZoneRows
from tests.fakes.apiserver import ApiServer
from tests.fakes.authority import Authority
from tests.fakes.keys import ROOT, AwayRootKey
from tests.fakes.zone_provider import ZoneProvider
from tests.integration.money.world import START_S, World

OFFER = DomainOffer(zone="agents.example", target="203.0.113.7", issuers=(Issuer.CLOUDFLARE,))
TURNS_MAX = 60
LOOPS = 50


class Texts:
    """What the DNS shows: names and texts; a name without an answer is unknown."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.silent = False
        self.pointed: dict[str, str] = {}  # a host name, and where it leads
        self.asked_where = 0

    async def leads_to(self, name: str, target: str) -> ProofAnswer:
        """As resolvers would say."""
        self.asked_where += 1
        if self.silent:
            return ProofAnswer.UNKNOWN
        return ProofAnswer.SHOWN if self.pointed.get(name) == target else ProofAnswer.MISSING

    async def look(self, name: str, text: str) -> ProofAnswer:
        """As resolvers would say."""
        if self.silent:
            return ProofAnswer.UNKNOWN
        return ProofAnswer.SHOWN if self.shown.get(name) == text else ProofAnswer.MISSING


class Estate:
    """One operator and its surroundings; `until` turns it until something is so."""

    def __init__(self, world: World, server: ApiServer, client: Client, offer: DomainOffer) -> None:
        self.offer = offer
        self.world, self.server = world, server
        self.now_s = float(START_S)
        self.provider, self.texts = ZoneProvider(), Texts()
        self.authority = Authority(lambda: from_epoch(self.now_s))
        self.root_key = AwayRootKey(ROOT)
        self.rung: set[Key] = set()
        self.objects, self.epoch, self.metrics = Objects(), Epoch(), Metrics()
        self.epoch.lead(world.epoch)
        self.client = client
        self.cluster = Cluster(client, self._ring, more=watched(offer))
        self.naming: Naming
        self._zones: Zones

    async def start(self) -> None:
        """A new leader: nothing of the last one's memory."""
        database = self.world.database
        rows = ZoneRows(database)
        self._zones = Zones(
            offer=self.offer, platform_id=await rows.platform_id(), provider=self.provider, rows=rows,
            epoch=lambda: self.epoch.current, ring=self._ring, metrics=self.metrics, clock=lambda: self.now_s,
        )  # fmt: skip
        keys = Keyring(RootKeys([self.root_key]), OwnerKeys(database), open_max=0)  # each opening asks its keeper
        ground = Ground(
            settings=Settings(), database=database, client=self.client, keyring=keys,
            objects=self.objects, world=self.cluster, applier=Applier(self.client, self.cluster), epoch=self.epoch,
            ring=self._ring, metrics=self.metrics, clock=lambda: self.now_s,
        )  # fmt: skip
        self.naming = assemble(
            ground, self.offer, self._zones, dict.fromkeys(self.offer.issuers, self.authority), self.texts
        )
        self.rung |= set(self.objects.keys("Domain"))

    def _ring(self, key: Key, _urgent: bool) -> None:
        self.rung.add(key)

    async def agent(self, tenant: str, name: str = "helper") -> str:
        """An agent that runs and serves HTTP; returns its uid."""
        if tenant not in self.world.tenants:
            await self.world.wallet(tenant, micros=10_000_000)
        uid = await self.world.agent(name, wallet=tenant)
        spec = {"image": "x", "size": "small", "http": {"port": 8080}}
        metadata = {"name": name, "namespace": f"mn-{tenant}", "uid": uid, "generation": 1}
        self.objects.put({**_kind(kinds.AGENT), "metadata": metadata, "spec": spec})
        self.ready(tenant, uid, name)
        return uid

    def ready(self, tenant: str, uid: str, name: str = "helper", *, ready: bool = True) -> None:
        """Its pod is ready, or no longer."""
        owner = {"apiVersion": "moorage.dev/v1alpha1", "kind": "Agent", "name": name, "uid": uid, "controller": True}
        labels = {"moorage.dev/managed": "true", "moorage.dev/component": "agent"}
        metadata = {"name": f"{name}-1", "namespace": f"mn-{tenant}", "labels": labels, "ownerReferences": [owner]}
        state = {"type": "Ready", "status": "True" if ready else "False"}
        self.server.put(kinds.POD, {"metadata": metadata, "spec": {}, "status": {"conditions": [state]}})

    def apply(self, tenant: str, name: str, hostname: str, **spec: Any) -> Key:
        """A tenant applies a Domain."""
        manifest = {
            "metadata": {"name": name, "namespace": f"mn-{tenant}", "generation": 1, "uid": str(uuid.uuid4())},
            "spec": {"hostname": hostname, "agentRef": {"name": "helper"}, **spec},
        }
        key = Key("Domain", f"mn-{tenant}", name)
        self._keep(self.server.put(kinds.DOMAIN, manifest))
        self.rung.add(key)
        return key

    def delete(self, key: Key) -> None:
        """A tenant deletes it; it stays until its finalizer is gone."""
        found = self.server.objects[kinds.DOMAIN.plural, key.namespace, key.name]
        if not found["metadata"].get("finalizers"):
            self.vanish(key)
            return
        self._keep(
            self.server.put(
                kinds.DOMAIN, {**found, "metadata": found["metadata"] | {"deletionTimestamp": "2026-05-01"}}
            )
        )
        self.rung.add(key)

    def show(self, key: Key) -> None:
        """Its tenant sets the record that proves the name."""
        challenge = self.status(key)["challenge"]
        self.texts.shown[challenge["name"]] = challenge["value"]

    def exists(self, key: Key) -> bool:
        """Whether the object is still there."""
        return (kinds.DOMAIN.plural, key.namespace, key.name) in self.server.objects

    def vanish(self, key: Key) -> None:
        """Somebody removes the finalizer, and the object with it, while nobody looks."""
        self.server.remove(kinds.DOMAIN, key.namespace, key.name)
        self.objects.forget(key)

    async def suspend(self, tenant: str, name: str = "helper", *, state: str = "Suspended") -> None:
        """Its agent is suspended, or runs again."""
        await self.world.sql.execute(
            "UPDATE moorage.agent SET state = $3 WHERE namespace = $1 AND name = $2", f"mn-{tenant}", name, state
        )

    def status(self, key: Key) -> dict[str, Any]:
        """Its status."""
        found: dict[str, Any] = self.server.objects[kinds.DOMAIN.plural, key.namespace, key.name].get("status", {})
        return found

    def said(self, key: Key) -> dict[str, str]:
        """Its conditions: type → status/reason."""
        return {item["type"]: f"{item['status']}/{item['reason']}" for item in self.status(key).get("conditions", ())}

    def backend(self, key: Key) -> str | None:
        """The Service that requests are led to; None: there is no route."""
        route = self.server.objects.get((kinds.INGRESS.plural, key.namespace, f"domain-{key.name}"))
        return None if route is None else route["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]

    async def until(self, key: Key, ready: str) -> None:
        """Turn until `Ready` says this."""
        for _ in range(TURNS_MAX):
            if self.exists(key) and self.said(key).get("Ready") == ready:
                return
            await self.turn()
        raise AssertionError(f"{key} says {self.said(key)}, not {ready}")

    async def turn(self, seconds: float = 1.0) -> None:
        """A second passes: everything that rang is looked at, and every keeper has its turn."""
        self.now_s += seconds
        await self.world.at(self.now_s)
        for key in list(self.objects.keys("Domain")):
            if (found := self.server.objects.get((kinds.DOMAIN.plural, key.namespace, key.name))) is not None:
                self._keep(found)
            else:
                self.objects.forget(key)
        keys = self.rung | set(self.objects.keys("Domain"))
        self.rung = set()
        for key in sorted(keys):
            if reconcile := self.naming.reconciles.get(key.kind):
                await reconcile(key)
        for name in ("keep_zones", "keep_certificates", "renew_domains"):
            await self.naming.steps[name]()
        for _ in range(LOOPS):  # the played server's watches
            await asyncio.sleep(0)

    def _keep(self, manifest: dict[str, Any]) -> None:
        self.objects.put({**_kind(kinds.DOMAIN), **manifest})


def _kind(kind: kinds.Kind) -> dict[str, str]:
    return {"apiVersion": kind.api_version, "kind": kind.kind}


@contextlib.asynccontextmanager
async def opened(world: World, offer: DomainOffer = OFFER) -> AsyncIterator[Estate]:
    """A platform that leads."""
    server = ApiServer()
    async with server.serving() as client:
        estate = Estate(world, server, client, offer)
        running = asyncio.create_task(estate.cluster.run())
        try:
            await estate.cluster.listed()
            await estate.start()
            yield estate
        finally:
            running.cancel()
            await asyncio.wait([running])
