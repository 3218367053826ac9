"""Certificates that were given up are taken back by their issuers, as far as issuers can be reached."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from moorage.lifecycle.certificate import AFTER_REVOCATION
from moorage.model.domain import Issuer
from moorage.model.errors import NotAsked, Permanent, Transient
from moorage.observability import Metrics
from moorage.providers.ports import CertificateIssuer
from moorage.store.certificates import CertificateRows, Revocation

log = logging.getLogger(__name__)

BATCH = 20
CALL_SECONDS_MAX = 60.0
FAILURES_MAX = 30  # some weeks


class Revocations:
    """Works on the table `certificate_revocation`."""

    def __init__(
        self,
        *,
        rows: CertificateRows,
        issuers: Mapping[Issuer, CertificateIssuer],
        epoch: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._rows = rows
        self._issuers = issuers
        self._epoch = epoch
        self._metrics = metrics

    async def work(self) -> None:
        """Ask for what is due; a failure is tried again, less and less often, until the certificate is over.

        Raises NotAsked where an issuer may not be asked now.
        """
        for gone in await self._rows.forget_over(epoch=self._epoch(), failures_max=FAILURES_MAX):
            log.warning("a certificate was never revoked", extra={"certificate": gone})
        while due := await self._rows.revocations(BATCH):
            for one in due:
                await self._take_back(one)

    async def _take_back(self, one: Revocation) -> None:
        taken = await self._is_taken_back(one)
        self._metrics.certificates.labels(one.issuer.value, "revoked" if taken else "not_revoked").inc()
        if taken:
            await self._rows.revoked(epoch=self._epoch(), one=one)
        else:
            await self._rows.put_off(
                epoch=self._epoch(), one=one,
                first_seconds=AFTER_REVOCATION.first_seconds, max_seconds=AFTER_REVOCATION.max_seconds,
            )  # fmt: skip

    async def _is_taken_back(self, one: Revocation) -> bool:
        issuer = self._issuers.get(one.issuer)
        if issuer is None:  # no longer set up here; it may be again
            return False
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                await issuer.revoke(one.certificate_id, one.chain_pem)
        except NotAsked:  # that is no failure: all wait for the next look
            raise
        except (Permanent, Transient, TimeoutError) as error:
            log.warning(
                "a certificate was not revoked", extra={"certificate": one.certificate_id, "why": type(error).__name__}
            )
            return False
        return True
