"""The official client's schema as an independent opinion: what of a manifest it does not accept."""

import json
from typing import Any

import pydantic
from kubernetes import client

CLASSES: dict[tuple[str, str], Any] = {  # Any: the client has no types of its own
    ("v1", "Namespace"): client.V1Namespace,
    ("v1", "ResourceQuota"): client.V1ResourceQuota,
    ("v1", "ServiceAccount"): client.V1ServiceAccount,
    ("v1", "ConfigMap"): client.V1ConfigMap,
    ("v1", "PersistentVolumeClaim"): client.V1PersistentVolumeClaim,
    ("v1", "Service"): client.V1Service,
    ("v1", "Pod"): client.V1Pod,
    ("v1", "Secret"): client.V1Secret,
    ("apps/v1", "Deployment"): client.V1Deployment,
    ("batch/v1", "Job"): client.V1Job,
    ("networking.k8s.io/v1", "Ingress"): client.V1Ingress,
    ("discovery.k8s.io/v1", "EndpointSlice"): client.V1EndpointSlice,
    ("networking.k8s.io/v1", "NetworkPolicy"): client.V1NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): client.V1PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): client.V1ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): client.V1ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): client.V1Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): client.V1RoleBinding,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): client.V1MutatingAdmissionPolicy,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): client.V1MutatingAdmissionPolicyBinding,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): client.V1ValidatingAdmissionPolicy,
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): client.V1ValidatingAdmissionPolicyBinding,
}


def problems(manifest: dict[str, Any]) -> list[str]:
    """Unknown fields, wrong types and missing required fields by their place; empty when it fits."""
    kind = CLASSES[manifest["apiVersion"], manifest["kind"]]
    try:
        kind.model_validate_json(json.dumps(manifest), strict=True)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(str(step) for step in item['loc'])}: {item['type']}" for item in error.errors()]
    return []
