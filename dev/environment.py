"""What operator and API are told: their settings as programs beside the cluster, and as pods of the chart."""

import base64
import hashlib
import json
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from dev import images, secret_files, services, tls
from dev.layout import Layout
from dev.trouble import Trouble

ROOT_KEY_BYTES = 32
# Set by us for ourselves, or for tests; everything else that starts with MOORAGE_ is a setting of the platform.
NOT_SETTINGS = ("MOORAGE_DEV_", "MOORAGE_TEST_", services.DATABASE_VARIABLE, services.STORE_PREFIX)
SIZES = {
    "small": {"cpu": "100m", "memory": "128Mi", "pricePerHour": "0.036"},
    "medium": {"cpu": "500m", "memory": "512Mi", "pricePerHour": "0.18"},
    # So dear that one sees the credit end: five thousand micro-credits per second.
    "demo": {"cpu": "500m", "memory": "128Mi", "pricePerHour": "18"},
}


def of_programs(layout: Layout, platform_image: str = "", agent_image: str = "") -> dict[str, str]:
    """Every setting of operator and API; the images are those of this folder's content when not given.

    What the caller's environment sets in the platform's own variables comes first.
    """
    if not platform_image:
        platform_image, agent_image = image_names(layout)
    place, files = services.places(layout), layout.run / "platform"
    tls.ensure(files, place.pods_see)
    store = services.store_settings(layout)
    api_url = f"https://{place.pods_see}:{place.api}"
    egress = [egress_to(place, api_url), egress_to(place, store[f"{services.STORE_PREFIX}ENDPOINT"])]
    ours = {
        "PYTHONPATH": str(layout.root / "operator"),
        services.DATABASE_VARIABLE: services.database_url(layout, on_host=False),
        **store,
        "MOORAGE_ROOT_KEY_FILE": str(root_key(layout)),
        **_offer(agent_image),
        "MOORAGE_MOVER_IMAGE": platform_image,
        "MOORAGE_MOVER_API_URL": api_url,
        "MOORAGE_MOVER_API_CA_FILE": str(files / "ca.crt"),
        "MOORAGE_MOVER_EGRESS": json.dumps(egress),
        "MOORAGE_API_LISTEN": f"{place.pods_see}:{place.api}",
        "MOORAGE_API_TLS_CERT_FILE": str(files / "api.crt"),
        "MOORAGE_API_TLS_KEY_FILE": str(files / "api.key"),
        "MOORAGE_OPERATOR_PROBE_LISTEN": f"127.0.0.1:{place.probe}",
        # A change of the program restarts it: a process is known by its command and its environment.
        "MOORAGE_DEV_CODE": _code_hash(layout.root / "operator"),
    }
    return ours | _wished()


def of_pods(agent_image: str) -> dict[str, str]:
    """What operator and API are told as pods beyond their places, by the names of the chart's `settings`."""
    given = _offer(agent_image) | _wished()
    return {name.removeprefix("MOORAGE_").lower(): value for name, value in given.items()}


def _offer(agent_image: str) -> dict[str, str]:
    # Images of the cluster's own node, and whatever lies beside the chatbot's image.
    allowed = sorted({"localhost/", agent_image.rpartition("/")[0] + "/"} - {"/"})
    return {
        "MOORAGE_SIZES": json.dumps(SIZES),
        "MOORAGE_RUNTIMES": json.dumps({"chatbot": {"image": agent_image}}),
        "MOORAGE_ALLOWED_IMAGES": json.dumps(allowed),
        "MOORAGE_VOLUME_ANNOTATIONS": json.dumps({"volumeType": "local"}),
    }


def _wished() -> dict[str, str]:
    """What the caller's environment sets in the platform's own variables."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("MOORAGE_") and not name.startswith(NOT_SETTINGS)
    }


def root_key(layout: Layout) -> Path:
    """The file of this installation's root key, made at random when it does not exist."""
    path = layout.run / "platform" / "root-key"
    secret_files.content(path, lambda: base64.b64encode(secrets.token_bytes(ROOT_KEY_BYTES)))
    return path


def image_names(layout: Layout) -> tuple[str, str]:
    """The names of the platform's image and the chatbot's: as this folder makes them, or as the user says."""
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


def egress_to(place: services.Places, url: str) -> dict[str, str | int]:
    """Where movers must be let through to, for a server of this URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # A network policy knows addresses only; a store that is known by name may be anywhere.
    return {"cidr": f"{place.pods_see}/32" if parts.hostname == place.pods_see else "0.0.0.0/0", "port": port}


def _code_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".sql"}):
        digest.update(f"\0{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]
