"""Operations of a model gateway: slices, holds, reports of finished requests, and the sweep behind them."""

import re
from collections.abc import Awaitable, Callable

from moorage.store.leases import Reservations
from moorage.store.ledger import LedgerRefusal
from tests.integration.money.spending import AGENT, finished
from tests.integration.money.steps import Draw, Hands, Place, Step

AT_ONCE_MAX = 3


def lease(draw: Draw, place: Place) -> Step:
    """A slice is asked for, or one of the last is resized or closed; a script cannot know which of them it got."""
    known = place.made("leases")
    if not known or draw.number(0, 2) == 0:
        new, wallet, want = place.uid(), draw.pick(place.wallets), draw.number(1, 300)
        known.append(new)
        at_least = draw.pick((1, want))
        return Step(
            "open_lease",
            lambda on: on.gateway.open(new, place.number(wallet), want_micros=want, at_least_micros=at_least),
            lambda model: model.open_lease(new, wallet, want, at_least),
        )
    old, target = draw.pick(known), draw.number(-80, 400)
    if target <= 0:
        return Step("close_lease", _if_granted(lambda on: on.gateway.close(old)), lambda model: model.close_lease(old))
    return Step(
        "resize_lease",
        _if_granted(lambda on: on.gateway.resize(old, target_micros=target)),
        lambda model: model.resize_lease(old, target),
    )


def report(draw: Draw, place: Place) -> Step | None:
    """Finished requests of one slice, which may be over, some of them reported before."""
    known, reported = place.made("leases"), place.made("reports")
    if not known:
        return None
    if not reported or draw.number(0, 3):
        count = draw.number(1, AT_ONCE_MAX)
        batch = [[place.uid(), draw.number(0, 120), draw.number(0, 4)] for _ in range(count)]
        reported.append([draw.pick(known), batch])
        of, batch = reported[-1]
    else:
        of, batch = draw.pick(reported)
    requests = [finished(of, output, request=request, fresh=fresh) for request, output, fresh in batch]
    costs = {request.id: request.cost_picos for request in requests}
    return Step(
        "report",
        _if_granted(lambda on: on.gateway.flush(requests)),
        lambda model: model.flush(of, costs),
        tuple(("report", f"{of}/{request.id}") for request in requests),
    )


def request(draw: Draw, place: Place) -> Step:
    """A single request is held, or one of the last is settled or voided."""
    known = place.made("requests")
    if not known or draw.number(0, 2) == 0:
        new, wallet, worst = place.uid(), draw.pick(place.wallets), draw.number(1, 200)
        known.append(new)
        return Step(
            "open_hold",
            lambda on: on.gateway.hold(new, place.number(wallet), AGENT, amount_micros=worst),
            lambda model: model.open_hold(new, wallet, worst),
        )
    old, output = draw.pick(known), draw.number(-60, 240)
    if output < 0:
        return Step("void_hold", _if_granted(lambda on: on.gateway.void_hold(old)), lambda model: model.void_hold(old))
    done = finished(None, output, request=old, fresh=1)
    return Step(
        "settle_hold",
        _if_granted(lambda on: on.gateway.settle_hold(done)),
        lambda model: model.settle_hold(old, done.cost_picos),
    )


def sweep(_: Draw, __: Place) -> Step:
    """What was not heard of in time is over."""
    return Step("sweep", lambda on: Reservations(on.database).expire(epoch=1), lambda model: model.sweep())


def _if_granted(call: Callable[[Hands], Awaitable[object]]) -> Callable[[Hands], Awaitable[object]]:
    async def called(on: Hands) -> None:
        try:
            await call(on)
        except LedgerRefusal as error:
            # The wallet could not spare it when it was asked for, so there is nothing to do anything with.
            if not re.search(r"no such (lease|hold)", str(error)):
                raise

    return called


OPERATIONS: dict[str, Callable[[Draw, Place], Step | None]] = {
    "lease": lease,
    "report": report,
    "request": request,
    "sweep": sweep,
}
