"""Months of host names are set aside, paid and freed when their time has come."""

from collections.abc import Callable

from moorage.services.domain_months import DOMAINS_MAX, DomainMonths

RENEW_SECONDS = 5.0


class RenewDomains:
    """The renewal loop. The database's clock decides what is due; this only asks."""

    def __init__(self, months: DomainMonths, epoch: Callable[[], int]) -> None:
        self._months = months
        self._epoch = epoch

    async def renew(self) -> float:
        """Do what is due; looks again at once while there is more."""
        return 0.0 if await self._months.keep_due(epoch=self._epoch()) == DOMAINS_MAX else RENEW_SECONDS
