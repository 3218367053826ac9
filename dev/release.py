"""The two charts on the cluster: kinds, rights, policies, and operator and API where they run as pods."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # values of a chart are free-form

from dev import cluster, environment, processes, secret_files, services, toolchain
from dev.layout import Layout
from dev.trouble import Trouble

NAME, NAMESPACE = "moorage", "moorage-system"
PARTS = ("operator", "api")
HELM_SECONDS_MAX = 300
REVISIONS_KEPT = 5
# The strictest profile also where the platform itself runs; `helm` does not touch a namespace that exists.
SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}


@dataclass(frozen=True)
class Installation:
    """What this installation is told beyond the charts' own defaults."""

    values: Mapping[str, Any]
    secrets: Mapping[str, Mapping[str, str]]
    """Name of a Secret to its keys and texts; the charts only name them."""


def of_rights_only() -> Installation:
    """Everything but pods: for operator and API that run as programs beside the cluster."""
    nobody = {part: {"replicas": 0} for part in PARTS}
    # With the rights for host names, in case the programs are told of a zone; these values tell nobody.
    names = {"zone": "agents.test", "target": "192.0.2.1"}
    return Installation({**nobody, "store": {"endpoint": "http://nowhere.invalid"}, "domains": names}, {})


def install(layout: Layout, wanted: Installation, *, wait: bool, charts: Path | None = None) -> None:
    """Install or upgrade both charts, this folder's unless told; with `wait` until operator and API are ready."""
    toolchain.ensure(layout, "helm")
    objects = [_namespace(), *(_secret(name, content) for name, content in wanted.secrets.items())]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", "-", input=given)
    values = layout.run / "platform" / "values.yaml"
    secret_files.write(values, json.dumps(wanted.values).encode())
    charts = charts or layout.root / "charts"
    waiting = ["--wait=watcher", f"--timeout={HELM_SECONDS_MAX}s"]
    # Helm waits until the kinds are served; `kubectl wait` stumbles over one without conditions yet.
    _upgrade(layout, f"{NAME}-crds", charts / "moorage-crds", *waiting)
    _upgrade(layout, NAME, charts / "moorage", f"--values={values}", *(waiting if wait else ["--wait=hookOnly"]))


def spare(layout: Layout) -> None:
    """Refuse to touch a platform that runs as pods on a cluster that is not ours: somebody lives by it."""
    running = [item for item in _deployments(layout) if item["spec"].get("replicas")] if layout.external else []
    if running:
        raise Trouble(
            f"Moorage runs on that cluster already, in {NAMESPACE}: `helm upgrade` is the way to change it. "
            "Name another cluster."
        )


def scale_down(layout: Layout) -> None:
    """Let operator and API of our own cluster end before what they stand on."""
    if layout.external:
        return
    deployments = [f"deployment/moorage-{part}" for part in PARTS]
    cluster.kubectl(layout, f"--namespace={NAMESPACE}", "scale", "--replicas=0", *deployments)


def status(layout: Layout) -> list[str]:
    """A line for each part that runs as pods."""
    lines = []
    for item in _deployments(layout):
        part, said = item["metadata"]["name"].removeprefix("moorage-"), item.get("status", {})
        ready = f"{said.get('readyReplicas', 0)} of {item['spec']['replicas']} ready"
        lines.append(f"{part:<10} {ready}, log: kubectl -n {NAMESPACE} logs deploy/moorage-{part}")
    return lines


def local(layout: Layout, settings: Mapping[str, str], image: str) -> Installation:
    """Operator and API as pods of the local cluster, on the servers of the local node."""
    place = services.places(layout)
    repository, _, tag = image.rpartition(":")
    store = {name.removeprefix(services.STORE_PREFIX): text for name, text in services.store_settings(layout).items()}
    values = {
        "image": {"repository": repository, "tag": tag},
        "store": {
            "endpoint": store["ENDPOINT"],
            "region": store["REGION"],
            "bucket": store["BUCKET"],
            "accessKey": store["ACCESS_KEY"],
            "egress": [environment.egress_to(place, store["ENDPOINT"])],
        },
        "settings": dict(settings),
    }
    url = services.database_url(layout, on_host=False).replace("127.0.0.1", place.pods_see)
    secret_key = Path(store["SECRET_KEY_FILE"]).read_text().strip()
    root_key = environment.root_key(layout).read_text().strip()
    secrets = {
        "moorage-database": {"url": url},
        "moorage-store": {"secret-key": secret_key},
        "moorage-root-key": {"root-key": root_key},
    }
    return Installation(values, secrets)


def helm(layout: Layout, *arguments: str) -> str:
    """Run helm as administrator in the platform's namespace, and return what it printed."""
    return processes.run(
        [str(layout.bin / "helm"), f"--kubeconfig={layout.kubeconfig}", f"--namespace={NAMESPACE}", *arguments]
    )


def _deployments(layout: Layout) -> list[dict[str, Any]]:
    wanted = f"--selector=app.kubernetes.io/instance={NAME}"
    found = cluster.kubectl(layout, f"--namespace={NAMESPACE}", "get", "deployments", wanted, "-o", "json")
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return items


def _upgrade(layout: Layout, name: str, chart: Path, *options: str) -> None:
    # What an earlier version of this folder applied by other means belongs to the release from now on.
    ours = ["--install", "--take-ownership", "--force-conflicts", f"--history-max={REVISIONS_KEPT}"]
    helm(layout, "upgrade", name, str(chart), *ours, *options)


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": SECURITY}}


def _secret(name: str, content: Mapping[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    }
