"""What should exist for one agent: its files, its volume, its service and its pod."""

from moorage.desired import gate, metadata, pod
from moorage.desired.metadata import Manifest
from moorage.model import names, quantity
from moorage.model.agent import Agent, EnvVar, Http
from moorage.model.errors import Permanent
from moorage.model.offer import Platform, SizeClass
from moorage.model.reasons import Reason

CONTAINER = "agent"
DATA_PATH = "/data"
FILES_PATH = "/etc/agent"
# Disk for logs and /tmp beside the volume. The request is zero, not absent: absent would mean the limit, and a node
# would be full on paper long before it is.
EPHEMERAL_REQUEST = "0"
EPHEMERAL_LIMIT_MIB = 1024
BYTES_PER_MIB = 1 << 20


def check(agent: Agent, platform: Platform) -> Reason | None:
    """The first thing that keeps this spec from running here, or None; only the platform can know these."""
    try:
        size_class(agent, platform)
        image(agent, platform)
        pod.sandbox(platform)
    except Permanent as problem:
        return problem.reason
    return None


def size_class(agent: Agent, platform: Platform) -> SizeClass:
    """CPU, memory and price of the agent; raises Permanent when the platform has no such size."""
    found = platform.sizes.get(agent.spec.size)
    if found is None:
        raise Permanent(Reason.SIZE_UNKNOWN)
    return found


def image(agent: Agent, platform: Platform) -> str:
    """The image to run; raises Permanent when the runtime is unknown or the image is not allowed."""
    wanted, runtime = agent.spec.image, agent.spec.runtime
    if wanted is not None and runtime is None:
        # A prefix ends at a separator, so `registry/acme/` does not let `registry/acme-evil/bot` through.
        if not any(wanted.startswith(prefix) for prefix in platform.allowed_images):
            raise Permanent(Reason.IMAGE_NOT_ALLOWED)
        return wanted
    if runtime is not None and wanted is None:
        if runtime not in platform.runtimes:
            raise Permanent(Reason.RUNTIME_UNKNOWN)
        return platform.runtimes[runtime]
    raise Permanent(Reason.SPEC_INVALID)


def pod_hash(agent: Agent, platform: Platform) -> str:
    """Hash of everything that needs a new incarnation when it changes.

    It covers what the tenant and the platform's offer say, not the manifest: a new release of the operator with a
    better baseline must not replace every running pod. The size's name is in it because a run has one price.
    """
    spec, size = agent.spec, size_class(agent, platform)
    return metadata.digest(
        [
            image(agent, platform),
            [spec.size, size.cpu, size.memory],
            spec.command,
            spec.args,
            spec.env,
            spec.files,
            spec.storage is not None,
            spec.http,
            *([spec.quiesce] if spec.quiesce else []),
            *([platform.sandbox_runtime_class] if platform.sandboxed else []),
        ]
    )


def children(
    agent: Agent,
    *,
    volume_generation: int,
    incarnation: int,
    platform: Platform,
    with_pod: bool,
    volume_floor_mib: int = 0,
) -> list[Manifest]:
    """Everything that should exist for this agent now, in the order in which it is to be applied."""
    manifests = []
    if agent.spec.files:
        manifests.append(_files(agent))
    if agent.spec.storage is not None:
        size = _volume_size(agent.spec.storage.size, volume_floor_mib)
        manifests.append(_volume(agent, size, volume_generation, platform))
    if agent.spec.http is not None:
        manifests.append(_service(agent, agent.spec.http, volume_generation))
    if with_pod:
        manifests.append(_pod(agent, volume_generation, incarnation, platform))
    return manifests


def _files(agent: Agent) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(agent, names.agent_files(agent.metadata.name)),
        "data": dict(agent.spec.files),
    }


def _volume_size(ordered: str, floor_mib: int) -> str:
    """The size of a claim: as ordered, or more where a snapshot holds more, with an eighth for the file system."""
    ordered_bytes = quantity.number(ordered)
    if ordered_bytes is None or ordered_bytes >= floor_mib * BYTES_PER_MIB:
        return ordered
    return f"{floor_mib * 9 // 8 + 1}Mi"


def _volume(agent: Agent, size: str, generation: int, platform: Platform) -> Manifest:
    # No owner reference: data leaves only by our own hand, after a verified snapshot (see metadata.owned_by).
    meta: Manifest = {
        "name": names.agent_volume(agent.metadata.name, generation),
        "namespace": agent.metadata.namespace,
        "labels": metadata.agent_labels(agent, names.COMPONENT_AGENT),
    }
    if platform.volume_annotations:
        meta["annotations"] = dict(platform.volume_annotations)
    claim: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if platform.storage_class is not None:
        claim["storageClassName"] = platform.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim}


def _service(agent: Agent, http: Http, volume_generation: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(agent, names.agent_service(agent.metadata.name)),
        "spec": {
            "selector": {
                names.LABEL_COMPONENT: names.COMPONENT_AGENT,
                names.LABEL_AGENT_UID: agent.metadata.uid,
                # A pod that was left on a lost node has the generation before, and gets nothing when it comes back.
                names.LABEL_GENERATION: str(volume_generation),
            },
            "ports": [{"name": "http", "protocol": "TCP", "port": http.port, "targetPort": http.port}],
        },
    }


def _pod(agent: Agent, volume_generation: int, incarnation: int, platform: Platform) -> Manifest:
    container, volumes = _container(agent, platform), []
    if agent.spec.storage is not None:
        claim = names.agent_volume(agent.metadata.name, volume_generation)
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
        container["volumeMounts"].append({"name": "data", "mountPath": DATA_PATH})
    if agent.spec.files:
        volumes.append({"name": "files", "configMap": {"name": names.agent_files(agent.metadata.name)}})
        container["volumeMounts"].append({"name": "files", "mountPath": FILES_PATH, "readOnly": True})
    meta = _metadata(agent, names.agent_pod(agent.metadata.name, incarnation))
    meta["labels"] = meta["labels"] | {names.LABEL_GENERATION: str(volume_generation)}
    meta["annotations"] = {names.ANNOTATION_SPEC_HASH: pod_hash(agent, platform)}
    # The node asks; the operator needs no way into tenants' pods for it.
    patience = pod.STOP_GRACE_SECONDS + (agent.spec.quiesce.timeout_seconds if agent.spec.quiesce else 0)
    closed = gate.container(platform.mover.image, container["resources"]) if platform.network.gate else None
    spec = pod.spec(container, volumes, platform, restart_policy="Always", stop_seconds=patience, before=closed)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _container(agent: Agent, platform: Platform) -> Manifest:
    size = size_class(agent, platform)
    container: Manifest = {
        "name": CONTAINER,
        "image": image(agent, platform),
        "resources": {
            "requests": {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": EPHEMERAL_REQUEST},
            "limits": {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": f"{EPHEMERAL_LIMIT_MIB}Mi"},
        },
        "volumeMounts": [],
    }
    if agent.spec.command:
        container["command"] = list(agent.spec.command)
    if agent.spec.args:
        container["args"] = list(agent.spec.args)
    if agent.spec.env:
        container["env"] = [_variable(entry) for entry in agent.spec.env]
    if agent.spec.http is not None:
        container |= _serving(agent.spec.http)
        if agent.spec.quiesce is not None:
            hook = {"path": agent.spec.quiesce.http_path, "port": agent.spec.http.port}
            container["lifecycle"] = {"preStop": {"httpGet": hook}}
    return container


def _serving(http: Http) -> Manifest:
    probe = {"httpGet": {"path": http.health_path, "port": http.port}}
    return {
        "ports": [{"name": "http", "protocol": "TCP", "containerPort": http.port}],
        # Asked every second from the start, because ready is what the customer waits for after a top-up.
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
        # Slow on purpose: a start may take two minutes, and a busy agent must not be killed for one late answer. A
        # startup probe would give it no more time, and hold the readiness probe back until it has passed.
        "livenessProbe": {
            **probe,
            "initialDelaySeconds": 60,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }


def _variable(entry: EnvVar) -> Manifest:
    if entry.secret_key_ref is not None:
        reference = {"name": entry.secret_key_ref.name, "key": entry.secret_key_ref.key}
        return {"name": entry.name, "valueFrom": {"secretKeyRef": reference}}
    return {"name": entry.name, "value": entry.value or ""}


def _metadata(agent: Agent, name: str) -> Manifest:
    return {
        "name": name,
        "namespace": agent.metadata.namespace,
        "labels": metadata.agent_labels(agent, names.COMPONENT_AGENT),
        "ownerReferences": metadata.owned_by("Agent", agent.metadata),
    }
