"""Whether an object that already has a name we need is ours to write; pure."""

from collections.abc import Mapping
from typing import Any

from moorage.kube.failures import Conflict
from moorage.model.errors import Permanent
from moorage.model.names import LABEL_AGENT, LABEL_AGENT_UID, LABEL_TENANT_UID
from moorage.model.reasons import Reason

Manifest = Mapping[str, Any]


def claim(live: Manifest, manifest: Manifest) -> None:
    """Return if the live object belongs to the manifest's owner; raise otherwise.

    Conflict when it is a leftover of a former owner of the same name that is about to go;
    Permanent(NAME_TAKEN) when it is somebody else's, or data of a former Agent, which nobody removes in passing.
    """
    ours, theirs = controller_of(manifest), controller_of(live)
    name = live["metadata"]["name"]
    if ours is None:
        if not manifest["metadata"].get("namespace") and _same_tenant(live, manifest):
            return
        raise Permanent(Reason.NAME_TAKEN, f"{name} exists and is not this tenant's")
    if theirs is not None and theirs["uid"] == ours["uid"]:
        return
    former = theirs is not None and (theirs["kind"], theirs["name"]) == (ours["kind"], ours["name"])
    if former and _goes(live):
        raise Conflict(f"{name} still belongs to a former {ours['kind']} of the same name", retry_after_seconds=1.0)
    raise Permanent(Reason.NAME_TAKEN, f"{name} exists and has another owner")


def controller_of(manifest: Manifest) -> Manifest | None:
    """The owner reference that controls an object; of a volume claim, the agent that its labels name."""
    references: list[Manifest] = manifest["metadata"].get("ownerReferences") or []
    owner = next((owner for owner in references if owner.get("controller")), None)
    labels = manifest["metadata"].get("labels") or {}
    if owner is None and LABEL_AGENT_UID in labels:
        return {"kind": "Agent", "name": labels.get(LABEL_AGENT), "uid": labels[LABEL_AGENT_UID]}
    return owner


def _goes(live: Manifest) -> bool:
    """Whether the garbage collector takes it with its owner, or somebody has asked for its deletion."""
    metadata = live["metadata"]
    return bool(metadata.get("ownerReferences") or metadata.get("deletionTimestamp"))


def _same_tenant(live: Manifest, manifest: Manifest) -> bool:
    """Whether a core namespace carries the uid of its tenant; a name alone could be a stranger's."""
    wanted = (manifest["metadata"].get("labels") or {}).get(LABEL_TENANT_UID)
    return wanted is not None and (live["metadata"].get("labels") or {}).get(LABEL_TENANT_UID) == wanted
