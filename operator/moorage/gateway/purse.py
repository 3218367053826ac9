"""One lease as its gateway sees it between two reports: what is spent, what is promised, what is free."""

from dataclasses import dataclass, field

from moorage.billing import slices
from moorage.model.money import PICOS_PER_MICRO
from moorage.model.spending import Lease


@dataclass(slots=True)
class Recent:
    """What was spent in the last few seconds: a full window and the one that is filling."""

    began_s: float
    picos: int = 0
    before_picos: int = 0

    def add(self, picos: int, now_s: float) -> None:
        """Count a request that ended."""
        self._turn(now_s)
        self.picos += picos

    def micros(self, now_s: float) -> int:
        """The larger of both windows, so that a burst is not forgotten when one begins."""
        self._turn(now_s)
        return max(self.picos, self.before_picos) // PICOS_PER_MICRO

    def _turn(self, now_s: float) -> None:
        age_s = now_s - self.began_s
        if age_s >= slices.SLICE_SECONDS:
            self.before_picos = self.picos if age_s < 2 * slices.SLICE_SECONDS else 0
            self.picos, self.began_s = 0, now_s


@dataclass(slots=True)
class Purse:
    """The money of one lease; requests that ended are spent from it at once, reported or not."""

    lease_id: str
    granted_picos: int
    used_s: float  # when it was last used, on the gateway's own clock
    renewed_s: float
    spent_picos: int = 0
    promised_picos: int = 0
    revoked: bool = False  # its wallet stops: nothing new is admitted
    recent: Recent = field(default_factory=lambda: Recent(0.0))

    @property
    def free_picos(self) -> int:
        """What the next request may be promised."""
        return 0 if self.revoked else self.granted_picos - self.spent_picos - self.promised_picos

    @property
    def needed_micros(self) -> int:
        """What must stay set aside for what is spent or promised."""
        return slices.whole_micros(self.spent_picos + self.promised_picos)

    def free_after(self, lease: Lease) -> int:
        """What would be free if the ledger's answer were taken over."""
        return lease.granted_micros * PICOS_PER_MICRO - self.spent_picos - self.promised_picos

    def answered(self, lease: Lease) -> None:
        """Take over what the ledger said."""
        self.granted_picos = lease.granted_micros * PICOS_PER_MICRO
        self.revoked = self.revoked or lease.asked_back
