"""How kopf is embedded: its settings, storages that store nothing, and the login it shares with our client."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from moorage.kube.login import Authorization, Credentials


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-handled state: we compare with the world, not with the past."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002
        """No essence: saves a deep copy of the object per event."""
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:  # noqa: ARG002
        """Nothing was stored."""
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Keeps no handler progress: no handler of ours has any."""

    def fetch(self, *, key: str, body: kopf.Body) -> Any:  # noqa: ARG002
        """Nothing was stored."""
        return None

    def store(self, *, key: str, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Store nothing."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing to purge."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: Any) -> None:
        """Nothing to touch."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Nothing to clear."""
        return essence


class Patience:
    """The pauses between tries of one request, without end: an API server that is away, or that knows nobody's rights
    in its first seconds, must not end a process whose other half settles wallets."""

    def __iter__(self) -> Iterator[float]:
        """From half a second to eight."""
        return itertools.chain((0.5, 1.0, 2.0, 4.0), itertools.repeat(8.0))


def settings() -> kopf.OperatorSettings:
    """kopf as a doorbell: no scanning, no peering, no posting, no storage."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    chosen.watching.server_timeout = 290
    chosen.watching.client_timeout = 300
    chosen.watching.connect_timeout = 10
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = 500
    chosen.queueing.idle_timeout = 0.05
    chosen.queueing.error_delays = (1, 2, 5, 10)
    chosen.persistence.diffbase_storage = NoDiffBase()
    chosen.persistence.progress_storage = NoProgress()
    chosen.persistence.finalizer = "moorage.dev/kopf"  # nothing sets it; an accident would be recognisable
    chosen.persistence.consistency_timeout = 0
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = Patience()
    chosen.networking.enforce_retry_after = True
    chosen.execution.max_workers = 4
    chosen.process.ultimate_exiting_timeout = 60
    return chosen


def register_login(registry: kopf.OperatorRegistry, credentials: Credentials) -> None:
    """Let kopf use the same credentials as our client."""

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return connection_info(credentials)

    kopf.on.login(registry=registry, id="login")(login)


def connection_info(credentials: Credentials) -> kopf.ConnectionInfo:
    """The credentials in kopf's words."""
    header = Authorization(credentials).header() or ""
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_file,
        certificate_path=credentials.client_cert_file,
        private_key_path=credentials.client_key_file,
        token=header.removeprefix("Bearer ") or None,
        insecure=not credentials.verify,
        # A projected token is renewed long before its hour is over; kopf must read it again.
        expiration=datetime.now(UTC) + timedelta(minutes=10) if credentials.token_file else None,
    )
