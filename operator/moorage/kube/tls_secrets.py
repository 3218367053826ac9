"""Secrets with certificates: written, removed, and never read."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from moorage.kube import failures, kinds
from moorage.kube.client import Client
from moorage.kube.remembered import Recent
from moorage.model.errors import Permanent
from moorage.model.reasons import Reason

REMEMBERED_MAX = 10_000
# Nobody of ours may look whether a Secret still is as it was written, so it is written again from time to time; the
# server stores nothing where nothing has changed.
AGAIN_SECONDS = 3600.0


class TlsSecrets:
    """Writes what it has not written lately; remembers of a Secret no more than its hash."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._written: Recent[str, tuple[bytes, float]] = Recent(REMEMBERED_MAX)

    async def write(self, manifest: Mapping[str, Any]) -> bool:
        """Make a Secret be as the manifest says; whether it was written now.

        Raises Permanent(NAME_TAKEN) when the tenant has a Secret of this name.
        """
        path = kinds.path_of(manifest)
        wanted, now = hashlib.sha256(msgspec.json.encode(manifest)).digest(), self._clock()
        before = self._written.get(path)
        if before is not None and before[0] == wanted and now - before[1] < AGAIN_SECONDS:
            return False
        try:
            await self._client.apply(path, manifest)  # the answer shows the key, and goes nowhere
        except failures.Refused as refusal:
            if refusal.status == 403:  # the policy: what is there is not ours
                raise Permanent(Reason.NAME_TAKEN, "a Secret of the tenant's has the name") from refusal
            raise
        self._written.put(path, (wanted, now))
        return True

    async def remove(self, namespace: str, name: str) -> bool:
        """Remove a Secret; False when there is none."""
        path = kinds.object_path(kinds.SECRET, namespace, name)
        self._written.drop(path)
        return await self._client.delete(path, uid=None)
