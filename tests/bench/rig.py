"""The benchmarks' own cluster: a developer's is never touched, and every round begins with nothing in it."""

import asyncio
import concurrent.futures
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from dev import (
    cluster,
    control_plane,
    environment,
    identity,
    netns,
    platform,
    preflight,
    processes,
    progress,
    release,
    services,
    toolchain,
)
from dev.layout import RUN_BASE, Layout
from dev.postgres import DATABASE
from dev.trouble import Trouble
from moorage.kube import kinds
from moorage.kube.kinds import Kind
from moorage.model import names
from moorage.store.database import Database
from moorage.store.ledger import Ledger
from tests.bench import fake_node
from tests.bench.wire import BREAK_GLASS, Refused, Wire, eventually

T = TypeVar("T")

OPERATOR_METRICS = "http://127.0.0.1:8081/metrics"
NO_IMAGE = "localhost/bench:none"
STATIC_CLASS = "bench-static"
TENANT = "bench"
CORE = names.core_namespace(TENANT)
BARE = "bench-bare"
CREDIT_MICROS = 10_000_000_000
RAISED_CALLS = 500
MERGE = "application/merge-patch+json"
GONE_SECONDS_MAX = 300


@dataclass(frozen=True)
class Rig:
    """A running cluster and the settings its operator is started with."""

    layout: Layout
    token: str
    """Of an account that may do everything: the load's."""
    platform_image: str = NO_IMAGE
    agent_image: str = NO_IMAGE
    profile: Path | None = None
    """Where the operator's own samples go at its end; it is slower then, so no number of such a run counts."""

    def settings(self, **wanted: Any) -> dict[str, str]:  # Any: whatever becomes JSON
        """The operator's settings; keyword arguments are settings without their prefix, texts or JSON values."""
        given = {f"MOORAGE_{name.upper()}": text(value) for name, value in wanted.items()}
        return environment.of_programs(self.layout, self.platform_image, self.agent_image) | given

    def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine on the node's own network: a relay between load and API server would be measured too."""

        def run() -> T:
            netns.enter(self.layout.netns)

            async def main() -> T:
                return await work()

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(main())

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(run).result()

    def start_operator(self, settings: Mapping[str, str]) -> None:
        """Start the operator and wait until it is ready."""
        self.launch_operator(settings)
        platform._wait_ready(self.layout, "operator")

    def launch_operator(self, settings: Mapping[str, str]) -> None:
        """Start the operator's process."""
        if self.profile is None:
            platform.start_program(self.layout, "operator", dict(settings))
        else:
            argv = [sys.executable, "-m", "tests.bench.sampled", str(self.profile), "operator"]
            path = f"{self.layout.root / 'operator'}:{self.layout.root}"
            processes.start(self.layout, "operator", argv, inside=True, env={**settings, "PYTHONPATH": path})

    def start_api(self, settings: Mapping[str, str]) -> None:
        """Start the API, which movers talk to."""
        platform.start_program(self.layout, "api", dict(settings))
        platform._wait_ready(self.layout, "api")

    def stop_operator(self, *, grace_seconds: float = 10.0) -> None:
        """End the operator; without grace it is killed."""
        processes.stop(self.layout, "operator", grace_seconds=grace_seconds)

    def limit_calls(self, *, raised: bool) -> None:
        """How often scheduler and each controller may call the API server: Kubernetes' defaults, or out of the way.

        By default the scheduler binds at most 50 pods per second, and the controller that binds volumes makes 20 of
        its five calls per volume: then that is what a burst measures.
        """
        wanted = [f"--kube-api-qps={RAISED_CALLS}", f"--kube-api-burst={2 * RAISED_CALLS}"] if raised else []
        for name, argv in (
            ("kube-controller-manager", control_plane._controller_manager(self.layout)),
            ("kube-scheduler", control_plane._scheduler(self.layout)),
        ):
            processes.start(self.layout, name, [*argv, *wanted], inside=True)

    def empty(self) -> None:
        """Stop the operator, remove every object of ours by force, and make the database anew."""
        self.stop_operator(grace_seconds=5 if self.profile else 0)
        self.inside(self._remove_objects)
        # Also what the store has witnessed of the old database: nobody would lead the new one.
        for bucket in (self.layout.run / "store" / "objects").iterdir():
            shutil.rmtree(bucket)
        server = services._postgres(self.layout)
        server.psql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", database="postgres")
        server.psql(f"CREATE DATABASE {DATABASE}", database="postgres")
        platform.migrate(self.layout)

    def psql(self, sql: str) -> str:
        """Ask the database."""
        return services._postgres(self.layout).psql(sql)

    async def open_tenant(self, wire: Wire, *, micros: int = CREDIT_MICROS, agents: int = 10_000) -> None:
        """A funded wallet and a tenant with room for everything."""
        await wire.call("POST", kinds.collection_path(kinds.WALLET), wallet())
        await wire.call("POST", kinds.collection_path(kinds.TENANT_NAMESPACE), tenant(agents))
        await eventually("the tenant's readiness", 60, lambda: self.ready(wire, kinds.TENANT_NAMESPACE, TENANT))
        await self.grant(micros)
        # The quota controller must have looked, or the first pods are refused.
        await eventually("the quotas", 60, lambda: _quotas_counted(wire))

    async def grant(self, micros: int, key: str = "first") -> None:
        """Give the wallet credit."""
        database = await Database.connect(services.database_url(self.layout, on_host=False), size_max=1)
        try:
            await Ledger(database).grant(
                wallet_name=TENANT, amount_micros=micros, key=key, reason="benchmark", actor="bench"
            )
        finally:
            await database.close()

    async def ready(self, wire: Wire, kind: Kind, name: str, namespace: str = "") -> bool:
        """Whether an object says that it is Ready."""
        found = await wire.get(kinds.object_path(kind, namespace, name))
        said = found.get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in said)

    async def _remove_objects(self) -> None:
        async with Wire.connect(self.layout, self.token, who=BREAK_GLASS) as wire:
            for kind in (kinds.AGENT, kinds.TENANT_NAMESPACE, kinds.WALLET):
                await _unpin_all(wire, kind)
            await asyncio.gather(*(_remove_namespace(wire, name) for name in (CORE, BARE)))
            await wire.call("DELETE", "/api/v1/persistentvolumes?labelSelector=moorage-bench")
            await eventually("the end of the namespaces", GONE_SECONDS_MAX, lambda: _namespaces_gone(wire))


@contextmanager
def cluster_of_our_own(*, with_images: bool, keep: bool, profile: Path | None = None) -> Iterator[Rig]:
    """Bring it up, hand it out, and take it down unless it is to be kept for the next benchmark."""
    environ = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    here = Layout.of(Layout.current().root, environ)
    folder = os.environ.get("MOORAGE_DEV_DIR") or f"{RUN_BASE / here.run.name}-bench"
    layout = Layout.of(here.root, environ | {"MOORAGE_DEV_DIR": folder})
    with _only_benchmark(layout):
        preflight.check(layout)
        toolchain.build(layout)
        cluster.up(layout)
        layout = Layout.of(here.root, environ | {"MOORAGE_DEV_DIR": folder})  # ports may have been chosen just now
        try:
            with cluster.exclusive(layout):
                rig = replace(_with_platform(layout, with_images=with_images), profile=profile)
            yield rig
        finally:
            if not keep:
                platform.down(layout)
                cluster.down(layout, wipe=True)


@contextmanager
def _only_benchmark(layout: Layout) -> Iterator[None]:
    """Two of them in one cluster would empty it under each other's feet."""
    layout.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    with (layout.run / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Trouble("Wait until the other `make bench` of this clone has ended.") from error
        yield


def _with_platform(layout: Layout, *, with_images: bool) -> Rig:
    services.start(layout)
    with progress.step("install the charts, without pods"):
        release.install(layout, release.of_rights_only(), wait=False)
        identity.ensure(layout)
    with progress.step("start the fake node"):
        fake_node.start(layout)
    token = _load_account(layout)
    if not with_images:
        return Rig(layout, token)
    platform_image, agent_image = platform._images(layout)
    return Rig(layout, token, platform_image, agent_image)


def _load_account(layout: Layout) -> str:
    """The token of an account that may do everything."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bench", "namespace": "default"}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "bench", "namespace": "default"}],
    }
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": [account, binding]})
    cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", "-", input=objects)
    return cluster.kubectl(layout, "create", "token", "bench", "--namespace=default", "--duration=24h").strip()


def wallet() -> dict[str, Any]:
    """The one wallet."""
    return {"apiVersion": names.API_VERSION, "kind": "Wallet", "metadata": {"name": TENANT}, "spec": {}}


def tenant(agents: int, name: str = TENANT) -> dict[str, Any]:
    """A tenant of the one wallet."""
    quota = {"agents": agents, "cpu": "1000", "memory": "4Ti", "storage": "100Ti"}
    spec = {"walletRef": {"name": TENANT}, "quota": quota}
    return {"apiVersion": names.API_VERSION, "kind": "Namespace", "metadata": {"name": name}, "spec": spec}


def bare_namespace() -> dict[str, Any]:
    """A namespace of nobody: no quota, no policy, no Pod Security."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BARE}}


async def open_bare_namespace(wire: Wire) -> None:
    """Make it, with the account that pods need."""
    await wire.call("POST", "/api/v1/namespaces", bare_namespace())
    await eventually(
        "the default account", 30, lambda: exists(wire, f"/api/v1/namespaces/{BARE}/serviceaccounts/default")
    )


async def exists(wire: Wire, path: str) -> bool:
    """Whether there is something at a path."""
    try:
        await wire.get(path)
    except Refused:
        return False
    return True


async def _quotas_counted(wire: Wire) -> bool:
    if not await exists(wire, f"/api/v1/namespaces/{CORE}/serviceaccounts/default"):
        return False
    found = (await wire.get(kinds.collection_path(kinds.RESOURCE_QUOTA, CORE)))["items"]
    return bool(found) and all(quota.get("status", {}).get("hard") == quota["spec"]["hard"] for quota in found)


async def _unpin_all(wire: Wire, kind: Kind) -> None:
    """Delete all objects of a kind without asking their operator."""
    path = kinds.collection_path(kind)
    for item in (await wire.get(path))["items"]:
        own = kinds.object_path(kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        if item["metadata"].get("finalizers"):
            await wire.call("PATCH", own, {"metadata": {"finalizers": None}}, MERGE)
        if not kind.namespaced:
            await wire.call("DELETE", own)
    if kind.namespaced:
        for namespace in {item["metadata"]["namespace"] for item in (await wire.get(path))["items"]}:
            await wire.call("DELETE", kinds.collection_path(kind, namespace))


async def _remove_namespace(wire: Wire, name: str) -> None:
    if not await exists(wire, f"/api/v1/namespaces/{name}"):
        return
    await wire.call("DELETE", f"/api/v1/namespaces/{name}/pods", {"gracePeriodSeconds": 0})
    await wire.call("DELETE", f"/api/v1/namespaces/{name}")


async def _namespaces_gone(wire: Wire) -> bool:
    return not any([await exists(wire, f"/api/v1/namespaces/{name}") for name in (CORE, BARE)])


def text(value: Any) -> str:  # Any: whatever becomes JSON
    """A setting as its variable holds it."""
    return value if isinstance(value, str) else json.dumps(value)
