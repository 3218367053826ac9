"""`--probe`: pods of our own try what the tenants' network policies promise, and are removed again."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from moorage import settings as knobs
from moorage.cli.preflight import cluster, connections
from moorage.cli.preflight.connections import Target
from moorage.cli.preflight.report import Finding, fail
from moorage.desired import network
from moorage.desired import pod as pods
from moorage.kube import kinds, logs
from moorage.kube.client import Client
from moorage.kube.views import AGENT_CONTAINER
from moorage.model import names
from moorage.model.errors import MoorageError, Transient, Unavailable
from moorage.model.metadata import Metadata
from moorage.model.namespace import EgressClass, TenantNamespace, TenantNamespaceSpec, WalletRef
from moorage.model.offer import MoverOffer, NetworkOffer, Platform
from moorage.settings import Settings, SettingsError

Manifest = dict[str, Any]  # JSON for the API server

# Labels of our own: those of agents are the operator's to give.
ROLE = "moorage-preflight/role"
READY_SECONDS_MAX = 90.0
POLL_SECONDS = 0.5


async def run(client: Client, namespace: str, image: str) -> list[Finding]:
    """Try the matrix for tenants without egress and for those with public HTTPS; what was made is gone afterwards."""
    try:
        settings = knobs.load((await cluster.place(client, namespace)).settings)
        image = image or settings.mover_image
        if not image:
            return [fail("probe", "no image to run", "Install the platform first, or name one with --image.")]
        return await _both(client, _offer(settings), image)
    except SettingsError as error:
        return [fail("probe", f"{error}", "Use the moorage of the installed version.")]
    except MoorageError as error:
        return [fail("probe", f"{error}", "Look at the pods in moorage-preflight-… while it runs.")]


async def _both(client: Client, offer: Platform, image: str) -> list[Finding]:
    tries = (_tried(client, offer, image, egress) for egress in (EgressClass.NONE, EgressClass.PUBLIC_HTTPS))
    # Each comes to its end, also when the other fails: only then is nothing left behind.
    findings: list[Finding] = []
    for answer in await asyncio.gather(*tries, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        findings += answer
    return findings


def _offer(settings: Settings) -> Platform:
    around = NetworkOffer(
        platform_namespace=settings.platform_namespace,
        denied=tuple(settings.egress_denied),
        ingress=settings.ingress_from,
    )
    mover = MoverOffer(image="", api_url="", api_ca_pem="", egress=())
    return Platform(
        sizes={},
        runtimes={},
        allowed_images=(),
        mover=mover,
        network=around,
        node_selector=settings.agent_node_selector,
        tolerations=tuple(settings.agent_tolerations),
    )


async def _tried(client: Client, offer: Platform, image: str, egress: EgressClass) -> list[Finding]:
    name = f"moorage-preflight-{secrets.token_hex(4)}"
    async with _namespace(client, name), _namespace(client, f"{name}-free"):
        for policy in policies(name, offer, egress):
            await client.apply(kinds.path_of(policy), policy)
        places = {"neighbour": name, "outsider": f"{name}-free"}
        for role, place in places.items():
            await _start(client, pod(place, role, offer, image, {}))
        ips = {role: await _address(client, place, role) for role, place in places.items()}
        wanted = connections.targets(
            neighbour=ips["neighbour"],
            outsider=ips["outsider"],
            name_service=await _name_service(client),
            public=egress is EgressClass.PUBLIC_HTTPS,
        )
        await _start(client, pod(name, "agent", offer, image, wanted))
        await _start(client, pod(f"{name}-free", "free", offer, image, connections.of_the_free(wanted)))
        agent = await _answer(client, name, "agent")
        free = await _answer(client, f"{name}-free", "free")
    return connections.judged(egress, wanted, agent, free)


def policies(namespace: str, offer: Platform, egress: EgressClass) -> list[Manifest]:
    """The policies of a tenant, for pods of the probe: other names and labels, the same rules."""
    spec = TenantNamespaceSpec(wallet_ref=WalletRef(name="none"), egress=egress)
    tenant = TenantNamespace(metadata=Metadata(name="preflight"), spec=spec)
    found = []
    for policy in network.policies(tenant, offer):
        selector = policy["spec"]["podSelector"]
        component = selector.get("matchLabels", {}).get(names.LABEL_COMPONENT)
        if component == names.COMPONENT_AGENT:
            selector = {"matchExpressions": [{"key": ROLE, "operator": "In", "values": ["agent", "neighbour"]}]}
        metadata = {"name": policy["metadata"]["name"], "namespace": namespace}
        found.append({**policy, "metadata": metadata, "spec": {**policy["spec"], "podSelector": selector}})
    return found


def pod(namespace: str, role: str, offer: Platform, image: str, wanted: Mapping[str, Target]) -> Manifest:
    """A pod of the probe, hardened as every other; without targets it only listens."""
    tried = {name: {"host": target.host, "port": target.port, "wanted": target.open} for name, target in wanted.items()}
    node = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
    container = {
        "name": AGENT_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", connections.SCRIPT],
        "env": [node, {"name": "TARGETS", "value": json.dumps(tried)}],
        "readinessProbe": {"tcpSocket": {"port": connections.PORT}, "periodSeconds": 1},
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": role, "namespace": namespace, "labels": {ROLE: role}},
        "spec": pods.spec(container, [], offer, restart_policy="Never", stop_seconds=0),
    }


@contextlib.asynccontextmanager
async def _namespace(client: Client, name: str) -> AsyncIterator[None]:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": pod_security()}}
    made = msgspec.json.decode(await client.create(kinds.collection_path(kinds.CORE_NAMESPACE), manifest))
    try:
        yield
    finally:
        await client.delete(kinds.object_path(kinds.CORE_NAMESPACE, "", name), uid=made["metadata"]["uid"])


def pod_security() -> dict[str, str]:
    """The labels by which the API server lets nothing but hardened pods in."""
    return {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


async def _start(client: Client, manifest: Manifest) -> None:
    """Create a pod; a namespace that was made a moment ago may have no service account yet."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            await client.create(kinds.collection_path(kinds.POD, manifest["metadata"]["namespace"]), manifest)
        except Transient:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(POLL_SECONDS)
        else:
            return


async def _address(client: Client, namespace: str, name: str) -> str:
    """The pod's address, once it listens."""

    def listens(status: Manifest) -> bool:
        return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))

    return str((await _until(client, namespace, name, listens))["podIP"])


async def _answer(client: Client, namespace: str, name: str) -> dict[str, bool]:
    """What a pod has printed, once it has ended."""
    await _until(client, namespace, name, lambda status: status.get("phase") in ("Succeeded", "Failed"))
    said = await logs.tail(client, namespace, name, lines=1, previous=False)
    try:
        return {str(what): bool(is_open) for what, is_open in json.loads(said[-1]).items()}
    except (IndexError, ValueError) as error:
        raise Unavailable(f"the pod {namespace}/{name} did not answer") from error


async def _until(client: Client, namespace: str, name: str, reached: Any) -> Manifest:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        found = await client.get(kinds.object_path(kinds.POD, namespace, name), Manifest)
        if found is not None and reached(found["status"]):
            return dict(found["status"])
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(f"the pod {namespace}/{name} did not get ready in {READY_SECONDS_MAX:.0f} s")


async def _name_service(client: Client) -> str:
    """The address of a pod of the cluster's name service; empty where there is none of the usual name."""
    label = "k8s-app=kube-dns"
    found, _version = await client.list(kinds.collection_path(kinds.POD, "kube-system"), Manifest, label_selector=label)
    return next((str(item["status"]["podIP"]) for item in found if item["status"].get("podIP")), "127.0.0.2")
