"""What the cluster offers the platform: its version, our kinds, policies, storage, network and Secrets."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from moorage import settings as knobs
from moorage.cli.preflight.report import Finding, fail, ok, warn
from moorage.kube import crds, failures, kinds
from moorage.kube.client import Client
from moorage.model import names

Manifest = dict[str, Any]  # JSON of any kind, of which a check reads a field or two

SETTINGS = "moorage-settings"
POLICIES = "moorage-policies"
MINOR_MIN = 30
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
OPERATOR = "moorage-operator"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
LOCAL_PATH = "rancher.io/local-path"
# CVE-2025-62878: a claim's annotations could lead its directory out of the folder of volumes.
LOCAL_PATH_MIN = (0, 0, 34)
# Names by which the usual policy engines run, in any namespace.
ENGINES = ("calico-node", "cilium", "kube-router", "weave-net", "antrea-agent", "ovnkube-node", "kube-network-policies")
# The chart's Secrets by their default names; without the root key no snapshot can be read.
SECRETS = {"moorage-root-key": "root-key", "moorage-database": "url", "moorage-store": "secret-key"}
VITAL = "moorage-root-key"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the platform is or will be, and its settings as far as they are known."""

    namespace: str
    settings: Mapping[str, str]
    """By the name of the variable."""


async def place(client: Client, namespace: str) -> Place:
    """The installed platform's settings; what the environment says wins."""
    try:
        found = await client.get(kinds.object_path(kinds.CONFIG_MAP, namespace, SETTINGS), Manifest) or {}
    except failures.Refused:  # somebody with few rights; the checks themselves say what they could not read
        found = {}
    ours = {name: text for name, text in os.environ.items() if name.startswith(knobs.PREFIX)}
    return Place(namespace, {**found.get("data", {}), **ours})


async def api_server(client: Client) -> list[Finding]:
    """New enough for admission policies, which keep tenants from what is not theirs."""
    version = await client.get("/version", Manifest) or {}
    told, minor = str(version.get("gitVersion", "")), re.match(r"\d+", str(version.get("minor", "")))
    if not minor or int(minor[0]) < MINOR_MIN:
        return [fail("API server", told or "unknown", f"Upgrade to Kubernetes 1.{MINOR_MIN} or newer.")]
    served = {item["name"] for item in (await client.get(ADMISSION, Manifest) or {}).get("resources", ())}
    if "validatingadmissionpolicies" not in served:
        return [
            fail("API server", f"{told} without ValidatingAdmissionPolicy", "Enable admissionregistration.k8s.io/v1.")
        ]
    return [ok("API server", told)]


async def our_kinds(client: Client, _: Place) -> list[Finding]:
    """The four kinds, if they are there, are served as this version reads them."""
    found = await client.get(f"/apis/{names.GROUP}/{names.VERSION}", Manifest)
    served = {item["name"] for item in (found or {}).get("resources", ())}
    missing = [plural for plural in crds.PLURALS if plural not in served]
    if len(missing) == len(crds.PLURALS):
        return [warn("kinds", "not installed", "Install the chart moorage-crds first.")]
    if missing:
        return [fail("kinds", f"{', '.join(missing)} missing", "Install the chart moorage-crds of this version.")]
    for plural in crds.PLURALS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{names.GROUP}"
        stored = (await client.get(path, Manifest) or {}).get("status", {}).get("storedVersions", [])
        if set(stored) - {names.VERSION}:
            return [fail("kinds", f"{plural} stored as {', '.join(stored)}", "A newer Moorage was here; install that.")]
    return [ok("kinds", f"{names.GROUP}/{names.VERSION}, all four")]


async def policies(client: Client, where: Place) -> list[Finding]:
    """After the install, every admission policy is there and bound."""
    path = f"/apis/apps/v1/namespaces/{where.namespace}/deployments/{OPERATOR}"
    if await client.get(path, Manifest) is None:
        return [ok("admission policies", f"not expected: there is no {OPERATOR} in {where.namespace} yet")]
    rules, _ = await client.list(f"{ADMISSION}/validatingadmissionpolicies", Manifest)
    bindings, _ = await client.list(f"{ADMISSION}/validatingadmissionpolicybindings", Manifest)
    bound = {item["spec"]["policyName"] for item in bindings}
    ours = {name for item in rules if (name := item["metadata"]["name"]).startswith("moorage-")}
    advice = "Run `helm upgrade` with this version's chart; until then tenants can do more than they may."
    missing = await _expected_policies(client, where) - ours
    if missing or not ours:
        return [fail("admission policies", f"missing: {', '.join(sorted(missing)) or 'all'}", advice)]
    if ours - bound:
        return [fail("admission policies", f"not bound: {', '.join(sorted(ours - bound))}", advice)]
    return [ok("admission policies", f"{len(ours)}, all bound")]


async def _expected_policies(client: Client, where: Place) -> set[str]:
    """The policies that the chart has installed, as it has written them down for the operator."""
    found = await client.get(kinds.object_path(kinds.CONFIG_MAP, where.namespace, POLICIES), Manifest) or {}
    return set(msgspec.json.decode(found.get("data", {}).get("policies.json", "{}"), type=Manifest))


async def storage(client: Client, where: Place) -> list[Finding]:
    """A class for agents' volumes: the chosen one, or exactly one default."""
    wanted = where.settings.get("MOORAGE_STORAGE_CLASS", "")
    classes, _ = await client.list(kinds.collection_path(kinds.STORAGE_CLASS), Manifest)
    marked = [item for item in classes if item["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"]
    chosen = [item for item in classes if item["metadata"]["name"] == wanted] if wanted else marked
    if not chosen:
        found = f"no class {wanted}" if wanted else "no default class"
        return [fail("storage", found, "Install a CSI driver or local-path, or set agents.storageClass.")]
    if len(chosen) > 1:
        told = ", ".join(item["metadata"]["name"] for item in chosen)
        return [warn("storage", f"several default classes: {told}", "Set agents.storageClass, or keep one default.")]
    (item,) = chosen
    told = f"{item['metadata']['name']} ({item['provisioner']})"
    findings = [ok("storage", told)]
    if item.get("volumeBindingMode") != "WaitForFirstConsumer":
        advice = "Prefer WaitForFirstConsumer: a volume may end up where its agent finds no room."
        findings = [warn("storage", f"{told} binds at once", advice)]
    if item["provisioner"] == LOCAL_PATH:
        findings.append(await _local_path(client))
    return findings


async def _local_path(client: Client) -> Finding:
    deployments, _ = await client.list("/apis/apps/v1/deployments", Manifest)
    pods = [item["spec"]["template"]["spec"] for item in deployments]
    images = [each["image"] for pod in pods for each in pod["containers"] if "local-path-provisioner" in each["image"]]
    advice = "Use 0.0.34 or newer: CVE-2025-62878 lets a claim write outside the folder of volumes."
    if not images:
        return warn("local-path", "runs outside the cluster; its version is not known", advice)
    found = re.search(r":v?(\d+)\.(\d+)\.(\d+)", images[0])
    if found is None or tuple(int(part) for part in found.groups()) < LOCAL_PATH_MIN:
        return warn("local-path", images[0].rsplit("/", 1)[-1], advice)
    return ok("local-path", images[0].rsplit("/", 1)[-1])


async def network(client: Client, _: Place) -> list[Finding]:
    """Something enforces network policies; the API server itself never does."""
    sets, _version = await client.list("/apis/apps/v1/daemonsets", Manifest)
    running = {item["metadata"]["name"] for item in sets}
    engines = sorted(name for name in running if any(name.startswith(engine) for engine in ENGINES))
    if engines:
        return [ok("network policies", ", ".join(engines))]
    nodes, _version = await client.list(kinds.collection_path(kinds.NODE), Manifest)
    if nodes and all("+k3s" in item["status"]["nodeInfo"]["kubeletVersion"] for item in nodes):
        return [ok("network policies", "K3s brings its own engine")]
    advice = "Make sure that one runs, and try it after the install with `moorage preflight --probe`."
    return [warn("network policies", "no engine that we know", advice)]


async def sandbox(client: Client, where: Place) -> list[Finding]:
    """A runtime for tenants with `isolation: Sandboxed`."""
    wanted = where.settings.get("MOORAGE_SANDBOX_RUNTIME_CLASS", "")
    found, _version = await client.list("/apis/node.k8s.io/v1/runtimeclasses", Manifest)
    handlers = {item["metadata"]["name"]: item["handler"] for item in found}
    if wanted in handlers:
        return [ok("sandbox", f"{wanted} ({handlers[wanted]})")]
    if wanted:
        return [fail("sandbox", f"no RuntimeClass {wanted}", "Install it, or correct MOORAGE_SANDBOX_RUNTIME_CLASS.")]
    told = f"none chosen of {', '.join(sorted(handlers))}" if handlers else "none"
    advice = "Set MOORAGE_SANDBOX_RUNTIME_CLASS where tenants with `isolation: Sandboxed` are to run."
    return [warn("sandbox", told, advice)]


async def secrets(client: Client, where: Place) -> list[Finding]:
    """The Secrets that the chart names; only whether they are there, and have their key."""
    namespace = where.namespace
    missing = []
    for name, key in SECRETS.items():
        try:
            found = await client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}", Manifest)
        except failures.Refused:
            return [
                warn("Secrets", f"may not be read in {namespace}", f"Make sure that {', '.join(SECRETS)} are there.")
            ]
        if found is None or key not in found.get("data", {}):
            missing.append((name, key))
    if not missing:
        return [ok("Secrets", f"{', '.join(SECRETS)} in {namespace}")]
    return [
        (fail if name == VITAL else warn)(
            "Secrets",
            f"{name} is not in {namespace}, or lacks the key {key}",
            f"kubectl -n {namespace} create secret generic {name} --from-file={key}=…, or name another in the values.",
        )
        for name, key in missing
    ]
