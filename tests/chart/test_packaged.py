"""What a release packages is what lies here: the same objects, with schema, README and the kinds inside."""

import tarfile
from pathlib import Path

import pytest
import yaml

from tests.chart import rendering

pytestmark = pytest.mark.cluster

INSIDE = {"Chart.yaml", "README.md", "values.yaml", "values.schema.json"}


@pytest.fixture(params=["moorage", "moorage-crds"])
def chart(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def package(chart: str, tmp_path: Path) -> Path:
    """The chart as the release workflow packages it."""
    folder = str(rendering.CHARTS / chart)
    answer = rendering.helm("package", folder, "--version=9.8.7", "--app-version=v9.8.7", f"--destination={tmp_path}")
    assert answer.accepted, answer.text
    return tmp_path / f"{chart}-9.8.7.tgz"


def test_package_holds_what_people_and_helm_read(chart: str, package: Path) -> None:
    with tarfile.open(package) as archive:
        names = {name.removeprefix(f"{chart}/") for name in archive.getnames()}
    assert names >= INSIDE
    # The kinds lie outside the chart's folder, behind a link.
    kinds = {f"files/{path.name}" for path in (rendering.ROOT / "crds").glob("*.yaml")}
    assert (kinds & names) == (kinds if chart == "moorage-crds" else set())


def test_package_renders_the_same_objects(chart: str, package: Path) -> None:
    values = str(rendering.VALUES / "good" / "switched_off.yaml") if chart == "moorage" else ""
    options = [f"--namespace={rendering.NAMESPACE}", *([f"--values={values}"] if values else [])]
    here = rendering.helm("template", "moorage", str(rendering.CHARTS / chart), *options).objects()
    packaged = rendering.helm("template", "moorage", str(package), *options).objects()
    keys = [[(item["kind"], item["metadata"]["name"]) for item in objects] for objects in (here, packaged)]
    assert keys[0] == keys[1]
    assert "v9.8.7" in yaml.safe_dump_all(packaged) or chart == "moorage-crds"
