"""The whole ledger as dicts and numbers: the seconds of the oracle, and payments, given credit, slices and holds."""

from dataclasses import dataclass

from tests.integration.money.oracle import PICOS, Oracle, Run, Wallet

SWEEP_S, HOLD_S, RECLAIM_S, HEADROOM_S = 120, 90, 2, 10
WINDOW_S, MONTH_S = 3 * 86_400, 28 * 86_400  # no script lives to see the end of a whole month


@dataclass
class Paid:
    """One payment from outside, as it is booked."""

    wallet: Wallet
    granted: int = 0
    refunded: int = 0
    disputed: int = 0
    lost: int = 0


@dataclass
class Credit:
    """What brought credit, and how much of it was spent; given credit ends."""

    wallet: Wallet
    micros: int
    payment: Paid | None = None
    expires: int | None = None
    expired: int | None = None
    used: int = 0

    @property
    def left(self) -> int:
        """What of it may still be spent."""
        paid = self.payment
        gone = (self.expired or 0) if paid is None else paid.refunded + paid.lost + paid.disputed
        return self.micros - gone - self.used


@dataclass
class Slice:
    """A lease, or the hold of one request."""

    wallet: Wallet
    granted: int
    expires: int
    spent: int = 0  # picos
    is_open: bool = True


@dataclass
class Months:
    """A host name that is paid in advance, month by month."""

    wallet: Wallet
    begins: int | None  # the month that is paid next; None: it begins when it is paid
    active: bool = True
    unpaid: bool = False
    paid: int = 0  # months
    held: int = 0


class Model(Oracle):
    """One ledger; wallets have the numbers 1, 2, … in the order in which they were added."""

    def __init__(self, *, now: int, catchup_max: int, silent_after: int, resume_minimum: int, grace: int = 0) -> None:
        super().__init__(
            now=now, catchup_max=catchup_max, silent_after=silent_after, resume_minimum=resume_minimum, grace=grace
        )
        self.stored: dict[str, Run] = {}
        self.by_pod: dict[str, Run] = {}
        self.payments: dict[str, Paid] = {}
        self.credits: list[Credit] = []
        self.reasons: dict[str, set[str]] = {}  # why a wallet is on hold
        self.leases: dict[str, Slice] = {}
        self.holds: dict[str, Slice] = {}
        self.requests: set[str] = set()
        self.months: dict[str, Months] = {}

    def look(self, wallet: Wallet) -> int:
        """The second at which a call looks at a wallet, which is charged up to it."""
        now = max(self.now, wallet.head)
        self._advance(wallet, now)
        return now

    # ------------------------------------------------------------------ money that comes and goes

    def grant(self, name: str, micros: int) -> None:
        """Credit without an end."""
        super().grant(name, micros)
        self.credits.append(Credit(self.wallets[name], micros))

    def pay(self, obj_id: str, name: str, *, granted: int, refunded: int, disputed: int, lost: int) -> None:
        """A payment is to be this now."""
        wallet = self.wallets[name]
        paid = self.payments.setdefault(obj_id, Paid(wallet))
        if (paid.granted, paid.refunded, paid.disputed, paid.lost) == (granted, refunded, disputed, lost):
            return
        self.settle(wallet)
        if not paid.granted and granted:
            self.credits.append(Credit(wallet, granted, payment=paid))
        was, paid.granted, paid.refunded, paid.disputed, paid.lost = (
            paid.granted - paid.refunded - paid.disputed - paid.lost, granted, refunded, disputed, lost)  # fmt: skip
        self._post(wallet, granted - refunded - disputed - lost - was)
        self._hold(wallet, obj_id, is_held=disputed > 0)
        self._conclude(wallet)

    def correct(self, name: str, micros: int) -> None:
        """Two people agree."""
        wallet = self.wallets[name]
        self.settle(wallet)
        self._post(wallet, micros)
        if micros > 0:
            self.credits.append(Credit(wallet, micros))
        self._conclude(wallet)

    def place_hold(self, name: str, ref: str) -> None:
        """A person stops a wallet."""
        wallet = self.wallets[name]
        self.look(wallet)
        self._hold(wallet, ref, is_held=True)
        self._decide(wallet)

    def lift_hold(self, name: str, ref: str) -> None:
        """The reason is over."""
        wallet = self.wallets[name]
        self.look(wallet)
        self._hold(wallet, ref, is_held=False)
        self._conclude(wallet)

    def _hold(self, wallet: Wallet, ref: str, *, is_held: bool) -> None:
        reasons = self.reasons.setdefault(self.name_of(wallet), set())
        (reasons.add if is_held else reasons.discard)(ref)
        wallet.on_hold = bool(reasons)

    def name_of(self, wallet: Wallet) -> str:
        """Its name."""
        return next(name for name, known in self.wallets.items() if known is wallet)

    def give(self, name: str, micros: int, expires: int) -> None:
        """Credit with an end; what was spent before is not paid by it."""
        wallet = self.wallets[name]
        self.settle(wallet)
        self.consume(wallet)
        self._post(wallet, micros)
        self.credits.append(Credit(wallet, micros, expires=expires))
        self._conclude(wallet)

    def consume(self, wallet: Wallet) -> None:
        """What was spent since the last time is paid by given credit first, the earliest to end before others."""
        own = [credit for credit in self.credits if credit.wallet is wallet]
        spent = wallet.moved - wallet.micros - sum(credit.used for credit in own)
        for credit in sorted(own, key=lambda one: (one.expires is None, one.expires)):
            if credit.left > 0 and spent > 0:
                part = min(spent, credit.left)
                credit.used, spent = credit.used + part, spent - part

    def expire(self) -> None:
        """What is left of given credit that is over goes, except what is set aside."""
        over = [one for one in self.credits if one.expires and one.expires <= self.now and one.expired is None]
        for credit in sorted(over, key=lambda one: (self._number(one.wallet), one.expires)):
            wallet = credit.wallet
            self.settle(wallet)
            self.consume(wallet)
            credit.expired = max(0, min(credit.left, wallet.micros - wallet.held))
            if credit.expired:
                self._post(wallet, -credit.expired)
                self._decide(wallet)

    def _number(self, wallet: Wallet) -> int:
        return list(self.wallets).index(self.name_of(wallet))

    # ------------------------------------------------------------------ money that is set aside

    def _awaits(self, wallet: Wallet, now: int) -> bool:
        free = sum(one.granted + -one.spent // PICOS for one in self.leases.values()
                   if one.is_open and one.wallet is wallet)  # fmt: skip
        asked = now if wallet.asked_back_at is None else wallet.asked_back_at
        in_time = wallet.held > 0 and not wallet.on_hold and now < asked + RECLAIM_S
        return in_time and wallet.picos + free * PICOS >= max(self.burn(wallet), 1)

    def burn(self, wallet: Wallet) -> int:
        """What its proven runs cost per second."""
        return sum(self.rate(run, wallet.head) for run in self.open_runs(wallet) if run.burning)

    def spare(self, wallet: Wallet) -> int:
        """What may be set aside."""
        if wallet.cut is not None or wallet.on_hold or wallet.asked_back_at is not None:
            return 0
        return max(0, (wallet.picos - self.burn(wallet) * HEADROOM_S) // PICOS)

    def payable(self, wallet: Wallet) -> int:
        """What a wallet can pay besides what its runs owe up to the cut."""
        owed = 0 if wallet.cut is None else self.burn(wallet) * (wallet.cut - wallet.head)
        return max(0, wallet.picos - owed)

    def _set_aside(self, wallet: Wallet, micros: int) -> None:
        wallet.held += micros
        wallet.picos -= micros * PICOS

    def open_lease(self, lease: str, name: str, want: int, at_least: int) -> None:
        """A slice, or nothing."""
        wallet = self.wallets[name]
        now = self.look(wallet)
        part = min(want, self.spare(wallet))
        if lease not in self.leases and part >= at_least:
            self.leases[lease] = Slice(wallet, part, now + SWEEP_S)
            self._set_aside(wallet, part)
        self._decide(wallet)

    def resize_lease(self, lease: str, target: int) -> None:
        """It grows as far as the wallet can spare, or shrinks."""
        one = self.leases.get(lease)
        if one is None or not one.is_open:
            return
        now = self.look(one.wallet)
        more = max(target, -(-one.spent // PICOS), 1) - one.granted
        more = min(more, self.spare(one.wallet))
        one.granted, one.expires = one.granted + more, now + SWEEP_S
        self._set_aside(one.wallet, more)
        (self._take_back if more < 0 else self._decide)(one.wallet)

    def close_lease(self, lease: str) -> None:
        """The rest comes back."""
        one = self.leases.get(lease)
        if one is not None and one.is_open:
            self.look(one.wallet)
            self._end(one)
            self._take_back(one.wallet)

    def _take_back(self, wallet: Wallet) -> None:
        if wallet.cut is None and wallet.asked_back_at is not None:
            self.settle(wallet)
        else:
            self._conclude(wallet)

    def _end(self, one: Slice) -> None:
        wallet, fraction = one.wallet, one.spent % PICOS
        self._set_aside(wallet, -(one.granted - one.spent // PICOS))
        paid = min(fraction, max(0, wallet.picos))
        wallet.picos -= paid
        one.spent -= fraction - paid
        one.is_open = False

    def flush(self, lease: str, requests: dict[str, int]) -> None:
        """Requests and their picos: each is paid once, out of its slice or as far as the wallet can."""
        one = self.leases.get(lease)
        if one is None:
            return
        picos = sum(cost for request, cost in requests.items() if request not in self.requests)
        if not requests.keys() - self.requests:
            return
        self.requests |= requests.keys()
        wallet = one.wallet
        is_covered = one.is_open and wallet.micros >= wallet.held
        paid = min(picos, one.granted * PICOS - one.spent) if is_covered else 0
        micros = (one.spent + paid) // PICOS - one.spent // PICOS
        if one.is_open:
            one.expires = self.now + SWEEP_S
        one.spent += paid
        floor = max(wallet.low_micros, 1) if wallet.standing == "Funded" else 1
        if picos == paid and wallet.micros - micros >= floor:
            wallet.held -= micros  # nothing can follow from it
            return
        self.look(wallet)
        wallet.held -= micros
        if picos > paid:
            if one.is_open and wallet.micros < wallet.held:
                self._end(one)
            if not one.is_open:
                wallet.picos -= min(picos - paid, self.payable(wallet))
        self._decide(wallet)

    def open_hold(self, request: str, name: str, micros: int) -> None:
        """The worst case of one request, or nothing."""
        wallet = self.wallets[name]
        now = self.look(wallet)
        if request not in self.holds and micros <= self.spare(wallet):
            self.holds[request] = Slice(wallet, micros, now + HOLD_S)
            self._set_aside(wallet, micros)
        self._decide(wallet)

    def settle_hold(self, request: str, picos: int) -> None:
        """Paid out of the hold, or, when that is over, as far as the wallet can."""
        one = self.holds.get(request)
        if one is None or request in self.requests:
            return
        self.requests.add(request)
        wallet = one.wallet
        self.look(wallet)
        if one.is_open:
            self._set_aside(wallet, -one.granted)
        can = max(0, wallet.picos) if one.is_open else self.payable(wallet)
        wallet.picos -= min(picos, one.granted * PICOS, can)
        one.is_open = False
        self._take_back(wallet)

    def void_hold(self, request: str) -> None:
        """It comes back as a whole."""
        one = self.holds.get(request)
        if one is not None and one.is_open:
            self.look(one.wallet)
            self._release(one)

    def _release(self, one: Slice) -> None:
        one.is_open = False
        self._set_aside(one.wallet, -one.granted)
        self._take_back(one.wallet)

    # ------------------------------------------------------------------ host names

    def host(self, uid: str, name: str, begins: int | None) -> None:
        """A host name is used, and paid for up to a moment."""
        self.months[uid] = Months(self.wallets[name], begins)

    def unhost(self, uid: str) -> None:
        """It is given up; what is set aside for it comes back when its months are looked after."""
        self.months[uid].active = False

    def keep_month(self, uid: str, micros: int) -> None:
        """Pay what has begun, set aside for what begins within days, give back for what is given up."""
        one = self.months[uid]
        wallet, now = one.wallet, self.look(one.wallet)
        begins = now if one.begins is None else one.begins
        if not one.active:
            self._set_month_aside(one, 0)
        elif begins > now:
            one.unpaid = False
            if begins - now <= WINDOW_S and not one.held and micros < self.spare(wallet):
                self._set_month_aside(one, micros)
        else:
            had = one.held
            self._set_month_aside(one, 0)
            can = not wallet.on_hold and micros * PICOS <= wallet.picos if had else micros < self.spare(wallet)
            one.unpaid = not can
            if can:
                wallet.picos -= micros * PICOS
                one.paid, one.begins = one.paid + 1, begins + MONTH_S
        self._take_back(wallet)

    def _set_month_aside(self, one: Months, micros: int) -> None:
        self._set_aside(one.wallet, micros - one.held)
        one.held = micros

    def sweep(self) -> None:
        """What was not heard of in time is over."""
        for table in (self.leases, self.holds):
            stale = [(self._number(one.wallet), key) for key, one in table.items()
                     if one.is_open and one.expires <= self.now]  # fmt: skip
            for _, key in sorted(stale):
                one = table[key]
                self.look(one.wallet)
                if table is self.leases:
                    self._end(one)
                    self._take_back(one.wallet)
                else:
                    self._release(one)
