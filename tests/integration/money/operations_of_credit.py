"""Operations on credit from outside: payments and what becomes of them, corrections, given credit, billing holds."""

from collections.abc import Callable

from moorage.model.payments import GrantKind, Posting, Source
from moorage.store.payments import Payments
from moorage.store.wallets import Wallets
from tests.integration.money.model import Model
from tests.integration.money.steps import Draw, Hands, Place, Step

FAR_S = 1_000_000


def pay(draw: Draw, place: Place) -> Step:
    """A payment is made, or one of the last is refunded, disputed, won or lost: its object is told as it is now."""
    known = place.made("payments")
    if known and draw.number(0, 2):
        one = draw.pick(known)
        _change(draw, one)
    else:
        one = [place.uid(), draw.pick(place.wallets), 0, draw.number(1, 800), 0, 0, 0]
        known.append(one)
    one[2] += 1
    obj_id, wallet, version, granted, refunded, disputed, lost = one
    posting = Posting(
        source=Source.STRIPE, obj_id=obj_id, wallet_id=place.number(wallet), payer=None, currency="usd",
        paid_ext=granted, refunded_ext=refunded, disputed_ext=disputed, lost_ext=lost, fee_micros=granted // 30,
        penalty_micros=15 if lost else 0, rate_num=1, rate_den=1,
    )  # fmt: skip
    return Step(
        "pay",
        lambda on: Payments(on.database).apply(posting, version=version),
        lambda model: model.pay(obj_id, wallet, granted=granted, refunded=refunded, disputed=disputed, lost=lost),
        (("payment", f"{obj_id}/{version}"),),
    )


def _change(draw: Draw, one: list[int]) -> None:
    _, _, _, granted, refunded, disputed, lost = one
    rest = granted - refunded - disputed - lost
    what = draw.pick(("refund", "dispute") if not disputed else ("refund", "end", "end", "end"))
    if what == "refund":
        one[4] += draw.number(0, rest)
    elif what == "dispute":
        one[5] += draw.number(0, rest)
    else:
        one[5], one[6] = 0, lost + draw.pick((0, disputed))


def correct(draw: Draw, place: Place) -> Step:
    """One person asks, another agrees."""
    key, wallet = place.key(), draw.pick(place.wallets)
    micros = draw.pick((-1, 1, 1)) * draw.number(1, 200)

    async def call(on: Hands) -> None:
        wallets = Wallets(on.database)
        asked = await wallets.request_correction(
            wallet_name=wallet, amount_micros=micros, key=key, reason="r", actor="ann"
        )
        await wallets.approve_correction(asked.correction_id, actor="ben")

    return Step("correct", call, lambda model: model.correct(wallet, micros), (("correction", key),))


def hold(draw: Draw, place: Place) -> Step | None:
    """A person stops a wallet, seldom, and soon lets it go."""
    placed = place.made("holds")
    if placed:
        wallet, ref = placed.pop()
        return Step(
            "lift_hold",
            lambda on: on.ledger.lift_hold(place.number(wallet), cause="Manual", ref=ref, actor="ann"),
            lambda model: model.lift_hold(wallet, ref),
        )
    if draw.number(0, 4):
        return None
    wallet, ref = draw.pick(place.wallets), place.key()
    placed.append([wallet, ref])
    return Step(
        "place_hold",
        lambda on: on.ledger.place_hold(place.number(wallet), cause="Manual", ref=ref, actor="ann"),
        lambda model: model.place_hold(wallet, ref),
        (("hold", ref),),
    )


def give(draw: Draw, place: Place) -> Step:
    """Credit with an end that nobody lives to see."""
    return _give(place, draw.pick(place.wallets), draw.number(1, 300), place.now + FAR_S)


def give_briefly(draw: Draw, place: Place) -> Step:
    """Credit with an end that comes soon."""
    return _give(place, draw.pick(place.wallets), draw.number(1, 300), place.now + draw.number(1, 90))


def _give(place: Place, wallet: str, micros: int, expires: int) -> Step:
    campaign = place.uid()
    return Step(
        "give",
        lambda on: Wallets(on.database).give_credit(
            wallet_name=wallet, kind=GrantKind.PROMO, campaign=campaign, amount_micros=micros, expires_s=expires,
            reason="r", actor="ann",
        ),
        lambda model: model.give(wallet, micros, expires),
        (("gift", campaign),),
    )  # fmt: skip


def consume(_: Draw, __: Place) -> Step:
    """What was spent finds the credit that paid for it."""

    def apply(model: Model) -> None:
        for wallet in model.wallets.values():
            model.consume(wallet)

    return Step("consume", lambda on: Wallets(on.database).record_consumption(), apply)


def expire(_: Draw, __: Place) -> Step:
    """Given credit that is over goes."""
    return Step("expire", lambda on: Wallets(on.database).expire_credit(), lambda model: model.expire())


OPERATIONS: dict[str, Callable[[Draw, Place], Step | None]] = {
    "pay": pay,
    "correct": correct,
    "hold": hold,
    "give": give,
    "consume": consume,
    "expire": expire,
}
# Where the clock is the script's own, an end may be near: nobody else makes it pass between a call and its repeat.
ALONE: dict[str, Callable[[Draw, Place], Step | None]] = {"give": give_briefly}
