"""Fields of a pod, of a volume or of the platform's own books, written into an Agent: there is no room for them."""

from collections.abc import Iterator
from typing import Any

from tests import pod_security
from tests.contract.guard.cluster import DRY
from tests.contract.guard.probes import probe
from tests.contract.guard.probes.probe import EDITOR, Probe

OF_A_POD: dict[str, Any] = {
    **dict.fromkeys(
        ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "automountServiceAccountToken"), True
    ),
    **dict.fromkeys(("privileged", "enableServiceLinks", "setHostnameAsFQDN", "hostUsers"), True),
    "securityContext": {"privileged": True},
    "podSecurityContext": {"runAsUser": 0},
    "serviceAccountName": "moorage-mover",
    "serviceAccount": "moorage-mover",
    "nodeName": "one",
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "runtimeClassName": "runc",
    "priorityClassName": "system-node-critical",
    "priority": 2_000_000_000,
    "preemptionPolicy": "Always",
    "schedulerName": "x",
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["x"]}],
    "hostname": "x",
    "dnsPolicy": "Default",
    "dnsConfig": {"nameservers": ["10.0.0.1"]},
    "imagePullSecrets": [{"name": "x"}],
    "imagePullPolicy": "Never",
    "initContainers": [{"name": "x", "image": "x"}],
    "containers": [{"name": "x", "image": "x"}],
    "sidecars": [{"name": "x", "image": "x"}],
    "ephemeralContainers": [{"name": "x", "image": "x"}],
    "template": {"spec": {}},
    "podTemplate": {"spec": {}},
    "podSpec": {"hostNetwork": True},
    "overrides": [{"op": "add"}],
    "manifests": [{"kind": "Pod"}],
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
    "volumes": [{"name": "x", "hostPath": {"path": "/"}}],
    "volumeMounts": [{"name": "x", "mountPath": "/"}],
    "volumeDevices": [{"name": "x", "devicePath": "/dev/x"}],
    "envFrom": [{"secretRef": {"name": "x"}}],
    "lifecycle": {"postStart": {"exec": {"command": ["x"]}}},
    "livenessProbe": {"exec": {"command": ["x"]}},
    "ports": [{"containerPort": 80, "hostPort": 80}],
    "resources": {"limits": {"cpu": "64"}},
    "resourceClaims": [{"name": "x"}],
    "overhead": {"cpu": "0"},
    "readinessGates": [{"conditionType": "x"}],
    "terminationGracePeriodSeconds": 86400,
    "activeDeadlineSeconds": 1,
    "restartPolicy": "Never",
    "workingDir": "/",
    "stdin": True,
    "tty": True,
}
OF_THE_PLATFORM: dict[str, Any] = {
    "walletRef": {"name": "other"},
    "wallet": "other",
    "namespace": "mn-other",
    "tenant": "other",
    "tenantUid": "x",
    "namespaceRef": {"name": "other"},
    "pricePerHour": "0",
    "rate": "0",
    "free": True,
    "billing": {"class": "free"},
    "incarnation": 7,
    "volumeGeneration": 7,
    "finalizers": [],
    "egress": "PublicHttps",
    "networkPolicy": {"egress": [{}]},
    "isolation": "Standard",
    "quota": {"agents": 10_000},
}
DEEPER: dict[str, Any] = {
    "env.[].valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}},
    "env.[].configMapKeyRef": {"name": "x", "key": "y"},
    "env.[].fieldRef": {"fieldPath": "status.hostIP"},
    "http.host": "169.254.169.254",
    "http.hostPort": 80,
    "http.nodePort": 30080,
    "http.type": "LoadBalancer",
    "http.scheme": "HTTPS",
    "quiesce.host": "169.254.169.254",
    "quiesce.exec": {"command": ["x"]},
    "quiesce.port": 10250,
    "storage.hostPath": "/",
    "storage.existingClaim": "data-other-1",
    "storage.claimName": "data-other-1",
    "storage.volumeName": "pv-other",
    "storage.storageClassName": "hostpath",
    "storage.subPath": "../..",
    "storage.dataSource": {"kind": "PersistentVolumeClaim", "name": "other"},
    "snapshots.bucket": "other",
    "snapshots.prefix": "../other",
    "restoreFrom.tenant": "other",
    "restoreFrom.url": "https://example.com/x",
    "restoreFrom.key": "x",
}
NEEDED: dict[str, Any] = {
    "env": [{"name": "A", "value": "b"}],
    "http": {"port": 8080},
    "quiesce": {"httpPath": "/quiesce"},
    "storage": {"size": "1Gi"},
    "snapshots": {"keep": 1},
    "restoreFrom": {"snapshot": f"snp_{'a' * 32}"},
}


def probes() -> Iterator[Probe]:
    """Each field, with a server that says no to what it does not know and with one that leaves it out."""
    of_security = {f"securityContext.{name}": True for name in ("privileged", "allowPrivilegeEscalation", "procMount")}
    of_volumes = {f"storage.{kind}": source for kind, source in pod_security.FOREIGN_VOLUMES.items()}
    for field, value in (OF_A_POD | OF_THE_PLATFORM | DEEPER | of_security | of_volumes).items():
        path = field.split(".")
        wanted = probe.nested(path, value)
        spec = probe.merged(probe.merged(probe.ours("Agent")["spec"], NEEDED), wanted)
        manifest = probe.ours("Agent", metadata={"name": "fresh"}) | {"spec": spec}
        yield probe.create(EDITOR, manifest, f"an agent with {field}, strictly", f"{DRY}&fieldValidation=Strict")
        yield probe.create(EDITOR, manifest, f"an agent with {field}", gained=_kept(path))


def allowed() -> Iterator[Probe]:
    """An agent with all that was only needed around the fields above."""
    manifest = probe.ours("Agent", metadata={"name": "fresh"}, spec=NEEDED)
    yield probe.create(EDITOR, manifest, "an agent with every field that there is", f"{DRY}&fieldValidation=Strict")


def _kept(path: list[str]) -> Any:
    return lambda answer: probe.at(answer["spec"], path) is not None
