"""Live objects as manifests again, to be compared with what is wanted."""

from typing import Any

import msgspec

from moorage.kube.objects import Job, Live, Pod

# The parts of a manifest that are compared with a live object; a test holds the builders to them.
COMPARED = (
    *("spec", "data", "immutable", "automountServiceAccountToken", "roleRef", "subjects"),
    *("addressType", "endpoints", "ports"),
)


def manifest_of(item: Live | Pod | Job) -> dict[str, Any]:
    """The object as a manifest: of pods and jobs only their identity, for they are never compared."""
    metadata: dict[str, Any] = {
        "name": item.metadata.name,
        "namespace": item.metadata.namespace,
        "uid": item.metadata.uid,
        "resourceVersion": item.metadata.resource_version,
        "deletionTimestamp": item.metadata.deletion_timestamp,
        "ownerReferences": [msgspec.to_builtins(owner) for owner in item.metadata.owner_references],
    }
    if not isinstance(item, Live):
        return {"metadata": metadata}
    metadata["labels"] = item.metadata.labels
    metadata["annotations"] = item.metadata.annotations
    return {
        "metadata": metadata,
        "spec": item.spec,
        "data": item.data,
        "immutable": item.immutable,
        "automountServiceAccountToken": item.automount_service_account_token,
        "roleRef": item.role_ref,
        "subjects": item.subjects,
        "addressType": item.address_type,
        "endpoints": item.endpoints,
        "ports": item.ports,
        "status": item.status,
    }
