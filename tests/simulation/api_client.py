"""What the operator's client offers, over a wire to the cluster in memory; answers are parsed as the real one's are."""

import builtins  # the method `list` hides the type
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from moorage.kube import failures
from moorage.kube.wire import decoded
from moorage.model.errors import Unavailable
from moorage.model.names import FIELD_MANAGER, STATUS_FIELD_MANAGER
from tests.simulation import virtual_time
from tests.simulation.cluster import Cluster, Watcher, placed
from tests.simulation.wire import Wire

LATE, LATE_SECONDS_MAX = 0.3, 3.0
# Nothing ever changes about these: looking for them is neither slow nor does it fail, which saves half the time.
NOT_PLAYED = (
    "services",
    "configmaps",
    "namespaces",
    "networkpolicies",
    "resourcequotas",
    "serviceaccounts",
    "rolebindings",
)


class ApiClient:
    """As `kube.client.Client`."""

    def __init__(self, wire: Wire, cluster: Cluster) -> None:
        self._wire = wire
        self._cluster = cluster
        self._rng = wire.stage.chance(f"watches of {wire.life.name}")

    async def read(self, path: str) -> bytes | None:
        try:
            return await self._wire.call(f"GET {_resource(path)}", lambda: self._cluster.read(path))
        except failures.Missing:
            return None

    async def get(self, path: str, type_: Any) -> Any:
        body = await self.read(path)
        return None if body is None else decoded(type_, body)

    async def list(
        self, path: str, type_item: Any, *, label_selector: str | None = None, limit: int = 500
    ) -> tuple[Any, str]:
        if path.endswith(NOT_PLAYED):
            found, version = self._cluster.listed(path, managed_only=label_selector is not None)
            return [decoded(type_item, raw) for raw in found], str(version)
        found, version = await self._wire.call(
            f"LIST {_resource(path)}", lambda: self._cluster.listed(path, managed_only=label_selector is not None)
        )
        return [decoded(type_item, raw) for raw in found], str(version)

    async def apply(self, path: str, manifest: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> bytes:
        # Through JSON, as on the way to a server: what is stored shares nothing with what was sent.
        sent = msgspec.json.decode(msgspec.json.encode(manifest))
        return await self._write(f"APPLY {path}", lambda: self._cluster.apply(path, sent, manager))

    async def apply_status(self, path: str, manifest: Mapping[str, Any]) -> bytes:
        return await self.apply(f"{path}/status", manifest, manager=STATUS_FIELD_MANAGER)

    async def create(self, path: str, manifest: Mapping[str, Any]) -> bytes:
        sent = msgspec.json.decode(msgspec.json.encode(manifest))
        return await self._write(f"POST {path}/{sent['metadata']['name']}", lambda: self._cluster.create(path, sent))

    async def delete(
        self, path: str, *, uid: str, grace_period_seconds: int | None = None, propagation: str | None = None
    ) -> bool:
        return await self._write(f"DELETE {path}", lambda: self._cluster.delete(path, uid=uid))

    async def json_patch(self, path: str, ops: Sequence[Mapping[str, Any]]) -> bool:
        return await self._write(f"PATCH {path}", lambda: self._cluster.json_patch(path, ops))

    async def stream(
        self, path: str, query: Mapping[str, str], *, silence_seconds: float
    ) -> AsyncIterator[builtins.list[bytes]]:
        if path.endswith(NOT_PLAYED):
            await self._wire.stage.loop.create_future()
        plural, since = placed(path)[0][0], int(query["resourceVersion"])
        watcher = await self._wire.call(
            f"WATCH {_resource(path)}", lambda: self._cluster.watch(path, since, managed_only="labelSelector" in query)
        )
        try:
            while True:
                if not (watcher.mute or watcher.closed):
                    await watcher.news.wait()
                self._wire.life.point("in a watch")
                await self._under_way(watcher, silence_seconds)
                if watcher.closed:
                    if watcher.ended is not None:
                        raise watcher.ended
                    return
                if lines := self._cluster.lines(plural, watcher):
                    yield lines
        finally:
            if watcher in self._cluster.watchers[plural]:
                self._cluster.watchers[plural].remove(watcher)

    async def _under_way(self, watcher: Watcher, silence_seconds: float) -> None:
        if watcher.mute:
            await virtual_time.passed(silence_seconds)
            raise Unavailable("the watch is silent")
        if not self._wire.open:
            raise Unavailable("the watch broke")
        if not self._wire.stage.calm and self._rng.random() < LATE:
            await virtual_time.passed(LATE_SECONDS_MAX * self._rng.random())
        if self._wire.life.frozen is not None:
            await self._wire.life.frozen.wait()

    async def _write(self, what: str, work: Any) -> Any:
        verb, path = what.split(" ")

        def told() -> Any:
            before = self._cluster.version
            answer = work()
            if self._cluster.version != before:
                self._wire.stage.tell(self._wire.life.name, what)
            return answer

        return await self._wire.call(f"{verb} {_resource(path)}", told)


def _resource(path: str) -> str:
    (plural, _, _), sub = placed(path)
    return f"{plural}/{sub}" if sub else plural
