"""The dashboards are such that Grafana shows them, and every query asks for something that is there."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.monitoring import shipped

DASHBOARDS = shipped.dashboards()
RECORDS = shipped.rules().records
UNITS = {"none", "s", "ops", "reqps", "bytes"}
COLUMNS = 24

GRID = {"type": "object", "required": ["x", "y", "w", "h"], "additionalProperties": {"type": "integer", "minimum": 0}}
SOURCE = {"const": {"type": "prometheus", "uid": "${datasource}"}}
TARGET = {
    "type": "object",
    "required": ["refId", "datasource", "expr", "legendFormat"],
    "properties": {"refId": {"pattern": "^[A-Z]$"}, "datasource": SOURCE, "expr": {"type": "string", "minLength": 1}},
}
ROW = {"type": "object", "required": ["id", "type", "title", "gridPos"], "properties": {"gridPos": GRID}}
PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "description", "datasource", "gridPos", "fieldConfig", "options", "targets"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["stat", "timeseries"]},
        "description": {"type": "string", "minLength": 10},
        "datasource": SOURCE,
        "gridPos": GRID,
        "targets": {"type": "array", "minItems": 1, "items": TARGET},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["uid", "title", "description", "tags", "schemaVersion", "templating", "panels", "time", "timezone"],
    "properties": {
        "uid": {"pattern": "^moorage-[a-z]+$", "maxLength": 40},
        "title": {"pattern": "^Moorage / "},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "tags": {"contains": {"const": "moorage"}},
        "id": False,  # of one Grafana only: importing it elsewhere would replace another dashboard
        "panels": {"items": {"if": {"properties": {"type": {"const": "row"}}}, "then": ROW, "else": PANEL}},
    },
}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Where each query stands, and itself with Grafana's interval replaced by one that Prometheus knows."""
    for name, dashboard in DASHBOARDS.items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", target["expr"].replace("$__rate_interval", "5m")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_the_shape_that_grafana_reads(name: str) -> None:
    jsonschema.validate(DASHBOARDS[name], SCHEMA)
    assert name == f"{DASHBOARDS[name]['uid']}.json"
    (source,) = DASHBOARDS[name]["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_a_unit_and_a_number_of_its_own(name: str) -> None:
    numbers = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert len(numbers) == len(set(numbers))
    titles = [panel["title"] for panel in panels(DASHBOARDS[name])]
    assert len(titles) == len(set(titles))
    units = {panel["title"]: panel["fieldConfig"]["defaults"].get("unit") for panel in panels(DASHBOARDS[name])}
    assert {title: unit for title, unit in units.items() if unit not in UNITS} == {}
    for panel in panels(DASHBOARDS[name]):
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters)), panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another(name: str) -> None:
    places = {panel["title"]: panel["gridPos"] for panel in DASHBOARDS[name]["panels"]}
    assert [title for title, at in places.items() if at["x"] + at["w"] > COLUMNS] == []
    overlaps = [
        (one, other) for one, other in itertools.combinations(places, 2) if _overlap(places[one], places[other])
    ]
    assert overlaps == []


def test_every_query_is_one(promtool: Path, tmp_path: Path) -> None:
    """As rules that record: the parser of Prometheus itself reads them."""
    rules = [{"record": f"query:{number}", "expr": text} for number, (_, text) in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([str(promtool), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_every_query_asks_for_something_that_is_there() -> None:
    wrong = {place: shipped.unknown(text, RECORDS) for place, text in queries()}
    assert {place: names for place, names in wrong.items() if names} == {}


def test_every_metric_is_shown_or_watched() -> None:
    """What neither a dashboard nor an alert looks at is a metric that nobody needs."""
    texts = [text for _, text in queries()] + list(shipped.rules().expressions)
    assert {family for family in shipped.families() if not any(family in text for text in texts)} == set()


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[side] < other[side] + other[size] and other[side] < one[side] + one[size]
        for side, size in (("x", "w"), ("y", "h"))
    )
