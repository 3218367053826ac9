"""Whether a live object already is what a manifest wants, so that nothing needs to be written; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.kube.manifests import COMPARED
from moorage.model import quantity

# Maps of which we own every entry: one that we no longer want must go, so here more is not a match.
WHOLE = frozenset({"data", "hard", "matchLabels", "podSelector", "namespaceSelector", "selector", "nodeSelector"})
# Rules of network policies, to which the server adds nothing: whatever somebody else adds opens or closes something.
EXACT = frozenset({"ingress", "egress"})
# Maps of quantities, which the server keeps in a spelling of its own.
QUANTITIES = frozenset({"hard", "requests", "limits"})
METADATA = ("labels", "annotations", "ownerReferences")
UNCOMPARED = frozenset({"apiVersion", "kind", "metadata"})


def covers(live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether every field of the manifest has its value in the live object; a quantity may be spelt otherwise.

    The server leaves out empty lists and maps, so an empty one in the manifest matches an absent one.
    """
    unknown = desired.keys() - UNCOMPARED - set(COMPARED)
    if unknown:
        raise ValueError(f"a live object is kept without {sorted(unknown)}, so nothing can be compared with them")
    metadata = desired["metadata"]
    return all(
        _holds(live["metadata"].get(name), metadata[name], name) for name in METADATA if name in metadata
    ) and all(_holds(live.get(name), desired[name], name) for name in COMPARED if name in desired)


def _holds(live: Any, desired: Any, name: str) -> bool:
    if name in EXACT:
        return bool((live or []) == desired)
    if isinstance(desired, Mapping):
        return _holds_map(live or {}, desired, name)
    if isinstance(desired, list | tuple):
        return _holds_list(live or [], desired)
    if desired is None:
        return live is None
    return type(live) is type(desired) and bool(live == desired)


def _holds_map(live: Any, desired: Mapping[str, Any], its_name: str) -> bool:
    if not isinstance(live, Mapping) or (its_name in WHOLE and live.keys() - desired.keys()):
        return False
    if its_name in QUANTITIES:
        return all(_is_as_much(live.get(name), value) for name, value in desired.items())
    return all(_holds(live.get(name), value, name) for name, value in desired.items())


def _is_as_much(live: Any, desired: Any) -> bool:
    wanted = quantity.number(desired)
    return _holds(live, desired, "") if wanted is None else quantity.number(live) == wanted


def _holds_list(live: Any, desired: Sequence[Any]) -> bool:
    if not isinstance(live, list | tuple) or len(live) != len(desired):
        return False
    if _named(live) and _named(desired):
        by_name = {item["name"]: item for item in live}
        return all(_holds(by_name.get(item["name"]), item, "") for item in desired)
    return all(_holds(theirs, ours, "") for theirs, ours in zip(live, desired, strict=True))


def _named(items: Sequence[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)
