"""Months of host names: whoever has a Domain that is active pays its month, before it begins."""

from datetime import timedelta

from moorage.store.domain_months import DomainMonthRows

DOMAINS_MAX = 100


class DomainMonths:
    """What the clock asks for all Domains, and the reconcile of a Domain for one."""

    def __init__(self, *, rows: DomainMonthRows, unpaid_days: int) -> None:
        self._rows = rows
        self._unpaid_for = timedelta(days=unpaid_days)

    async def keep(self, *, epoch: int, uid: str) -> None:
        """Do what is due for one Domain now: its first month, when it has become active; again changes nothing."""
        await self._rows.keep(epoch=epoch, uid=uid, unpaid_for=self._unpaid_for)

    async def keep_due(self, *, epoch: int) -> int:
        """Do what is due for some Domains; returns how many were looked at."""
        due = await self._rows.due(DOMAINS_MAX)
        for uid in due:
            await self.keep(epoch=epoch, uid=uid)
        return len(due)
