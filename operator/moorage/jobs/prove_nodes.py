"""The proof loop: how far each node is known to have run, from its Lease; nothing is charged beyond."""

from collections.abc import Callable, Mapping

from moorage.store.ledger import Ledger

LOOK_SECONDS = 2.0
# Written again even when no Lease moved, so that the ledger notices the nodes that fell silent.
WRITE_AT_LEAST_SECONDS = 20.0


class ProveNodes:
    """Hands node proofs to the ledger when they have moved."""

    def __init__(self, ledger: Ledger, proofs: Callable[[], Mapping[str, int]], epoch: Callable[[], int]) -> None:
        self._ledger = ledger
        self._proofs = proofs
        self._epoch = epoch
        self._written: Mapping[str, int] = {}
        self._idle_seconds = 0.0

    async def prove(self) -> float:
        """Write the proofs if there is news."""
        proofs = self._proofs()
        self._idle_seconds += LOOK_SECONDS
        if proofs != self._written or self._idle_seconds >= WRITE_AT_LEAST_SECONDS:
            await self._ledger.prove(epoch=self._epoch(), proofs=proofs)
            self._written, self._idle_seconds = dict(proofs), 0.0
        return LOOK_SECONDS
