"""The ledger's operations as one table: how each is drawn, how it is called, and what it does to the model.

Every rung of the ladder plays from it: the state machine, the crash points, the kills, the mix of many sessions. A new
door becomes part of all of them by one function and its line in OPERATIONS.
"""

from collections.abc import Callable

from tests.integration.money import (
    operations_of_credit,
    operations_of_gateways,
    operations_of_meters,
    operations_of_months,
)
from tests.integration.money.model import Model
from tests.integration.money.steps import Draw, Hands, Place, Step

NODES = ("node-a", "node-b")
WHOLE_TABLE = 5000


def grant(draw: Draw, place: Place) -> Step:
    """Credit comes in."""
    key, wallet = place.key(), draw.pick(place.wallets)
    micros = draw.number(1, 60) if draw.number(0, 1) else draw.number(100, 2_000)
    return Step(
        "grant",
        lambda on: on.ledger.grant(wallet_name=wallet, amount_micros=micros, key=key, reason="r", actor="a"),
        lambda model: model.grant(wallet, micros),
        (("entry", key),),
    )


def open_run(draw: Draw, place: Place) -> Step | None:
    """A container starts."""
    busy = place.down.union(place.pods.values())
    free = [agent for agent in place.agents if agent not in busy]
    if not free:
        return None
    agent, node = draw.pick(free), draw.pick(NODES)
    started, pod = place.now - draw.number(-3, 30), place.uid()
    place.pods[pod] = agent

    def apply(model: Model) -> None:
        model.by_pod[pod] = model.open(model.agents[agent], node, started)

    return Step(
        "open_run",
        lambda on: on.ledger.open_run(
            epoch=1, agent_uid=agent, pod_uid=pod, container_id="c", node=node, size=place.agents[agent],
            started_s=started
        ),
        apply,
        (("open", pod),),
    )  # fmt: skip


def close_run(draw: Draw, place: Place) -> Step | None:
    """A container ends; sometimes nobody knows when."""
    if not place.pods:
        return None
    pod = draw.pick(list(place.pods))
    ended = None if draw.number(0, 3) == 0 else place.now - draw.number(0, 40)
    place.pods.pop(pod)

    def apply(model: Model) -> None:
        model.close(model.by_pod[pod], ended)

    return Step(
        "close_run",
        lambda on: on.ledger.close_run(epoch=1, pod_uid=pod, ended_s=ended, reason="PodGone"),
        apply,
        (("closed", pod),),
    )


def prove(draw: Draw, place: Place) -> Step:
    """The nodes are heard, or only one of them."""
    heard = draw.pick((NODES, NODES, NODES[:1], NODES[1:]))
    proofs = {node: place.now - draw.number(-2, 8) for node in heard}
    return Step("prove", lambda on: on.ledger.prove(epoch=1, proofs=proofs), lambda model: model.prove(proofs))


def settle_all(draw: Draw, place: Place) -> Step:
    """Everybody is charged, in chunks of one wallet or of all."""
    chunk = draw.pick((1, WHOLE_TABLE))

    def apply(model: Model) -> None:
        for wallet in model.wallets.values():
            if model.open_runs(wallet):
                model.settle(wallet)

    return Step("settle_all", lambda on: on.ledger.settle_all(epoch=1, chunk=chunk), apply)


OPERATIONS: dict[str, Callable[[Draw, Place], Step | None]] = {
    "grant": grant,
    "open_run": open_run,
    "close_run": close_run,
    "prove": prove,
    "settle_all": settle_all,
    **operations_of_credit.OPERATIONS,
    **operations_of_gateways.OPERATIONS,
    **operations_of_meters.OPERATIONS,
    **operations_of_months.OPERATIONS,
}


# ---------------------------------------------------------------- what only a script that plays alone may do


def tick(draw: Draw, place: Place) -> Step:
    """Time passes; all nodes are proven to it, or none is."""
    seconds = draw.number(1, 60)
    place.now += seconds
    now, proofs = place.now, dict.fromkeys(NODES, place.now) if draw.number(0, 3) else {}

    async def call(on: Hands) -> None:
        await on.sql.execute("UPDATE money.test_clock SET now_s = $1", now + 0.5)
        await on.ledger.prove(epoch=1, proofs=proofs)

    def apply(model: Model) -> None:
        model.now = now
        model.prove(proofs)

    return Step("tick", call, apply)


def follow(draw: Draw, place: Place) -> Step | None:
    """The operator moves an agent: its stop is recorded, or it is down, or it comes back."""
    agent = draw.pick(list(place.agents))
    change = draw.pick(("record stop", "suspend", "return"))
    sql = {
        "record stop": "stop_recorded = true WHERE uid = $1::uuid AND state = 'Draining'",
        "suspend": "state = 'Suspended' WHERE uid = $1::uuid AND state = 'Draining' AND pod_uid IS NULL",
        "return": "state = 'Running' WHERE uid = $1::uuid AND state = 'Suspended' AND veto IS NULL",
    }[change]

    def apply(model: Model) -> None:
        one = model.agents[agent]
        has_pod = any(run.agent is one and run.node and run.ended is None for run in model.runs)
        if change == "record stop" and one.state == "Draining":
            one.stop_recorded = True
        elif change == "suspend" and one.state == "Draining" and not has_pod:
            one.state = "Suspended"
        elif change == "return" and one.state == "Suspended" and not one.veto:
            one.state = "Running"

    return Step(f"follow: {change}", lambda on: on.sql.execute(f"UPDATE moorage.agent SET {sql}", agent), apply)


ALONE = {
    **OPERATIONS, **operations_of_credit.ALONE, **operations_of_months.ALONE, "tick": tick, "follow": follow,
}  # fmt: skip
