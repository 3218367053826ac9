"""The platform on the cluster: kinds, schema, operator and API, as programs started from this folder."""  # noqa: A005 -- always imported as dev.platform

import base64
import hashlib
import json
import os
import secrets
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from dev import cluster, identity, images, node, processes, progress, secret_files, services, story, tls
from dev.layout import Layout
from dev.trouble import Trouble

ADMISSION_API = "/apis/admissionregistration.k8s.io/v1"
ADMISSION = Path(__file__).parent / "manifests" / "admission.yaml"
PROGRAMS = ("operator", "api")
ROOT_KEY_BYTES = 32
READY_SECONDS_MAX = 60
NO_STORY_VARIABLE = "MOORAGE_DEV_NO_STORY"
# Set by us for ourselves, or for tests; everything else that starts with MOORAGE_ is a setting of the platform.
NOT_SETTINGS = ("MOORAGE_DEV_", "MOORAGE_TEST_", services.DATABASE_VARIABLE, services.STORE_PREFIX)
SIZES = {
    "small": {"cpu": "100m", "memory": "128Mi", "pricePerHour": "0.036"},
    "medium": {"cpu": "500m", "memory": "512Mi", "pricePerHour": "0.18"},
    # So dear that one sees the credit end: five thousand micro-credits per second.
    "demo": {"cpu": "500m", "memory": "128Mi", "pricePerHour": "18"},
}


def up(layout: Layout, *, with_story: bool | None = None) -> None:
    """Bring the platform up on a running cluster, and tell its story unless it is not wanted."""
    layout.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    with cluster.exclusive(layout):
        platform_image, agent_image = _images(layout)
        services.start(layout)
        with progress.step("apply the four kinds and the schema"):
            _apply_kinds(layout)
            identity.ensure(layout)
            _migrate(layout)
        with progress.step("start operator and API"):
            _start(layout, environment(layout, platform_image, agent_image))
    if with_story if with_story is not None else NO_STORY_VARIABLE not in os.environ:
        story.run(layout)


def down(layout: Layout) -> None:
    """Stop operator, API and the servers under them; what does not run is no matter."""
    if not layout.run.exists():
        return
    with cluster.exclusive(layout), progress.step("stop the platform"):
        for name in PROGRAMS:
            processes.stop(layout, name, grace_seconds=10)
        services.stop(layout)


def status(layout: Layout) -> list[str]:
    """What of the platform runs, where, and since when."""
    if not layout.run.exists():
        return []
    lines = services.status(layout)
    for name in PROGRAMS:
        runs = processes.alive(layout, name)
        since = time.strftime("%H:%M:%S", time.localtime(processes.since(layout, name))) if runs else ""
        says = ("ready" if ready(layout, name) else "not ready") + f", since {since}" if runs else "does not run"
        lines.append(f"{name:<10} {says}, log {processes.log_file(layout, name)}")
    return lines


def database_url(layout: Layout) -> str:
    """The database's address for a program on the host."""
    return services.database_url(layout, on_host=True)


def environment(layout: Layout, platform_image: str = "", agent_image: str = "") -> dict[str, str]:
    """Every setting of operator and API; the images are those of this folder's content when not given.

    What the caller's environment sets in the platform's own variables comes first.
    """
    if not platform_image:
        platform_image, agent_image = _image_names(layout)
    place, files = services.places(layout), layout.run / "platform"
    tls.ensure(files, place.pods_see)
    secret_files.content(files / "root-key", lambda: base64.b64encode(secrets.token_bytes(ROOT_KEY_BYTES)))
    store = services.store_settings(layout)
    api_url = f"https://{place.pods_see}:{place.api}"
    egress = [_egress(place, api_url), _egress(place, store[f"{services.STORE_PREFIX}ENDPOINT"])]
    # Images of the cluster's own node, and whatever lies beside the chatbot's image.
    allowed = sorted({"localhost/", agent_image.rpartition("/")[0] + "/"} - {"/"})
    ours = {
        "KUBECONFIG": str(identity.kubeconfig(layout)),
        "PYTHONPATH": str(layout.root / "operator"),
        services.DATABASE_VARIABLE: services.database_url(layout, on_host=False),
        **store,
        "MOORAGE_ROOT_KEY_FILE": str(files / "root-key"),
        "MOORAGE_SIZES": json.dumps(SIZES),
        "MOORAGE_RUNTIMES": json.dumps({"chatbot": {"image": agent_image}}),
        "MOORAGE_ALLOWED_IMAGES": json.dumps(allowed),
        "MOORAGE_MOVER_IMAGE": platform_image,
        "MOORAGE_MOVER_API_URL": api_url,
        "MOORAGE_MOVER_API_CA_FILE": str(files / "ca.crt"),
        "MOORAGE_MOVER_EGRESS": json.dumps(egress),
        "MOORAGE_VOLUME_ANNOTATIONS": json.dumps({"volumeType": "local"}),
        "MOORAGE_API_LISTEN": f"{place.pods_see}:{place.api}",
        "MOORAGE_API_TLS_CERT_FILE": str(files / "api.crt"),
        "MOORAGE_API_TLS_KEY_FILE": str(files / "api.key"),
        "MOORAGE_OPERATOR_PROBE_LISTEN": f"127.0.0.1:{place.probe}",
        # A change of the program restarts it: a process is known by its command and its environment.
        "MOORAGE_DEV_CODE": _code_hash(layout.root / "operator"),
    }
    wished = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("MOORAGE_") and not name.startswith(NOT_SETTINGS)
    }
    return ours | wished


def ready(layout: Layout, name: str) -> bool:
    """Whether the program says it is ready."""
    place = services.places(layout)
    context = None
    if name == "api":
        # Where we meet it, its certificate is good for: the relay's end on the host, or its own address.
        host = "127.0.0.1" if place.inside else place.pods_see
        url = f"https://{host}:{layout.port('api')}/readyz"
        context = ssl.create_default_context(cafile=str(layout.run / "platform" / "ca.crt"))
    else:
        url = f"http://127.0.0.1:{layout.port('probe')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start_program(layout: Layout, name: str, settings: dict[str, str]) -> None:
    """Start `operator` or `api`, or restart it when its program or a setting has changed."""
    argv = [sys.executable, "-m", "moorage", name]
    processes.start(layout, name, argv, inside=services.places(layout).inside, env=settings)


def _start(layout: Layout, settings: dict[str, str]) -> None:
    for name in PROGRAMS:
        start_program(layout, name, settings)
    for name in PROGRAMS:
        _wait_ready(layout, name)


def _wait_ready(layout: Layout, name: str) -> None:
    is_ready: Callable[[], bool] = lambda: ready(layout, name)  # noqa: E731 -- only to be handed on
    processes.wait(layout, name, is_ready, seconds=READY_SECONDS_MAX, what="its readiness")


def _images(layout: Layout) -> tuple[str, str]:
    if layout.external:
        return _image_names(layout)
    built = images.build(layout)
    present = set(node.ctr(layout, "images", "ls", "-q").split())
    for image in built:
        if image.name not in present:
            with progress.step(f"import the image {image.name}"):
                cluster.import_image(layout, image.archive)
    return built[0].name, built[1].name


def _image_names(layout: Layout) -> tuple[str, str]:
    if not layout.external:
        return images.names(layout)
    try:
        return os.environ["MOORAGE_DEV_IMAGE"], os.environ["MOORAGE_DEV_AGENT_IMAGE"]
    except KeyError:
        raise Trouble(
            "Build both images, bring them to where your cluster pulls from, and name them: `skaffold build "
            "--default-repo=REGISTRY`, then `make up KUBECONFIG=... MOORAGE_DEV_IMAGE=REGISTRY/moorage:TAG "
            "MOORAGE_DEV_AGENT_IMAGE=REGISTRY/moorage-agent:TAG`."
        ) from None


def _apply_kinds(layout: Layout) -> None:
    folder = str(layout.root / "crds")
    cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", folder)
    # Served since Kubernetes 1.36; without it the operator adds the finalizer itself.
    if '"mutatingadmissionpolicies"' in cluster.kubectl(layout, "get", "--raw", ADMISSION_API):
        cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", str(ADMISSION))
    cluster.kubectl(layout, "wait", "--for=condition=Established", "--timeout=60s", "--recursive=false", "-f", folder)


def _migrate(layout: Layout) -> None:
    inside = processes.enter(layout) if services.places(layout).inside else []
    wanted = {
        "PYTHONPATH": str(layout.root / "operator"),
        services.DATABASE_VARIABLE: services.database_url(layout, on_host=False),
    }
    processes.run([*inside, sys.executable, "-m", "moorage", "migrate"], env=wanted)


def _egress(place: services.Places, url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # A network policy knows addresses only; a store that is known by name may be anywhere.
    return {"cidr": f"{place.pods_see}/32" if parts.hostname == place.pods_see else "0.0.0.0/0", "port": port}


def _code_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".sql"}):
        digest.update(f"\0{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]
