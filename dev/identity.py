"""Operator and API act as a service account with the rights they need and no others, as in production.

It is also cheaper than the administrator's certificate: the API server verifies a certificate anew for every request.
"""

from pathlib import Path

import yaml

from dev import cluster, secret_files
from dev.layout import Layout

MANIFEST = Path(__file__).parent / "manifests" / "operator.yaml"
NAME, NAMESPACE = "operator", "moorage-system"
DURATION = "720h"


def kubeconfig(layout: Layout) -> Path:
    """The operator's kubeconfig; it exists after `ensure`."""
    return layout.run / "platform" / "operator.kubeconfig"


def ensure(layout: Layout) -> None:
    """Make the account and its rights, and write a kubeconfig with a fresh token."""
    cluster.kubectl(layout, "apply", "--server-side", "--force-conflicts", "-f", str(MANIFEST))
    token = cluster.kubectl(layout, "create", "token", NAME, f"--namespace={NAMESPACE}", f"--duration={DURATION}")
    config = yaml.safe_load(layout.kubeconfig_inside.read_text())
    context = next(entry for entry in config["contexts"] if entry["name"] == config["current-context"])
    config |= {
        "users": [{"name": NAME, "user": {"token": token.strip()}}],
        "contexts": [{"name": NAME, "context": {"cluster": context["context"]["cluster"], "user": NAME}}],
        "current-context": NAME,
    }
    secret_files.write(kubeconfig(layout), yaml.safe_dump(config, sort_keys=False).encode())
