"""Operations of the meters that no pod runs for: volumes and snapshots, and the statement lines of all."""

from collections.abc import Callable

from moorage.model.rates import Meter, Stored
from moorage.store.meters import Meters
from tests.integration.money.model import Model
from tests.integration.money.steps import Draw, Hands, Place, Step

STORAGE = {"Volume": 30, "Snapshot": 7}  # picos per MiB and second
MORE_MIB = 1_500
SLOTS = 60


def store(draw: Draw, place: Place) -> Step | None:
    """A volume is bound, a snapshot is verified, or a volume grows."""
    known = place.made("storage")
    if not place.agents:
        return None
    if known and draw.number(0, 1):
        one = draw.pick(known)
        one[3] += MORE_MIB
    else:
        one = [place.uid(), draw.pick(sorted(STORAGE)), draw.pick(list(place.agents)), draw.pick((1_000, 4_000))]
        known.append(one)
    thing, meter, agent, mib = one
    stored = Stored(meter=Meter(meter), object_id=thing, mib=mib)

    def apply(model: Model) -> None:
        model.stored[thing] = model.store(model.agents[agent], meter, mib, model.stored.get(thing))

    return Step(
        "store",
        lambda on: Meters(on.database).open_storage(epoch=1, agent_uid=agent, stored=stored),
        apply,
        (("stored", thing),),
    )


def free(draw: Draw, place: Place) -> Step | None:
    """A volume or snapshot is gone."""
    known = place.made("storage")
    if not known:
        return None
    thing, meter, _, mib = known.pop(draw.number(0, len(known) - 1))
    stored = Stored(meter=Meter(meter), object_id=thing, mib=mib)
    return Step(
        "free",
        lambda on: Meters(on.database).close_storage(epoch=1, stored=stored),
        lambda model: model.free(model.stored[thing]),
    )


def state(_: Draw, place: Place) -> Step:
    """Statement lines are written for everybody."""
    slots = [place.number(wallet) % SLOTS for wallet in place.wallets]

    async def call(on: Hands) -> None:
        for slot in slots:
            await Meters(on.database).write_statements(epoch=1, slot=slot)

    def apply(model: Model) -> None:
        for wallet in model.wallets.values():
            model.state(wallet)

    return Step("state", call, apply)


OPERATIONS: dict[str, Callable[[Draw, Place], Step | None]] = {"store": store, "free": free, "state": state}
