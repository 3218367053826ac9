"""One thing that somebody tries which they must not get, and how it is seen that they did not."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.contract.guard import scene
from tests.contract.guard.cluster import APPLY, DRY, Guarded, Manifest, Who, path_of

EDITOR, VIEWER = Who("prober-who-edits"), Who("prober-who-views")
REFUSED = (400, 403, 422)
# The server has much to do, and asks to come again; that is no answer to our question.
BUSY = (429, 503, 504)
BUSY_TRIES_MAX = 100
MERGE, PATCH, SERVER_SIDE = "merge-patch+json", "json-patch+json", "apply-patch+yaml"


def _whatever(answer: Manifest) -> bool:
    """Any answer but a refusal is a success."""
    return True


@dataclass(frozen=True)
class Probe:
    """One request. `gained` says of an answer with success whether it gave what was wanted, or left it out."""

    what: str
    who: Who
    method: str
    path: str
    body: Any = None
    content: str = "json"
    gained: Callable[[Manifest], bool] = _whatever


@dataclass(slots=True)
class Outcome:
    """How many probes ran in each class, which had success, and which got an answer that is neither."""

    ran: Counter[str]
    succeeded: list[str]
    unclear: list[str]

    def told(self) -> str:
        """One line for each class, and the sum."""
        lines = [f"{count:5} {name}" for name, count in sorted(self.ran.items())]
        return "\n".join([*lines, f"{self.ran.total():5} probes, {len(self.succeeded)} successes"])


def answered(server: Guarded, probe: Probe) -> tuple[int, Manifest]:
    """The server's answer."""
    for _ in range(BUSY_TRIES_MAX):
        status, answer = server.ask(
            probe.who, probe.method, probe.path, probe.body, content_type=f"application/{probe.content}"
        )
        if status not in BUSY:
            break
    return status, answer


def run(server: Guarded, classes: Mapping[str, Iterable[Probe]]) -> Outcome:
    """Try everything; nothing is kept where the API server can be asked to only try."""
    outcome = Outcome(Counter(), [], [])
    for name, probes in classes.items():
        for probe in probes:
            outcome.ran[name] += 1
            status, answer = answered(server, probe)
            told = f"{name}: {probe.who.name} {probe.what}: {status} {str(answer.get('message'))[:200]}"
            if status in (200, 201, 202):
                outcome.succeeded += [told] if probe.gained(answer) else []
            elif status not in REFUSED:
                outcome.unclear.append(told)
    return outcome


def create(who: Who, manifest: Manifest, what: str, query: str = DRY, **more: Any) -> Probe:
    """An object is made."""
    return Probe(f"makes {what}", who, "POST", f"{path_of(manifest).rpartition('/')[0]}?{query}", manifest, **more)


def apply(who: Who, manifest: Manifest, what: str, manager: str = "contract", **more: Any) -> Probe:
    """An object is applied, in the name of a field manager."""
    path = f"{path_of(manifest)}?{DRY}&{APPLY.replace('contract', manager)}"
    return Probe(f"applies as {manager} {what}", who, "PATCH", path, manifest, content=SERVER_SIDE, **more)


def merge(who: Who, path: str, change: Manifest, what: str, **more: Any) -> Probe:
    """A change is merged into an object."""
    return Probe(f"merges {what}", who, "PATCH", f"{path}?{DRY}", change, content=MERGE, **more)


def add(who: Who, path: str, place: Sequence[str], value: Any, what: str, **more: Any) -> Probe:
    """One value is put into an object."""
    pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in place)
    change = [{"op": "add", "path": pointer, "value": value}]
    return Probe(f"adds {what}", who, "PATCH", f"{path}?{DRY}", change, content=PATCH, **more)


def delete(who: Who, path: str, what: str) -> Probe:
    """An object is deleted."""
    return Probe(f"deletes {what}", who, "DELETE", f"{path}?{DRY}")


def nested(path: Sequence[str], value: Any) -> Any:
    """The value at a place inside an object; `[]` is a list of one."""
    for step in reversed(path):
        value = [value] if step == "[]" else {step: value}
    return value


def merged(one: Any, other: Any) -> Any:
    """Both, where both are objects or lists of one; else the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0])] if one else other
    return other


def at(found: Any, path: Sequence[str]) -> Any:
    """What is at that place, None when nothing is."""
    for step in path:
        if step == "[]":
            found = found[0] if isinstance(found, list) and found else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    return found


def holds(answer: Manifest, text: str) -> bool:
    """Whether that text is anywhere in what was kept of the wish."""
    return text in json.dumps(answer.get("spec", {}), ensure_ascii=False)


def ours(kind: str, **parts: Any) -> Manifest:
    """The least that an object of ours has to say, in the tenant's own namespace where it has one."""
    spec: Manifest = {
        "Agent": {"runtime": "chatbot", "size": "small"},
        "Domain": {"hostname": "bot.example.com", "agentRef": {"name": "target"}},
        "Namespace": {"walletRef": {"name": "acme"}},
        "Wallet": {},
    }[kind]
    found = scene.made("moorage.dev/v1alpha1", kind, "target", spec=spec)
    if kind in ("Namespace", "Wallet"):
        del found["metadata"]["namespace"]
    return {**found, **merged(found, parts)}
