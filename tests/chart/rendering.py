"""The charts as Helm renders them: dictionaries, or the sentence it refuses values with."""

import functools
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.layout import Layout

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
VALUES = Path(__file__).parent / "values"
NAMESPACE = "moorage-system"
SECONDS_MAX = 180


@dataclass(frozen=True)
class Answer:
    """What Helm said."""

    accepted: bool
    text: str

    def objects(self) -> list[dict[str, Any]]:
        """The rendered objects."""
        assert self.accepted, self.text
        return [item for item in yaml.safe_load_all(self.text) if item]


def helm(*arguments: str) -> Answer:
    """Run Helm; a refusal is an answer, too."""
    program = shutil.which("helm", path=str(Layout.current().bin)) or shutil.which("helm")
    if program is None:
        reason = "there is no Helm; `make up` builds one"
        pytest.skip(reason) if Layout.current().external else pytest.fail(reason)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
    return Answer(done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr)


def template(
    values: Path | dict[str, Any] | None = None, *, chart: str = "moorage", more: tuple[str, ...] = ()
) -> Answer:
    """Render a chart with a file of values, or with a dictionary of them."""
    arguments = ["template", "moorage", str(CHARTS / chart), f"--namespace={NAMESPACE}", *more]
    if isinstance(values, dict):
        arguments += [word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
    elif values is not None:
        arguments.append(f"--values={values}")
    return helm(*arguments)


@functools.cache
def good(name: str) -> tuple[dict[str, Any], ...]:
    """The objects of one file of good values, rendered once."""
    return tuple(template(VALUES / "good" / f"{name}.yaml").objects())


def names(kind: str) -> list[str]:
    """The files of values of a kind, `good` or `bad`."""
    return sorted(path.stem for path in (VALUES / kind).glob("*.yaml"))


def pod(manifest: dict[str, Any]) -> dict[str, Any] | None:
    """The pod that an object starts; None where it starts none."""
    match manifest["kind"]:
        case "Pod":
            found: dict[str, Any] = manifest["spec"]
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            found = manifest["spec"]["template"]["spec"]
        case "CronJob":
            found = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        case _:
            return None
    return found


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Every container of a pod, those that run first too."""
    return [*spec.get("initContainers", []), *spec["containers"]]
