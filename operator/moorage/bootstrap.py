"""Builds pool, clients and services per process; the only place that knows all of them."""

import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509

from moorage import naming, offering, operation
from moorage import settings as knobs
from moorage.clockwork import Operation
from moorage.controllers.actuator import Actuator
from moorage.controllers.agent import AgentController
from moorage.controllers.herald import Herald
from moorage.controllers.journeys import Journeys
from moorage.controllers.leading import Epoch
from moorage.controllers.namespace import NamespaceController
from moorage.controllers.objects import Objects
from moorage.controllers.wallet import WalletController
from moorage.controllers.workqueue import KeyedQueue
from moorage.jobs.prove_snapshots import ProveSnapshots
from moorage.kube import login
from moorage.kube.apply import Applier
from moorage.kube.client import Client
from moorage.kube.events import Events
from moorage.kube.observe import World
from moorage.kube.policies import Policies
from moorage.kube.routes import watched
from moorage.kube.tokens import KubernetesTokenReviewer
from moorage.model.names import Key
from moorage.model.offer import Platform
from moorage.observability import Metrics
from moorage.operation import Reconcile
from moorage.probes import Health, ProbeServer
from moorage.providers.folder_objects import FolderObjects
from moorage.providers.ports import ObjectStore
from moorage.providers.recorded_notices import RecordedNotices
from moorage.services import name_services, object_stores, root_keys
from moorage.services.frozen_copies import FrozenCopies
from moorage.services.keyring import Keyring
from moorage.services.mover_sessions import MoverSessions
from moorage.services.purges import Purges
from moorage.services.restore_tests import RestoreTests
from moorage.services.scratch import Scratch
from moorage.services.snapshots import Snapshots
from moorage.services.witness import Witness
from moorage.settings import Settings
from moorage.store import connecting, migrate, schema
from moorage.store.agents import Agents
from moorage.store.catalogue import Catalogue
from moorage.store.database import VERIFY_ROLE, Database
from moorage.store.leader import Leadership
from moorage.store.ledger import Ledger
from moorage.store.lineage import Lineage
from moorage.store.meters import Meters
from moorage.store.outbox import Outbox
from moorage.store.owner_keys import OwnerKeys
from moorage.store.purges import PurgeRows
from moorage.store.seals import Seals
from moorage.store.tenants import Tenants
from moorage.store.visits import Visits

log = logging.getLogger(__name__)

PROOF_CONNECTIONS, SCHEMA_SECONDS_MAX = 2, 300.0

loop_factory = uvloop.new_event_loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What operator and API share."""

    database: Database
    client: Client
    keyring: Keyring
    store: ObjectStore
    credentials: login.Credentials
    names: name_services.NameServices | None


@contextlib.asynccontextmanager
async def _foundation(settings: Settings, metrics: Metrics) -> AsyncIterator[Foundation]:
    """Open database, cluster and object store; what is wrong with a setting is said before anything starts."""
    knobs.required(settings, "database_url", *object_stores.required(settings))
    root_keys.check(settings)
    credentials = login.from_environment()
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            connecting.database(settings.database_url, size_max=settings.database_connections_max)
        )
        await schema.require_current(database)
        keyring = Keyring(await stack.enter_async_context(root_keys.opened(settings)), OwnerKeys(database))
        await keyring.require()
        store = await stack.enter_async_context(object_stores.opened(settings, keyring))
        client = await stack.enter_async_context(Client.connect(credentials, observed=_count(metrics)))
        names = await stack.enter_async_context(name_services.opened(settings, database, metrics))
        yield Foundation(
            database=database, client=client, keyring=keyring, store=store, credentials=credentials, names=names
        )


def _count(metrics: Metrics) -> Callable[[str, str, int, float], None]:
    def observed(verb: str, resource: str, code: int, _seconds: float) -> None:
        metrics.api_calls.labels(verb, resource, str(code)).inc()

    return observed


async def run_operator(settings: Settings) -> None:
    """Stand by, lead, reconcile; returns after SIGTERM, raises when the process must be replaced."""
    knobs.required(settings, "mover_image", "mover_api_url")
    metrics, health = Metrics(), Health()
    probes = ProbeServer(settings.operator_probe_listen, health, metrics.registry)
    probes.start()
    try:
        health.waiting_for = "database, object store and API server"
        async with (
            _foundation(settings, metrics) as base,
            connecting.database(settings.database_url, size_max=PROOF_CONNECTIONS, role=VERIFY_ROLE) as proof,
        ):
            await operation.run(_operation(settings, base, proof, metrics, health))
    finally:
        probes.stop()


def _operation(settings: Settings, base: Foundation, proof: Database, metrics: Metrics, health: Health) -> Operation:
    """Wire the operator: bells on one side, reconciles on the other, the queue between."""
    witness = Witness(lineage=Lineage(base.database), seals=Seals(proof), store=base.store, keyring=base.keyring)
    epoch, objects, platform = Epoch(), Objects(), offering.platform(settings)
    controllers: dict[str, Reconcile] = {}
    queue: KeyedQueue[Key] = KeyedQueue(
        operation.measured(controllers, metrics, random.Random()),  # noqa: S311  # spreads load, hides nothing
        lane_of=_lane,
        workers=settings.reconcile_workers,
        per_lane=settings.reconcile_per_tenant,
    )
    queue.waited = metrics.queue_wait_seconds.observe
    world = World(base.client, queue.add, more=watched(platform.domains), restarted=operation.restarts(metrics))
    herald = Herald(Events(base.client, knobs.instance(settings)), metrics)
    applier = Applier(base.client, world, told=herald.written)
    snapshots = Snapshots(database=base.database, store=base.store, keyring=base.keyring)
    agents, ledger, tenants = Agents(base.database), Ledger(base.database), Tenants(base.database)
    meters, copies = Meters(base.database), FrozenCopies(database=base.database, client=base.client)
    policies = Policies(base.client, settings.platform_namespace)
    purges = Purges(rows=PurgeRows(base.database), store=base.store, notices=RecordedNotices(), metrics=metrics)
    actuator = Actuator(
        client=base.client, applier=applier, agents=agents, ledger=ledger, meters=meters, platform=platform,
        epoch=epoch, ring=queue.add, snapshots=snapshots, copies=copies, purges=purges,
        snapshot_grace=timedelta(days=settings.snapshot_grace_days), metrics=metrics,
    )  # fmt: skip
    controllers["Agent"] = AgentController(
        objects=objects, world=world, applier=applier, agents=agents, ledger=ledger, actuator=actuator,
        journeys=Journeys(metrics), platform=platform, epoch=epoch, freezable=lambda: copies.storage_classes,
        guarded=policies.in_force,
        warm_window=timedelta(seconds=settings.warm_window_seconds),
        node_lost_after=timedelta(seconds=settings.node_lost_seconds),
        grace=timedelta(days=settings.purge_grace_days),
    ).reconcile  # fmt: skip
    ground = naming.Ground(
        settings=settings, database=base.database, client=base.client, keyring=base.keyring, objects=objects,
        world=world, applier=applier, epoch=epoch, ring=queue.add, metrics=metrics,
    )  # fmt: skip
    names = naming.build(ground, platform.domains, base.names)
    controllers.update({**_of_owners(ground, platform, tenants, ledger), **names.reconciles})
    return Operation(
        settings=settings, platform=platform, client=base.client, credentials=base.credentials, database=base.database,
        agents=agents, ledger=ledger, meters=meters, leadership=Leadership(base.database, knobs.instance(settings)),
        outbox=Outbox(base.database), snapshots=snapshots, copies=copies, policies=policies, purges=purges,
        prove_snapshots=_prove_snapshots(settings, base, metrics, epoch), witness=witness, proof=proof, herald=herald,
        naming=names.steps,
        world=world, objects=objects, queue=queue, ring=queue.add, epoch=epoch, metrics=metrics, health=health,
    )  # fmt: skip


def _of_owners(ground: naming.Ground, platform: Platform, tenants: Tenants, ledger: Ledger) -> dict[str, Reconcile]:
    shared: Any = {"objects": ground.objects, "applier": ground.applier, "epoch": ground.epoch}
    namespaces = NamespaceController(
        **shared, world=ground.world, client=ground.client, tenants=tenants, ledger=ledger, platform=platform
    )
    wallets = WalletController(**shared, ledger=ledger, tenants=tenants)
    return {"Namespace": namespaces.reconcile, "Wallet": wallets.reconcile}


def _prove_snapshots(settings: Settings, base: Foundation, metrics: Metrics, epoch: Epoch) -> ProveSnapshots:
    catalogue = Catalogue(base.database)
    scratch = Scratch(settings.scratch_folder, settings.scratch_bytes_max)
    tests = RestoreTests(catalogue, base.store, base.keyring, scratch)
    return ProveSnapshots(catalogue, base.store, tests, metrics, lambda: epoch.current)


def _lane(key: Key) -> str:
    """Tenants take turns: an agent's lane is its namespace."""
    return key.namespace or key.kind


async def run_api(settings: Settings) -> None:
    """Serve HTTP until SIGTERM."""
    from moorage.web import serving  # noqa: PLC0415  # the operator does not carry the web framework
    from moorage.web.app import create_app, create_waiting  # noqa: PLC0415

    knobs.required(settings, "api_tls_cert_file", "api_tls_key_file")
    metrics = Metrics()
    async with _foundation(settings, metrics) as base:
        app = create_app(
            mover_sessions=MoverSessions(database=base.database, store=base.store, keyring=base.keyring),
            token_reviews=KubernetesTokenReviewer(base.client),
            database=base.database,
            metrics=metrics,
            folder=base.store if isinstance(base.store, FolderObjects) else None,
        )
        metrics.certificate_expiry.set(_expiry(settings.api_tls_cert_file))
        waiting = create_waiting(Visits(base.database), metrics) if settings.domain_zone else None
        await serving.serve(settings, app, waiting)


def _expiry(certificate_file: Path | None) -> float:
    """When a certificate ends, in Unix time; what is served is what was read at the start."""
    text = knobs.read_file(certificate_file, "api_tls_cert_file")
    try:
        return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise knobs.SettingsError("MOORAGE_API_TLS_CERT_FILE must hold a certificate in PEM") from error


async def run_migrate(settings: Settings) -> None:
    """Apply what is missing of the schema and say what was done."""
    knobs.required(settings, "database_url")
    applied = await migrate.migrate(settings.migration_url or settings.database_url)
    log.info("schema is up to date", extra={"applied": applied})


async def run_await_schema(settings: Settings) -> None:
    """Return as soon as the schema is this version's."""
    knobs.required(settings, "database_url")
    await schema.wait_current(settings.database_url, seconds_max=SCHEMA_SECONDS_MAX)


PROCESSES: dict[str, Callable[[Settings], Coroutine[Any, Any, None]]] = {
    "operator": run_operator,
    "api": run_api,
    "migrate": run_migrate,
    "await-schema": run_await_schema,
}
