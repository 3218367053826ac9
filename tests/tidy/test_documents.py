"""What the documents promise to list is listed: every setting, metric, reason, dependency; nothing that is gone."""

import ast
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from moorage import settings
from moorage.model.reasons import Reason
from moorage.observability import Metrics
from tests import judgements
from tests.tidy import lifecycle_page, tree
from tests.tidy.tree import ROOT

PAGES = sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


# Registered, documented, and not counted by anybody yet; may only shrink.
UNFED_METRICS: frozenset[str] = frozenset()


def _metrics() -> dict[str, str]:
    suffixes = {"counter": "_total", "info": "_info"}
    families = Metrics().registry.collect()
    return {family.name + suffixes.get(family.type, ""): family.documentation for family in families}


def _dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [*project["dependency-groups"].values(), project["project"]["dependencies"]]
    groups += project["project"]["optional-dependencies"].values()
    wanted = [*project["build-system"]["requires"], *(entry for group in groups for entry in group)]
    return {re.split(r"[^A-Za-z0-9_.-]", entry, maxsplit=1)[0] for entry in wanted}


def test_every_setting_is_documented() -> None:
    names = {settings.PREFIX + knob.name.upper() for knob in fields(settings.Settings)}
    rows = {name for name in tree.first_column(tree.document("settings.md")) if name.startswith(settings.PREFIX)}
    assert rows == names


def test_every_reason_is_judged_for_gitops_tools() -> None:
    # In tests/judgements.py; then examples/gitops/argocd/health.yaml and flux/acme.yaml must agree, as tests say.
    judged, never = judgements.AGENT_NOT_READY.keys(), judgements.NEVER_READY_FALSE
    assert set(Reason) - judged - never == set()
    assert not judged & never


def test_documented_defaults_are_the_real_ones() -> None:
    rows = tree.first_column(tree.document("settings.md"))
    for knob in fields(settings.Settings):
        default = getattr(settings.Settings(), knob.name)
        shown = rows[settings.PREFIX + knob.name.upper()][0].strip("`")
        match default:
            case "" | None:
                assert shown == "", knob.name
            case (str() as host, int() as port):
                assert shown == f"{host}:{port}", knob.name
            case bool():
                assert shown == str(default).lower(), knob.name
            case int() | str():
                assert shown == str(default), knob.name
            case _:
                # JSON in the table, a Python literal here: the same for what we use.
                assert ast.literal_eval(shown) == default, knob.name


def test_every_metric_is_documented() -> None:
    rows = {name for name in tree.first_column(tree.document("metrics.md")) if name.startswith("moorage_")}
    assert rows == set(_metrics())


def test_every_metric_is_fed_by_somebody() -> None:
    attributes = set(vars(Metrics())) - {"registry"}
    code = "\n".join(source.text for source in tree.package() if not source.path.endswith("/observability.py"))
    fed = set(re.findall(r"metrics\.(\w+)\b", code))
    assert attributes - fed == UNFED_METRICS


def test_every_reason_is_documented() -> None:
    text = tree.document("reasons.md").text
    assert [reason.value for reason in Reason if f"`{reason.value}`" not in text] == []


def test_the_life_of_an_agent_is_the_one_that_is_lived() -> None:
    text = lifecycle_page.PAGE.read_text(encoding="utf-8")
    assert lifecycle_page.page(text) == text, "run python -m tests.tidy.lifecycle_page"


def test_every_dependency_is_documented() -> None:
    rows = tree.first_column(tree.document("dependencies.md"))
    wanted = _dependencies()
    assert wanted - set(rows) == set()
    assert [name for name in wanted if len(rows[name]) < 3 or not all(rows[name][:3])] == []


def test_no_documented_dependency_is_gone() -> None:
    text = tree.document("dependencies.md").text
    python = text[text.index("## Python") : text.index("## Debian")]
    named = set(re.findall(r"^\| `([^`]+)`", python, re.MULTILINE))
    assert named - _dependencies() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_only_files_that_exist(page: Path) -> None:
    """Paths in backticks with one of our top folders; a `*`, `<` or `NNNN` makes it a pattern."""
    folders = "operator|dev|docs|tests|crds|examples|agent-image|image|\\.ci"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if "NNNN" not in name and not (ROOT / name).exists()] == []


FAILURES = {"ledger-failures.md": 44, "lifecycle-failures.md": 30, "snapshot-failures.md": 61}


@pytest.mark.parametrize(("page", "count"), FAILURES.items(), ids=FAILURES)
def test_every_failure_names_a_test_that_exists_or_says_why_not(page: str, count: int) -> None:
    text = tree.document(page).text
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, count + 1))
    assert [number for number, tests in rows if not re.match(r"`test_|not yet: \w", tests)] == []
    sources = "\n".join(source.text for source in tree.sources(".py") if source.path.startswith("tests/"))
    existing = set(re.findall(r"def (test_\w+)\(", sources))
    assert set(re.findall(r"`(test_\w+)`", text)) - existing == set()


def test_every_threat_names_a_test_that_exists_or_says_why_not() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| T-(\d\d) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 51))
    for number, proof in rows:
        named = re.findall(r"`(tests/[^`]+)`", proof)
        assert [path for path in named if not re.search(r"/test_\w+[.]py$", path) or not (ROOT / path).is_file()] == []
        assert named or re.match(r"not yet: \w", proof), f"T-{number}"


def test_decisions_are_numbered_without_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^    |\$ )make (?:-s )?([a-z]+)", page.read_text(), re.MULTILINE)
    }
    assert named - targets == set()


def _manifests(page: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every object of ours that a page shows."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"<<'YAML'\n(.*?)^YAML", text, re.MULTILINE | re.DOTALL)
    objects = [item for block in blocks for item in yaml.safe_load_all(block)]
    return [(item["kind"], item) for item in objects if str(item.get("apiVersion", "")).startswith("moorage.dev/")]


def _schemas() -> dict[str, dict[str, Any]]:
    kinds = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    return {
        kind["spec"]["names"]["kind"]: _strict(kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        for kind in kinds
    }


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, with unknown fields refused instead of dropped."""
    result = {key: _strict(value) if isinstance(value, dict) else value for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        result.setdefault("additionalProperties", False)
    return result


def test_manifests_in_documents_fit_the_schema() -> None:
    schemas = _schemas()
    shown = [found for page in PAGES for found in _manifests(page)]
    assert shown, "the pages show no manifest any more"
    for kind, manifest in shown:
        jsonschema.validate(manifest, schemas[kind])
