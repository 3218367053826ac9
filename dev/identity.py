"""Operator and API as programs act as the service accounts of the chart, with the rights they have as pods.

It is also cheaper than the administrator's certificate: the API server verifies a certificate anew for every request.
"""

from pathlib import Path

import yaml

from dev import cluster, release, secret_files
from dev.layout import Layout

DURATION = "720h"


def kubeconfig(layout: Layout, part: str = "operator") -> Path:
    """The kubeconfig of `operator` or `api`; it exists after `ensure`."""
    return layout.run / "platform" / f"{part}.kubeconfig"


def ensure(layout: Layout) -> None:
    """Write a kubeconfig with a fresh token for each part; its account exists since the chart was installed."""
    for part in release.PARTS:
        account = f"moorage-{part}"
        where = f"--namespace={release.NAMESPACE}"
        token = cluster.kubectl(layout, "create", "token", account, where, f"--duration={DURATION}")
        config = yaml.safe_load(layout.kubeconfig_inside.read_text())
        context = next(entry for entry in config["contexts"] if entry["name"] == config["current-context"])
        config |= {
            "users": [{"name": account, "user": {"token": token.strip()}}],
            "contexts": [{"name": account, "context": {"cluster": context["context"]["cluster"], "user": account}}],
            "current-context": account,
        }
        secret_files.write(kubeconfig(layout, part), yaml.safe_dump(config, sort_keys=False).encode())
