"""Status objects: which differences are worth a write, and what a written condition's transition time is; pure."""

from collections.abc import Mapping
from typing import Any

Status = Mapping[str, Any]


def same(seen: Status, wanted: Status) -> bool:
    """Whether two statuses say the same; transition times are a consequence, not a statement."""
    return _statement(seen) == _statement(wanted)


def dated(wanted: Status, seen: Status, now: str) -> dict[str, Any]:
    """The status to write: a condition whose status did not change keeps its transition time, others get `now`.

    Server-side apply does not do this for us. Conditions are sorted by type, so that equal statuses are equal bytes.
    """
    before = {item["type"]: item for item in seen.get("conditions") or ()}
    conditions = []
    for item in sorted(wanted.get("conditions") or (), key=lambda item: str(item["type"])):
        old = before.get(item["type"])
        kept = old.get("lastTransitionTime") if old is not None and old["status"] == item["status"] else None
        conditions.append({**item, "lastTransitionTime": kept or now})
    return {**wanted, "conditions": conditions} if conditions else dict(wanted)


def _statement(status: Status) -> dict[str, Any]:
    said = {name: value for name, value in status.items() if name != "conditions" and value is not None}
    for item in status.get("conditions") or ():
        said[f"conditions/{item['type']}"] = {
            name: value for name, value in item.items() if name != "lastTransitionTime"
        }
    return said
