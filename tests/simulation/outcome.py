"""What must be true at the end: the wish is fulfilled, the status says so, the data is there, nothing is left over."""

from typing import Any

from moorage.kube import kinds
from moorage.model.names import Key
from moorage.model.record import AgentState
from tests.simulation.cluster import Manifest, Place
from tests.simulation.disks import EMPTY

Missing = list[str]


def key_of(place: Place) -> Key:
    """The work queue's key of an Agent."""
    return Key("Agent", place[1], place[2])


def missing(house: Any) -> Missing:  # Any: a House
    """What is still to come, in words; empty when the house is at rest."""
    found: Missing = []
    living = {obj["metadata"]["uid"]: (place, obj) for place, obj in house.cluster.of(kinds.AGENT)}
    for uid, (place, agent) in living.items():
        found += _of_living(house, uid, place, agent)
    for uid, row in house.tables.agents.items():
        if uid not in living:
            found += _of_deleted(house, uid, row)
    return found


def _of_living(house: Any, uid: str, place: Place, agent: Manifest) -> Missing:
    row, end = house.tables.agents.get(uid), house.plot.end
    if row is None:
        reason = _conditions(agent).get("Ready", {}).get("reason")
        return [] if reason == "SnapshotNotFound" else [f"{place[2]} has no record"]
    if end == "delete":
        return [f"{place[2]} is still there in {row.state}"]
    found = _status(agent, "Ready" if end == "run" else "Suspended")
    found += _runs(house, uid, row) if end == "run" else _rests(house, uid, row)
    says_so = {"status": "False", "reason": "NameTaken"}.items() <= _conditions(agent).get("Ready", {}).items()
    return [] if says_so and _blocked(house, uid, place) else found


def _blocked(house: Any, uid: str, place: Place) -> bool:
    """Whether data of a vanished Agent of the same name is in the way; a person has to look at it."""
    claims = house.cluster.of(kinds.PERSISTENT_VOLUME_CLAIM)
    return any(other[2].startswith(f"data-{place[2]}-") and not _is_of(obj, uid) for other, obj in claims)


def _conditions(agent: Manifest) -> dict[str, Any]:
    return {item["type"]: item for item in (agent.get("status") or {}).get("conditions", ())}


def _status(agent: Manifest, wanted: str) -> Missing:
    status, conditions, found = agent.get("status") or {}, _conditions(agent), []
    if status.get("observedGeneration") != agent["metadata"]["generation"]:
        found.append("the status is of an older generation")
    if conditions.get(wanted, {}).get("status") != "True":
        found.append(f"{wanted} is {conditions.get(wanted)}")
    return found


def _runs(house: Any, uid: str, row: Any) -> Missing:
    found = []
    alive = [one for one in house.kubelets.alive() if one.agent_uid == uid]
    if row.state is not AgentState.RUNNING or len(alive) != 1:
        found.append(f"{row.name} is {row.state} with {len(alive)} containers")
    open_runs = [run.pod_uid for run in house.purse.runs if run.agent_uid == uid and run.ended is None]
    if open_runs != [one.pod_uid for one in alive]:
        found.append(f"the runs {open_runs} are open")
    held = [volume.content for volume in house.disks.kept(uid)]
    if row.has_storage and held != [house.disks.last_written.get(uid)]:
        found.append(f"the volumes hold {held}")
    return found + _leftovers(house, uid, pods=1)


def _rests(house: Any, uid: str, row: Any) -> Missing:
    found = []
    written = house.disks.last_written.get(uid, EMPTY)
    wanted = AgentState.ARCHIVED if row.has_storage and written != EMPTY else AgentState.SUSPENDED
    if row.state is not wanted and not (written == EMPTY and row.state is AgentState.ARCHIVED):
        found.append(f"{row.name} is {row.state}, not {wanted}")
    return found + _stopped(house, uid) + _leftovers(house, uid, pods=0)


def _of_deleted(house: Any, uid: str, row: Any) -> Missing:
    found = [] if row.state is AgentState.DELETED else [f"the record of the vanished {row.name} is {row.state}"]
    kept = [one.keep_until for one in house.tables.snapshots.values() if one.agent_uid == uid]
    if None in kept:
        found.append("a snapshot of a deleted agent has no end")
    return found + _stopped(house, uid)


def _stopped(house: Any, uid: str) -> Missing:
    found = []
    if any(run.agent_uid == uid and run.ended is None for run in house.purse.runs):
        found.append("a run is open")
    if any(one.agent_uid == uid for one in house.kubelets.alive()):
        found.append("a container runs")
    return found


def _leftovers(house: Any, uid: str, *, pods: int) -> Missing:
    found = []
    for kind, most in ((kinds.POD, pods), (kinds.JOB, 0)):
        count = sum(_is_of(obj, uid) for _, obj in house.cluster.of(kind))
        if count > most:
            found.append(f"{count} of {kind.plural} are there")
    claims = sum(_is_of(obj, uid) for _, obj in house.cluster.of(kinds.PERSISTENT_VOLUME_CLAIM))
    if claims > pods:
        found.append(f"{claims} claims are there")
    return found


def _is_of(obj: Manifest, uid: str) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get("moorage.dev/agent-uid") == uid)
