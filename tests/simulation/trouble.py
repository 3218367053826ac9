"""Everything that goes wrong, or merely happens at a bad moment."""

from collections.abc import Callable
from typing import Any

from moorage.kube import kinds
from moorage.model.names import ANNOTATION_SNAPSHOT_REQUESTED as REQUEST
from moorage.model.record import AgentState
from tests.simulation import virtual_time
from tests.simulation.operators import Operator

PAUSE_SECONDS = (0.2, 25.0)


class Trouble:
    """Draws what happens next, one thing after the other."""

    def __init__(self, house: Any) -> None:  # Any: a House, which makes its trouble
        self._house = house
        self._stage = house.stage
        self._rng = house.stage.chance("trouble")
        rng = self._rng
        for service in house.services.values():
            service.trouble = rng.choice((0.0, 0.0, 0.02, 0.1))
            service.slow = rng.choice((0.0, 0.0, 0.05))
        house.movers.mishaps = rng.choice((0.0, 0.2, 0.7))
        silent, healed = (1.5, 0.3) if house.plot.recovers else (0.5, 1.0)
        self._events: list[tuple[float, Callable[[], None]]] = [
            (3.0, self._pause), (3.0, self._resume), (1.5, self._replace), (0.8, self._delete), (1.0, self._create),
            (3.0, self._top_up), (2.0, self._spend), (2.0, self._ask),
            (1.5, self._kill), (1.0, self._outage), (0.5, self._freeze), (0.5, self._cut_off),
            (1.0, self._close_watches), (0.7, self._mute_watches), (0.7, self._gap),
            (silent, self._silence), (healed, self._heal), (0.7, self._crash), (0.7, self._evict),
            (0.7, self._pod_deleted), (0.3, self._full), (0.3, self._object_lost), (0.1, self._finalizer_taken),
        ]  # fmt: skip

    async def last(self, seconds: float) -> None:
        """Make trouble for so long, then end it for good."""
        ends = self._stage.loop.time() + seconds
        weights = [weight for weight, _ in self._events]
        while self._stage.loop.time() < ends and not self._stage.broken:
            await virtual_time.passed(self._rng.uniform(*PAUSE_SECONDS) * self._rng.random())
            self._rng.choices(self._events, weights)[0][1]()
        self._over()

    def _over(self) -> None:
        house = self._house
        self._stage.calm = True
        self._stage.tell("trouble", "is over")
        for service in house.services.values():
            service.trouble = service.slow = service.down_until = 0.0
        for operator in house.operators:
            operator.life.thaw()
            for wire in (operator.api, operator.database, operator.store):
                wire.cut_until = 0.0
        for node in house.kubelets.nodes:
            house.kubelets.heal(node)
        house.movers.mishaps, house.bucket.full = 0.0, False

    # The tenant and the money.

    def _agent(self) -> Any:
        places = self._house.agents()
        return self._rng.choice(places) if places else None

    def _pause(self) -> None:
        if place := self._agent():
            self._house.edit(place, desiredState="Suspended")

    def _resume(self) -> None:
        if place := self._agent():
            self._house.edit(place, desiredState="Running")

    def _replace(self) -> None:
        if place := self._agent():
            self._house.edit(place, env=[{"name": "TRY", "value": str(self._rng.random())}])

    def _ask(self) -> None:
        """The tenant wants a snapshot."""
        if place := self._agent():
            self._stage.tell("tenant", f"asks for a snapshot of {place[2]}")
            self._house.cluster.edit(place, metadata={"annotations": {REQUEST: str(self._rng.random())}})

    def _delete(self) -> None:
        if place := self._agent():
            self._house.delete(place)

    def _create(self) -> None:
        self._house.create("bot")

    def _top_up(self) -> None:
        self._house.top_up(self._rng.choice((5, 40, 200)))

    def _spend(self) -> None:
        purse = self._house.purse
        purse.balance = min(purse.balance, self._rng.choice((0, 3, 20)))

    def _finalizer_taken(self) -> None:
        if place := self._agent():
            self._stage.tell("tenant", f"takes the finalizer of {place[2]}")
            self._house.cluster.edit(place, metadata={"finalizers": []})

    # The operator and its services.

    def _operator(self) -> Operator | None:
        alive = [one for one in self._house.operators if one.life.alive]
        return self._rng.choice(alive) if alive else None

    def _kill(self) -> None:
        if operator := self._operator():
            operator.life.die("killed")

    def _outage(self) -> None:
        service = self._rng.choice(list(self._house.services.values()))
        seconds = self._rng.choice((3.0, 20.0, 60.0))
        self._stage.tell("trouble", f"{service.name} is away for {seconds:.0f} s")
        service.down_until = self._stage.loop.time() + seconds
        if service.name == "api":
            self._close_watches()

    def _freeze(self) -> None:
        operator = self._operator()
        if operator is not None and len(self._house.operators) > 1:  # alone it would only be late
            operator.life.freeze()
            self._stage.later(self._rng.choice((5.0, 20.0, 60.0)), operator.life.thaw)

    def _cut_off(self) -> None:
        """One operator loses its way to the database, and only that."""
        if operator := self._operator():
            self._stage.tell(operator.life.name, "is cut off from the database")
            operator.database.cut_until = self._stage.loop.time() + self._rng.choice((10.0, 40.0))

    def _close_watches(self) -> None:
        for watchers in self._house.cluster.watchers.values():
            for watcher in watchers:
                watcher.end()

    def _mute_watches(self) -> None:
        """Half-open connections: nobody notices before the silence is too long."""
        plural = self._rng.choice((kinds.POD.plural, kinds.JOB.plural, kinds.AGENT.plural, "persistentvolumeclaims"))
        self._stage.tell("trouble", f"the watches of {plural} fall silent")
        for watcher in self._house.cluster.watchers[plural]:
            watcher.mute = True
            watcher.news.set()

    def _gap(self) -> None:
        self._stage.tell("trouble", "the history is compacted")
        self._close_watches()
        self._house.cluster.compact()

    # Nodes, disks, the store.

    def _silence(self) -> None:
        self._house.kubelets.silence(self._rng.choice(self._house.kubelets.nodes))

    def _heal(self) -> None:
        for node in self._house.kubelets.nodes:
            self._house.kubelets.heal(node)

    def _container(self) -> Any:
        alive = self._house.kubelets.alive()
        return self._rng.choice(alive) if alive else None

    def _crash(self) -> None:
        if container := self._container():
            self._house.kubelets.crash(container)

    def _evict(self) -> None:
        if container := self._container():
            self._house.kubelets.evict(container)

    def _pod_deleted(self) -> None:
        """Somebody deletes the pod."""
        container = self._container()
        pod = self._house.cluster.objects.get(container.place) if container else None
        if pod is not None and not pod["metadata"].get("deletionTimestamp"):
            self._stage.tell("somebody", f"deletes {container.place[2]}")
            self._house.cluster.remove_kindly(container.place)

    def _full(self) -> None:
        self._house.bucket.full = not self._house.bucket.full
        self._stage.tell("store", "is full" if self._house.bucket.full else "has room")

    def _object_lost(self) -> None:
        """Somebody deletes a snapshot while the volume is still there, and before anybody asks for it."""
        asked_for = {row.restore_id for row in self._house.tables.agents.values()}
        if self._house.plot.recovers:  # where the volume may be lost as well
            return
        for row in self._house.tables.agents.values():
            warm = row.archive_at is not None and (row.archive_at - self._stage.now()).total_seconds() > 30
            rests = row.state is AgentState.SUSPENDED and warm and not row.user_paused
            if rests and row.snapshot_id is not None and row.snapshot_id not in asked_for:
                key = self._house.tables.snapshots[row.snapshot_id].object_key
                self._house.bucket.vanish(key)
                return
