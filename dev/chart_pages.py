"""Writes what follows from a chart's values.yaml: the strict schema that Helm checks, and the table in its README.

`python -m dev.chart_pages` after every change of values.yaml or of a setting; a test compares.
"""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from dev import chart_values, progress
from dev.chart_values import Value
from dev.trouble import Trouble
from moorage.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
CHARTS = tuple(ROOT / "charts" / name for name in ("moorage-crds", "moorage"))
TABLE = "\n## Values\n"
# What a key of this name takes in every chart of Kubernetes; the rest is said in values.yaml.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITY = {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
TOLERATION = {name: {"type": "string"} for name in ("key", "operator", "value", "effect")} | {
    "tolerationSeconds": {"type": "integer"}
}
SHAPES: dict[str, dict[str, Any]] = {
    "annotations": TEXTS,
    "labels": TEXTS,
    "nodeSelector": TEXTS,
    # The API server knows these best, and refuses what does not fit.
    "affinity": {
        "type": "object",
        "properties": {name: {"type": "object"} for name in ("nodeAffinity", "podAffinity", "podAntiAffinity")},
        "additionalProperties": False,
    },
    "tolerations": {
        "type": "array",
        "items": {"type": "object", "properties": TOLERATION, "additionalProperties": False},
    },
    "resources": {
        "type": "object",
        "properties": {"requests": QUANTITIES, "limits": QUANTITIES},
        "additionalProperties": False,
    },
}
USUAL = {
    "affinity": "Affinities of its pods.",
    "annotations": "Annotations of the object.",
    "labels": "More labels of the object.",
    "nodeSelector": "Node labels that its pods require.",
    "resources": "CPU and memory of each of its pods.",
    "tolerations": "Tolerations of its pods.",
}
# These two carry a password: they come from a Secret, and a ConfigMap must never hold them.
NEVER_IN_VALUES = ("database_url", "migration_url")


def main() -> int:
    """Write both pages of both charts."""
    try:
        for chart in CHARTS:
            values = read(chart)
            (chart / "values.schema.json").write_text(schema(values))
            (chart / "README.md").write_text(readme(chart, values))
    except Trouble as trouble:
        progress.say(str(trouble))
        return 1
    return 0


def read(chart: Path) -> tuple[Value, ...]:
    """The chart's values, with the keys that every chart has."""
    return chart_values.read(chart / "values.yaml", USUAL)


def schema(values: tuple[Value, ...]) -> str:
    """The chart's values.schema.json: every key is known, and nothing else is taken."""
    content = {"$schema": "http://json-schema.org/draft-07/schema#", **_section(values)}
    # Helm adds this one by itself where the chart is a part of another.
    content["properties"]["global"] = {"type": "object"}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def readme(chart: Path, values: tuple[Value, ...]) -> str:
    """The chart's README: its hand-written beginning, and the table of all values."""
    beginning, _, _ = (chart / "README.md").read_text(encoding="utf-8").partition(TABLE)
    rows = [_row(leaf) for value in values for leaf in value.leaves()]
    return "\n".join(
        [beginning.rstrip("\n") + "\n" + TABLE, "| value | default | meaning |", "|---|---|---|", *rows, ""]
    )


def _row(leaf: Value) -> str:
    default = json.dumps(leaf.default, ensure_ascii=False)
    cells = (f"`{'.'.join(leaf.path)}`", "" if leaf.default == "" else f"`{default}`", leaf.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _section(values: tuple[Value, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {value.name: _schema(value) for value in values},
        "additionalProperties": False,
    }


def _schema(value: Value) -> dict[str, Any]:
    described = {"description": value.meaning} if value.meaning else {}
    if value.path == ("settings",):
        return described | _settings()
    if value.name in SHAPES:
        return described | SHAPES[value.name]
    if value.parts:
        return described | _section(value.parts)
    return described | _type(value) | value.fits


def _type(value: Value) -> dict[str, Any]:
    match value.default:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer", "minimum": 0}
        case str():
            return {"type": "string"}
        case _ if value.fits:
            return {"type": "array" if isinstance(value.default, list) else "object"}
    raise Trouble(f"Say in a line `# @ …` above {'.'.join(value.path)} what fits: its default does not tell.")


def _settings() -> dict[str, Any]:
    """Every knob of the platform by its name, whatever section of the values sets it too."""
    knobs = (knob for knob in fields(Settings) if knob.name not in NEVER_IN_VALUES)
    known = {
        knob.name: {"description": knob.metadata["about"]} | _knob(getattr(Settings(), knob.name)) for knob in knobs
    }
    return {"type": "object", "properties": known, "additionalProperties": False}


def _knob(default: object) -> dict[str, Any]:
    """What fits a knob: its text as in the environment, or the same as YAML reads it."""
    match default:
        case bool():
            return {"type": ["boolean", "string"], "pattern": "^(true|false)$"}
        case int():
            return {"type": ["integer", "string"], "pattern": "^-?[0-9]+$"}
        case dict():
            return {"type": ["object", "string"]}
        case list():
            return {"type": ["array", "string"]}
        case (str(), int()):
            return {"type": "string", "pattern": r"^.+:[0-9]+$"}
        case None:
            return {"type": ["string", "object"]}
    return {"type": "string"}


if __name__ == "__main__":
    sys.exit(main())
