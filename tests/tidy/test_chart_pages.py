"""What is written from a chart's values.yaml is what it says now, and leaves no gap."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dev import chart_pages, chart_values
from dev.trouble import Trouble
from moorage.settings import PREFIX, Settings
from tests.tidy.tree import ROOT

CURE = "run python -m dev.chart_pages"
FREE = ("/global",)


@pytest.fixture(params=chart_pages.CHARTS, ids=lambda chart: chart.name)
def chart(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_schema_is_what_the_values_say(chart: Path) -> None:
    assert (chart / "values.schema.json").read_text() == chart_pages.schema(chart_pages.read(chart)), CURE


def test_readme_is_what_the_values_say(chart: Path) -> None:
    assert (chart / "README.md").read_text() == chart_pages.readme(chart, chart_pages.read(chart)), CURE


def test_defaults_fit_the_schema(chart: Path) -> None:
    jsonschema.validate(yaml.safe_load((chart / "values.yaml").read_text()), _schema(chart))


def test_schema_takes_nothing_unknown_anywhere(chart: Path) -> None:
    assert [place for place in _open(_schema(chart), "") if place not in FREE] == []


def test_every_setting_but_the_passwords_can_be_set() -> None:
    known = set(_schema(ROOT / "charts" / "moorage")["properties"]["settings"]["properties"])
    assert set(Settings.__dataclass_fields__) - known == set(chart_pages.NEVER_IN_VALUES)
    assert [name for name in known if name != name.lower() or name.startswith(PREFIX.lower())] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [("key: 1\n", "what key means"), ("# -- Known.\nmap: {}\n", "above map what fits"), ("[]\n", "Write a map")],
    ids=["a value without a meaning", "a map of unknown content", "no map at all"],
)
def test_values_that_do_not_explain_themselves_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "values.yaml").write_text(text)
    with pytest.raises(Trouble, match=says):
        chart_pages.schema(chart_values.read(tmp_path / "values.yaml", {}))


def _schema(chart: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((chart / "values.schema.json").read_text())
    return found


def _open(schema: dict[str, Any], place: str) -> list[str]:
    """Objects that take keys of any name and content."""
    found = []
    # What may also be JSON in a string is read, and refused, by the platform itself.
    if schema.get("type") == "object" and "additionalProperties" not in schema and not _of_kubernetes(place):
        found.append(place)
    for name, part in schema.get("properties", {}).items():
        found += _open(part, f"{place}/{name}")
    for part in (schema.get("additionalProperties"), schema.get("items")):
        if isinstance(part, dict):
            found += _open(part, f"{place}/*")
    return found


def _of_kubernetes(place: str) -> bool:
    return "/affinity/" in place
