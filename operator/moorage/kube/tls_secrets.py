"""Secrets with certificates: written, removed, and never read."""

import time
from collections.abc import Callable, Mapping
from typing import Any

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
    """Remembers which certificate it wrote where, and when; nothing of the key."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._written: Recent[str, tuple[str, float]] = Recent(REMEMBERED_MAX)

    def is_written(self, namespace: str, name: str, *, fingerprint: str) -> bool:
        """Whether a Secret was written with this certificate not long ago; asked before the key is opened."""
        before = self._written.get(kinds.object_path(kinds.SECRET, namespace, name))
        return before is not None and before[0] == fingerprint and self._clock() - before[1] < AGAIN_SECONDS

    async def write(self, manifest: Mapping[str, Any], *, fingerprint: str) -> None:
        """Make a Secret be as the manifest says; the fingerprint is that of its certificate.

        Raises Permanent(NAME_TAKEN) when the tenant has a Secret of this name.
        """
        path, now = kinds.path_of(manifest), self._clock()
        try:
            await self._client.apply(path, manifest)  # the answer shows the key, and goes nowhere
        except failures.Refused as refusal:
            if refusal.status == 403:  # the policy: what is there is not ours
                raise Permanent(Reason.NAME_TAKEN, "a Secret of the tenant's has the name") from refusal
            raise
        self._written.put(path, (fingerprint, now))

    async def remove(self, namespace: str, name: str) -> bool:
        """Remove a Secret; False when there is none."""
        path = kinds.object_path(kinds.SECRET, namespace, name)
        self._written.drop(path)
        return await self._client.delete(path, uid=None)
