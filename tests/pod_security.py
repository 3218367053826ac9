"""The restricted profile of Pod Security: what it refuses, one breach at a time, and a judge of pods of our own."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Manifest = dict[str, Any]
Spoil = Callable[[Manifest], None]

LISTS = ("initContainers", "containers")
# What a restricted pod may mount; every other kind of volume is a way to the node or to a network.
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
FOREIGN_VOLUMES: Mapping[str, Manifest] = {
    "hostPath": {"path": "/"},
    "nfs": {"server": "10.0.0.1", "path": "/"},
    "iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.com.example:x", "lun": 0},
    "cephfs": {"monitors": ["10.0.0.1"]},
    "rbd": {"monitors": ["10.0.0.1"], "image": "x"},
    "cinder": {"volumeID": "x"},
    "fc": {"targetWWNs": ["x"], "lun": 0},
    "flexVolume": {"driver": "example.com/x"},
    "flocker": {"datasetName": "x"},
    "gcePersistentDisk": {"pdName": "x"},
    "awsElasticBlockStore": {"volumeID": "x"},
    "azureDisk": {"diskName": "x", "diskURI": "https://example.com/x"},
    "azureFile": {"secretName": "x", "shareName": "x"},
    "glusterfs": {"endpoints": "x", "path": "x"},
    "portworxVolume": {"volumeID": "x"},
    "quobyte": {"registry": "10.0.0.1:1", "volume": "x"},
    "scaleIO": {"gateway": "x", "system": "x", "secretRef": {"name": "x"}, "volumeName": "x"},
    "storageos": {"volumeName": "x"},
    "vsphereVolume": {"volumePath": "x"},
    "gitRepo": {"repository": "https://example.com/x"},
}
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "BPF", "CHOWN", "SETUID", "ALL")
SYSCTLS = ("kernel.msgmax", "kernel.shm_rmid_forced2", "net.core.somaxconn", "vm.overcommit_memory")


def _in_spec(**fields: Any) -> Spoil:
    return lambda pod: pod["spec"].update(fields)


def _in_pod_security(**fields: Any) -> Spoil:
    return lambda pod: pod["spec"]["securityContext"].update(fields)


def _of_pod() -> dict[str, Spoil]:
    breaches = {f"{name} of the node": _in_spec(**{name: True}) for name in ("hostNetwork", "hostPID", "hostIPC")}
    breaches["root, for the pod"] = _in_pod_security(runAsUser=0)
    breaches["a root that nobody forbids"] = _in_pod_security(runAsNonRoot=False)
    breaches["no word on root"] = lambda pod: pod["spec"]["securityContext"].pop("runAsNonRoot")
    breaches["no seccomp, for the pod"] = _in_pod_security(seccompProfile={"type": "Unconfined"})
    breaches["no word on seccomp"] = lambda pod: pod["spec"]["securityContext"].pop("seccompProfile")
    breaches["no AppArmor, for the pod"] = _in_pod_security(appArmorProfile={"type": "Unconfined"})
    breaches["a SELinux type of the node"] = _in_pod_security(seLinuxOptions={"type": "spc_t"})
    breaches["a SELinux user"] = _in_pod_security(seLinuxOptions={"user": "system_u"})
    breaches["a SELinux role"] = _in_pod_security(seLinuxOptions={"role": "system_r"})
    for name in SYSCTLS:
        breaches[f"the sysctl {name}"] = _in_pod_security(sysctls=[{"name": name, "value": "1"}])
    for kind, source in FOREIGN_VOLUMES.items():
        breaches[f"a volume of the kind {kind}"] = _in_spec(volumes=[{"name": "v", kind: source}])
    return breaches


def _of_container() -> dict[str, Manifest]:
    drop = {"drop": ["ALL"]}
    breaches: dict[str, Manifest] = {
        "privileged": {"privileged": True, "allowPrivilegeEscalation": True},
        "more rights than it began with": {"allowPrivilegeEscalation": True},
        "no word on more rights": {"allowPrivilegeEscalation": None},
        "all capabilities it was given": {"capabilities": None},
        "most capabilities": {"capabilities": {"drop": ["NET_RAW"]}},
        "root": {"runAsUser": 0},
        "a root that it may become": {"runAsNonRoot": False},
        "no seccomp": {"seccompProfile": {"type": "Unconfined"}},
        "no AppArmor": {"appArmorProfile": {"type": "Unconfined"}},
        "a SELinux type of the node": {"seLinuxOptions": {"type": "spc_t"}},
        "the rights of a Windows host": {"windowsOptions": {"hostProcess": True}},
    }
    for name in CAPABILITIES:
        breaches[f"the capability {name}"] = {"capabilities": drop | {"add": [name]}}
    return breaches


def _in_container(kind: str, security: Manifest) -> Spoil:
    def spoil(pod: Manifest) -> None:
        context = _container(pod, kind)["securityContext"]
        context.update(security)
        for name in [name for name, value in context.items() if value is None]:
            del context[name]

    return spoil


def _host_port(kind: str) -> Spoil:
    return lambda pod: _container(pod, kind).update(ports=[{"containerPort": 80, "hostPort": 80}])


def _container(pod: Manifest, kind: str) -> Manifest:
    """The container that is spoiled: the pod's own, or one that runs before it."""
    if kind == "initContainers":
        pod["spec"][kind] = [{**copy.deepcopy(pod["spec"]["containers"][0]), "name": "first"}]
    found: Manifest = pod["spec"][kind][0]
    return found


def breaches() -> dict[str, Spoil]:
    """Sentence by sentence what makes a pod that was fit for the profile unfit for it."""
    found = _of_pod()
    for kind in LISTS:
        for name, security in _of_container().items():
            found[f"{kind}: {name}"] = _in_container(kind, security)
        found[f"{kind}: a port of the node"] = _host_port(kind)
    return found


def violations(spec: Mapping[str, Any]) -> list[str]:
    """Everything in a pod's spec that the restricted profile refuses, as paths; empty when it fits."""
    return [*_pod_violations(spec), *(found for kind in LISTS for found in _container_violations(spec, kind))]


def _pod_violations(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    if spec.get("ephemeralContainers"):
        yield "ephemeralContainers"
    security = spec.get("securityContext", {})
    yield from (f"securityContext.sysctls: {entry['name']}" for entry in security.get("sysctls", []))
    yield from _context_violations(security, "pod")
    for volume in spec.get("volumes", []):
        yield from (f"volumes: {kind}" for kind in volume.keys() - {"name"} - VOLUMES)


def _container_violations(spec: Mapping[str, Any], kind: str) -> Iterator[str]:
    pod = spec.get("securityContext", {})
    for container in spec.get(kind, []):
        own = container.get("securityContext", {})
        at = f"{kind}.{container['name']}"
        yield from _context_violations(own, at)
        merged = {**pod, **own}
        if merged.get("runAsNonRoot") is not True:
            yield f"{at}: runAsNonRoot"
        if merged.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{at}: seccompProfile"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{at}: allowPrivilegeEscalation"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{at}: capabilities"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{at}: hostPort"
        yield from (f"{at}: {name} of another host" for name, hook in _hooks(container) if hook.get("host"))


def _context_violations(security: Mapping[str, Any], at: str) -> Iterator[str]:
    if security.get("privileged") or security.get("windowsOptions", {}).get("hostProcess"):
        yield f"{at}: privileged"
    if security.get("procMount", "Default") != "Default":
        yield f"{at}: procMount"
    if security.get("runAsUser") == 0:
        yield f"{at}: runAsUser"
    if security.get("runAsNonRoot") is False:
        yield f"{at}: runAsNonRoot"
    if security.get("seLinuxOptions"):
        yield f"{at}: seLinuxOptions"
    yield from (
        f"{at}: {name}"
        for name in ("seccompProfile", "appArmorProfile")
        if security.get(name, {}).get("type") == "Unconfined"
    )


def _hooks(container: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every request that the node makes for a container."""
    named = {name: container.get(name, {}) for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    for name, hook in {**named, **container.get("lifecycle", {})}.items():
        for door in ("httpGet", "tcpSocket"):
            yield name, hook.get(door, {})
