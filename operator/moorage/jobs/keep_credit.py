"""Given credit ends when it is over, and what paid for what is written down behind the charges."""

from moorage.store.wallets import GRANTS_PER_CALL_MAX, Wallets

EXPIRY_SECONDS = 60.0
CONSUMPTION_SECONDS = 3600.0


class KeepCredit:
    """Both are bookkeeping: late is fine, twice changes nothing."""

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets

    async def expire(self) -> float:
        """End what is over; looks again at once while there is more."""
        ended = await self._wallets.expire_credit()
        return 0.0 if ended == GRANTS_PER_CALL_MAX else EXPIRY_SECONDS

    async def consume(self) -> float:
        """Write down what was used up."""
        await self._wallets.record_consumption()
        return CONSUMPTION_SECONDS
