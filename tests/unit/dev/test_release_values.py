"""What the local cluster tells the charts fits their schema, whatever the caller's environment wishes."""

import json
from pathlib import Path

import jsonschema
import pytest

from dev import environment, release, secret_files, services
from dev.layout import Layout

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "charts" / "moorage" / "values.schema.json").read_text())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A clone whose servers exist already."""
    secret_files.write(tmp_path / "run" / "postgres" / "password", b"secret")
    return Layout(ROOT, tmp_path / "cache", tmp_path / "run", "moorage-test", 20000)


def test_local_installation_fits_the_schema(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    # A wish is text, also where the setting is a number.
    monkeypatch.setenv("MOORAGE_WARM_WINDOW_SECONDS", "60")
    settings = environment.of_pods("localhost/moorage-agent:1")
    assert settings["warm_window_seconds"] == "60"
    services.store_settings(layout)
    jsonschema.validate(dict(release.local(layout, settings, "localhost/moorage:1").values), SCHEMA)


def test_installation_of_rights_only_fits_the_schema() -> None:
    jsonschema.validate(dict(release.of_rights_only().values), SCHEMA)
