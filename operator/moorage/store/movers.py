"""The queue of movers: its limits, its length, and the look below the triggers that move it on."""

from dataclasses import dataclass

from moorage.model.record import AttemptKind
from moorage.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverQueue:
    """The queue at one moment."""

    waiting: dict[AttemptKind, int]
    running: int  # attempts that have a place


class Movers:
    """Who may run is decided in the database; this only asks it to look, and says how many."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_limits(self, *, epoch: int, movers_max: int, per_node_max: int) -> None:
        """How many movers may run at once, in total and on one node; 0 lets none start."""
        await self._database.run("SELECT moorage.set_mover_limits($1, $2, $3)", epoch, movers_max, per_node_max)

    async def grant(self, *, epoch: int) -> int:
        """Give every free place to whose turn it is; returns how many were given."""
        given: int = await self._database.value("SELECT moorage.grant_movers($1)", epoch)
        return given

    async def queue(self) -> MoverQueue:
        """How many wait, and how many may run."""
        row = await self._database.row("SELECT * FROM moorage.mover_queue_now()")
        assert row is not None
        waiting = {AttemptKind.SNAPSHOT: row["snapshots"], AttemptKind.RESTORE: row["restores"]}
        return MoverQueue(waiting=waiting, running=row["running"])
