"""Movers of the fake node: its pods run nothing, so the mover's real program runs here, with that very pod's token."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any  # manifests

from moorage.kube import kinds
from moorage.model import names
from tests.bench.wire import Refused, Wire

DATA_BYTES = 1_000_000
TOKEN_SECONDS = 600
SERVICE_ACCOUNTS = "/api/v1/namespaces/{}/serviceaccounts/{}/token"


class PlayedMovers:
    """Runs a program for every mover pod that becomes ready, over the same small folder of data."""

    def __init__(self, wire: Wire, root: Path, folder: Path) -> None:
        self._wire = wire
        self._root = root
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[str] = set()
        self.failed = 0

    async def __aenter__(self) -> "PlayedMovers":
        """From now on."""
        data = self._folder / "data"
        data.mkdir(parents=True)
        (data / "memory").write_bytes(os.urandom(DATA_BYTES))
        path = kinds.collection_path(kinds.POD)
        self._start(self._follow(path, await self._wire.version(path)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever is at work ends with this."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Any) -> None:  # Any: a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, path: str, version: str) -> None:
        async for events in self._wire.watch(path, version):
            for event in events:
                name = event.object.metadata.name
                ready = event.type != "DELETED" and event.object.holds("Ready")
                if ready and name.startswith("mover-") and name not in self._begun:
                    self._begun.add(name)
                    self._start(self._play(event.object.metadata.namespace, name))

    async def _play(self, namespace: str, name: str) -> None:
        pod = await self._wire.get(kinds.object_path(kinds.POD, namespace, name))
        (container,) = pod["spec"]["containers"]
        token = self._folder / f"{name}.token"
        with contextlib.suppress(Refused):  # the pod went meanwhile: called off
            token.write_text(await self._token(namespace, pod))
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, *container["command"][1:]),
                env={
                    **{entry["name"]: entry["value"] for entry in container["env"]},
                    "PATH": os.defpath,
                    "PYTHONPATH": str(self._root / "operator"),
                    "MOORAGE_MOVER_TOKEN_FILE": str(token),
                    "MOORAGE_MOVER_FOLDER": str(self._folder / "data"),
                },
                stderr=asyncio.subprocess.DEVNULL,
            )
            self.failed += await child.wait() != 0

    async def _token(self, namespace: str, pod: dict[str, Any]) -> str:
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        spec = {"audiences": [names.MOVER_AUDIENCE], "expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICE_ACCOUNTS.format(namespace, names.MOVER_SERVICE_ACCOUNT)
        answer = await self._wire.call("POST", path, body)
        return str(answer["status"]["token"])
