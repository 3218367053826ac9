"""The running platform as a test meets it: its cluster, its database, its command line, and its two processes."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import boto3

from dev import cluster as dev_cluster
from dev import control_plane, platform, processes, services
from dev.layout import Layout
from tests.e2e.cluster import Cluster

MICROS = 1_000_000
DEMO_MICROS_PER_SECOND = 5000  # what the size class `demo` of the local platform costs
READY_SECONDS_MAX = 120
COMMAND_SECONDS_MAX = 120
READING = {"GET", "LIST", "WATCH"}


@dataclass(slots=True)
class House:
    """Everything a test may do to the platform."""

    layout: Layout
    cluster: Cluster
    settings: Mapping[str, str]  # the operator's environment, as it was started
    _changed: bool = field(default=False)

    # The command line -------------------------------------------------------------------------------------------

    def moorage(
        self, *arguments: str, env: Mapping[str, str] | None = None, seconds: int = COMMAND_SECONDS_MAX
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command `moorage` as a person would."""
        ours = {services.DATABASE_VARIABLE: self.database_url, "KUBECONFIG": str(self.layout.kubeconfig)}
        return subprocess.run(
            [str(Path(sys.executable).parent / "moorage"), *arguments],
            env={**os.environ, **ours, **(env or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def grant(self, wallet: str, micros: int) -> None:
        """Book credit."""
        amount = str(Decimal(micros) / MICROS)
        done = self.moorage("wallet", "grant", wallet, amount, "--reason", "end-to-end test")
        assert done.returncode == 0, done.stderr

    def books_are_right(self) -> None:
        """Every invariant of the ledger holds."""
        done = self.moorage("ledger", "verify")
        assert done.returncode == 0, done.stdout + done.stderr

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl and return what it printed."""
        return dev_cluster.kubectl(self.layout, *arguments)

    # The database -----------------------------------------------------------------------------------------------

    @property
    def database_url(self) -> str:
        """The database's address on this side of the relay."""
        return services.database_url(self.layout, on_host=True)

    def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Ask the database."""

        async def ask() -> list[dict[str, Any]]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return [dict(row) for row in await connection.fetch(sql, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(ask())

    def row(self, sql: str, *arguments: object) -> dict[str, Any]:
        """The one row that a question has."""
        found = self.rows(sql, *arguments)
        assert len(found) == 1, found
        return found[0]

    def on_news(self, reached: str, *arguments: object, act: Callable[[], None], seconds: float) -> None:
        """Act in the moment in which the ledger announces that the SQL condition holds."""

        async def listen() -> None:
            connection = await asyncpg.connect(self.database_url)
            try:
                news = asyncio.Event()
                await connection.add_listener("moorage", lambda *_: news.set())
                async with asyncio.timeout(seconds):
                    while not await connection.fetchval(f"SELECT {reached}", *arguments):
                        await news.wait()
                        news.clear()
                act()
            finally:
                await connection.close()

        asyncio.run(listen())

    # The operator -----------------------------------------------------------------------------------------------

    def kill_operator(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        processes.stop(self.layout, "operator", grace_seconds=0)

    def start_operator(self, **settings: str) -> None:
        """Start the operator, with these settings changed, and wait until it is ready."""
        self._changed = bool(settings)
        platform.start_program(self.layout, "operator", {**self.settings, **settings})
        is_ready: Callable[[], bool] = lambda: platform.ready(self.layout, "operator")  # noqa: E731 -- only handed on
        processes.wait(self.layout, "operator", is_ready, seconds=READY_SECONDS_MAX, what="its readiness")

    def restore_operator(self) -> None:
        """Let the operator run as it was found."""
        if self._changed or not processes.alive(self.layout, "operator"):
            self.start_operator()

    def run_operator_once(self, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a second operator in the foreground; for settings with which it ends at once."""
        inside = processes.enter(self.layout) if services.places(self.layout).inside else []
        ours = {"PATH": os.environ["PATH"], **self.settings, "MOORAGE_OPERATOR_PROBE_LISTEN": "127.0.0.1:0"}
        return subprocess.run(
            [*inside, sys.executable, "-m", "moorage", "operator"],
            env={**ours, **settings},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )

    def writes(self) -> dict[str, int]:
        """What the operator has written to the API server since it was started, by verb and resource."""
        found: dict[str, int] = {}
        for of, value in self.metric("moorage_kubernetes_requests_total"):
            if of["verb"] not in READING:
                name = f"{of['verb']} {of['resource']}"
                found[name] = found.get(name, 0) + int(value)
        return found

    def metric(self, name: str) -> list[tuple[dict[str, str], float]]:
        """All series of a metric that the operator shows: labels and value."""
        url = f"http://127.0.0.1:{self.layout.port('probe')}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        rows = re.findall(rf"^{name}(?:\{{(.*)\}})? ([\d.e+-]+)$", text, re.M)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in rows]

    # The database and the API server ------------------------------------------------------------------------------

    @property
    def brings_database(self) -> bool:
        """Whether the database is somebody else's, so that nobody here stops it."""
        return bool(services.brought_database_url(self.layout))

    def stop_database(self) -> None:
        """Take the database away."""
        services.stop_database(self.layout)

    def start_database(self) -> None:
        """Bring it back."""
        services.start(self.layout)

    def stop_api_server(self) -> None:
        """Take the API server away, in the middle of whatever it does."""
        processes.stop(self.layout, "kube-apiserver", grace_seconds=0)

    def start_api_server(self) -> None:
        """Bring it back and wait until it is ready."""
        control_plane.start_api_server(self.layout)
        control_plane.wait_api_server(self.layout)

    # The object store -------------------------------------------------------------------------------------------

    @property
    def brings_store(self) -> bool:
        """Whether the object store is somebody else's, so that nobody here stops it."""
        return bool(os.environ.get(f"{services.STORE_PREFIX}ENDPOINT"))

    def stop_store(self) -> None:
        """Take the object store away."""
        processes.stop(self.layout, services.STORE, grace_seconds=0)

    def start_store(self) -> None:
        """Bring it back."""
        services.start(self.layout)

    def stored_bytes(self, object_key: str) -> int | None:
        """Size of an object in the store, None when there is none of this key."""
        endpoint = self.settings["MOORAGE_STORE_ENDPOINT"]
        if not self.brings_store and services.places(self.layout).inside:
            endpoint = f"http://127.0.0.1:{self.layout.port('s3')}"
        store = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=self.settings["MOORAGE_STORE_REGION"],
            aws_access_key_id=self.settings["MOORAGE_STORE_ACCESS_KEY"],
            aws_secret_access_key=Path(self.settings["MOORAGE_STORE_SECRET_KEY_FILE"]).read_text().strip(),
        )
        found = store.list_objects_v2(Bucket=self.settings["MOORAGE_STORE_BUCKET"], Prefix=object_key)
        return next((int(each["Size"]) for each in found.get("Contents", []) if each["Key"] == object_key), None)


def running(layout: Layout) -> House:
    """The platform of this clone; started, without its story, where it does not run."""
    if not platform.ready(layout, "operator") or not platform.ready(layout, "api"):
        platform.up(layout, with_story=False, from_source=True)
    # As it was started: so a restart is the same program with the same images, whatever has been edited since.
    environ = Path(f"/proc/{processes.pid_of(layout, 'operator')}/environ").read_bytes().decode().split("\0")
    settings = dict(entry.split("=", 1) for entry in environ if entry)
    ours = {name: value for name, value in settings.items() if name not in {"PATH", "HOME", "LANG"}}
    return House(layout, Cluster(str(layout.kubeconfig)), ours)


def said(answer: str) -> Any:
    """JSON that a program printed."""
    return json.loads(answer)
