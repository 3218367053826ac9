"""The ledger's doors in memory, as far as the operator calls them: runs, proofs, storage."""

from collections.abc import Mapping

from moorage.model.ledger import OpenRun
from moorage.model.names import AgentUid, PodUid
from moorage.model.rates import Stored
from tests.simulation.purse import Run, Shelf
from tests.simulation.tables import Tables


class Books:
    """As `store.ledger.Ledger` and `store.meters.Meters`, of what the operator calls of them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def open_run(
        self, *, epoch: int, agent_uid: str, pod_uid: str, container_id: str, node: str, size: str, started_s: int
    ) -> None:
        tables = self._tables
        tables.require_epoch(epoch)
        purse = tables.purses[tables.agents[agent_uid].wallet]
        known = any((one.pod_uid, one.container_id) == (pod_uid, container_id) for one in purse.runs)
        if known:
            return
        purse.open(Run(agent_uid, pod_uid, container_id, node, started_s, started_s), int(tables.seconds()))
        tables.agents[agent_uid].pod_uid = pod_uid
        tables.committed("open_run", agent_uid)

    def close_run(self, *, epoch: int, pod_uid: str, ended_s: int | None, reason: str) -> None:
        tables = self._tables
        tables.require_epoch(epoch)
        found = [(purse, run) for purse in tables.purses.values() for run in purse.runs if run.pod_uid == pod_uid]
        for purse, run in found:
            if run.ended is None:
                purse.close(run, ended_s, int(tables.seconds()))
        for _, run in found:
            agent = tables.agents[run.agent_uid]
            if agent.pod_uid == pod_uid:
                agent.pod_uid = None
            tables.committed("close_run", run.agent_uid)

    def set_budget(self, *, epoch: int, agent_uid: str, picos_per_day: int | None) -> None:
        self._tables.require_epoch(epoch)

    def open_runs(self) -> list[OpenRun]:
        return [
            OpenRun(
                agent_uid=AgentUid(run.agent_uid), pod_uid=PodUid(run.pod_uid), node=run.node,
                namespace=self._tables.agents[run.agent_uid].namespace, name=self._tables.agents[run.agent_uid].name,
            )
            for purse in self._tables.purses.values() for run in purse.runs if run.ended is None
        ]  # fmt: skip

    def prove(self, *, epoch: int, proofs: Mapping[str, int]) -> None:
        tables = self._tables
        tables.require_epoch(epoch)
        for purse in tables.purses.values():
            for node, second in proofs.items():
                purse.proven[node] = max(purse.proven.get(node, 0), min(second, int(tables.seconds())))
            purse.settle(int(tables.seconds()))

    def open_storage(self, *, epoch: int, agent_uid: str, stored: Stored) -> None:
        tables = self._tables
        tables.require_epoch(epoch)
        shelves = tables.purses[tables.agents[agent_uid].wallet].shelves
        same = [shelf for shelf in shelves if _is_of(shelf, stored)]
        older = next((shelf for shelf in same if shelf.open), None)
        if older is None and same:  # what was freed stays freed
            return
        if older is not None and older.stored == stored:
            return
        if older is not None:
            shelves.remove(older)
        shelves.append(Shelf(agent_uid, stored))

    def close_storage(self, *, epoch: int, stored: Stored) -> None:
        self._tables.require_epoch(epoch)
        for purse in self._tables.purses.values():
            for shelf in purse.shelves:
                if _is_of(shelf, stored):
                    shelf.open = False


def _is_of(shelf: Shelf, stored: Stored) -> bool:
    return (shelf.stored.meter, shelf.stored.object_id) == (stored.meter, stored.object_id)
