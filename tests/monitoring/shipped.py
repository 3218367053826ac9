"""What the chart ships for Prometheus and Grafana, read for the tests."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from moorage.observability import Metrics
from tests.tidy.tree import ROOT

FOLDER = ROOT / "charts" / "moorage" / "files" / "monitoring"
RULES = FOLDER / "rules.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
CASES = ROOT / "tests" / "monitoring" / "alerts"

_SELECTOR = re.compile(r"\b(moorage[a-z0-9_:]*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
# What Prometheus adds to every series of a target, and Kubernetes' own label of a histogram's bucket.
OF_TARGETS = frozenset({"pod", "instance", "job", "namespace"})


@dataclass(frozen=True)
class Rules:
    """The shipped rules."""

    alerts: dict[str, dict[str, Any]]
    records: frozenset[str]
    expressions: tuple[str, ...]


def rules() -> Rules:
    """All groups together."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    every = [rule for group in groups for rule in group["rules"]]
    return Rules(
        alerts={rule["alert"]: rule for rule in every if "alert" in rule},
        records=frozenset(rule["record"] for rule in every if "record" in rule),
        expressions=tuple(rule["expr"] for rule in every),
    )


def dashboards() -> dict[str, dict[str, Any]]:
    """By file name."""
    return {
        path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("dashboards/*.json"))
    }


def families() -> set[str]:
    """The metrics by the names they are registered under."""
    return {metric.describe()[0].name for name, metric in vars(Metrics()).items() if name != "registry"}


def series() -> dict[str, frozenset[str]]:
    """The labels of everything that a scrape can show, by its name."""
    found: dict[str, frozenset[str]] = {}
    for name, metric in vars(Metrics()).items():
        if name == "registry":
            continue
        family = metric.describe()[0]
        labels = frozenset(metric._labelnames)
        match family.type:
            case "counter":
                found[f"{family.name}_total"] = labels
            case "histogram":
                found |= {f"{family.name}_{part}": labels for part in ("count", "sum")}
                found[f"{family.name}_bucket"] = labels | {"le"}
            case _:
                found[family.name] = labels
    return found | {"moorage_build_info": frozenset({"version"})}


def unknown(expression: str, records: frozenset[str]) -> list[str]:
    """What a query asks for and nobody shows: metrics and labels."""
    known = series() | {name: frozenset({"slo", "path"}) for name in records}
    wrong = []
    for name, selector in _SELECTOR.findall(expression):
        if name not in known:
            wrong.append(name)
            continue
        labels = set(_MATCHER.findall(selector))
        wrong += [f"{name}{{{label}}}" for label in sorted(labels - known[name] - OF_TARGETS)]
    return wrong
