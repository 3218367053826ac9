"""The books are sealed every hour, shown to the witness every minute, and checked every night."""

import logging
from collections.abc import Callable

from moorage.observability import Metrics
from moorage.services.witness import Witness
from moorage.store import ledger_verify
from moorage.store.database import Database
from moorage.store.seals import Seals

TELL_SECONDS = 60.0
SEAL_SECONDS = 3600.0
LOOK_SECONDS = 600.0
CHECK_EVERY_SECONDS = 86_400
FULL_CHECK_EVERY_SECONDS = 7 * 86_400
ACTOR = "nightly check"

log = logging.getLogger(__name__)


class ProveBooks:
    """Three pieces of work; `database` acts as moorage_verify. Nothing is repaired here."""

    def __init__(self, database: Database, witness: Witness, metrics: Metrics, epoch: Callable[[], int]) -> None:
        self._database = database
        self._seals = Seals(database)
        self._witness = witness
        self._metrics = metrics
        self._epoch = epoch

    async def tell(self) -> float:
        """Write down outside how far the ledger is; raises HistoryInDoubt, which ends the lead, when it went back."""
        self._epoch()
        await self._witness.tell()
        return TELL_SECONDS

    async def seal(self) -> float:
        """Seal what was booked since the last seal."""
        self._epoch()
        for made in await self._seals.seal():
            log.info("sealed", extra={"seal": made.no, "entries": made.entries, "hash": made.hash})
        self._metrics.ledger_sealed.set_to_current_time()
        return SEAL_SECONDS

    async def check(self) -> float:
        """Check every invariant when a day has passed since the last time, and everything anew once a week."""
        self._epoch()
        age, full_age, seal = await self._seals.last_checks()
        if age is not None and age < CHECK_EVERY_SECONDS:
            return min(LOOK_SECONDS, CHECK_EVERY_SECONDS - age)
        since = 0 if full_age is None or full_age >= FULL_CHECK_EVERY_SECONDS else seal
        head = await self._seals.head()
        checks = await ledger_verify.verify(self._database, since_seal=since)
        held = await self._seals.record(
            checks, since_seal=since, through_seal=max(since, head.no if head else 0), actor=ACTOR
        )
        broken = [check for check in checks if check.violations]
        self._metrics.ledger_violations.set(sum(check.violations for check in broken))
        self._metrics.ledger_checked.set_to_current_time()
        for check in broken:
            log.error("the books do not hold", extra={"invariant": check.id, "rows": check.examples, "held": held})
        return LOOK_SECONDS
