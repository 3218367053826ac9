"""Operations of host names, which are paid by the month; a month that ends soon stands for the weeks before it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from moorage.model.clock import from_epoch
from moorage.model.domain_record import DomainState
from moorage.store.domain_months import DomainMonthRows
from moorage.store.domains import Domains, NewDomain
from tests.integration.money.steps import MONTH_MICROS, Draw, Hands, Place, Step

NAMES_MAX = 100_000
UNPAID_FOR = timedelta(days=7)
# The month before, which cost nothing: what follows it is set aside now, and paid when it begins.
BEFORE = """
INSERT INTO money.domain_month
    (tenant_uid, hostname, period, anchor_at, number, begins_at, ends_at, wallet_id, amount_micros, paid_at)
SELECT d.tenant_uid, d.hostname, '1969-12', began, 0, began, $2, t.wallet_id, 0, began
FROM moorage.domain d JOIN moorage.tenant t ON t.uid = d.tenant_uid,
     LATERAL (SELECT $2::timestamptz - interval '31 days' AS began) b
WHERE d.uid = $1::uuid
ON CONFLICT DO NOTHING
"""
LASTS = (
    "UPDATE moorage.domain SET paid_until = $2, state_since = $2::timestamptz - interval '31 days' WHERE uid = $1::uuid"
)


def month(draw: Draw, place: Place) -> Step:
    """A host name begins to be used, or what is due for its months is done, or it is given up."""
    return _month(draw, place, ends_s=None)


def month_that_ends(draw: Draw, place: Place) -> Step:
    """The same, with names of which some are paid for already, up to a moment that comes soon."""
    return _month(draw, place, ends_s=draw.pick((None, place.now + draw.number(1, 90))))


def _month(draw: Draw, place: Place, *, ends_s: int | None) -> Step:
    known = place.made("months")
    if not known or draw.number(0, 3) == 0:
        known.append(place.uid())
        return _host(known[-1], draw.pick(place.wallets), ends_s)
    if draw.number(0, 5) == 0:
        gone = known.pop(draw.number(0, len(known) - 1))
        return Step("unhost", lambda on: _move(on, gone, DomainState.RELEASING), lambda model: model.unhost(gone))
    kept = draw.pick(known)
    return Step(
        "keep_month",
        lambda on: DomainMonthRows(on.database).keep(epoch=1, uid=kept, unpaid_for=UNPAID_FOR),
        lambda model: model.keep_month(kept, MONTH_MICROS),
    )


def _host(uid: str, wallet: str, ends_s: int | None) -> Step:
    new = NewDomain(
        uid=uid, namespace=f"mn-{wallet}", name=f"d-{uid}", hostname=f"n{uid}.agents.example", own=False,
        agent_name="helper",
    )  # fmt: skip

    async def call(on: Hands) -> None:
        assert await Domains(on.database).ensure(epoch=1, new=new)
        await Domains(on.database).claim(epoch=1, uid=uid, names_max=NAMES_MAX)
        await _move(on, uid, DomainState.ACTIVE)
        if ends_s is not None:
            await on.sql.execute(BEFORE, uid, from_epoch(ends_s))
            await on.sql.execute(LASTS, uid, from_epoch(ends_s))

    name = "host" if ends_s is None else "follow: a month that was"  # over the owner's own connection
    return Step(name, call, lambda model: model.host(uid, wallet, ends_s), (("hosted", uid),))


async def _move(on: Hands, uid: str, state: DomainState) -> None:
    before = await Domains(on.database).load(uid)
    assert before is not None
    if before.state is not state:
        await Domains(on.database).save(epoch=1, before=before, after=replace(before, state=state))


OPERATIONS: dict[str, Callable[[Draw, Place], Step | None]] = {"month": month}
# Only the owner can write a month that was, and only a script that plays alone knows when it ends.
ALONE: dict[str, Callable[[Draw, Place], Step | None]] = {"month": month_that_ends}
