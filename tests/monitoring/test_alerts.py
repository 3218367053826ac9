"""Every alert fires where it must, keeps quiet where it must not, and has a page that helps whoever it calls."""

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from moorage import cli
from tests.monitoring import shipped

RULES = shipped.rules()
SECTIONS = ["What it means", "What to look at", "What to do", "When to wake someone"]
SEVERITIES = {"critical", "warning"}


def _cases() -> list[dict[str, Any]]:
    files = sorted(shipped.CASES.glob("*.yaml"))
    return [case for path in files for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]]


def _outcomes(alert: str) -> set[bool]:
    """Whether the cases of an alert expect it to fire, to be quiet, or both."""
    checks = [check for case in _cases() for check in case["alert_rule_test"] if check["alertname"] == alert]
    return {bool(check["exp_alerts"]) for check in checks}


def _run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_rules(promtool: Path) -> None:
    _run([str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(shipped.RULES)])


def test_alerts_fire_and_keep_quiet(promtool: Path) -> None:
    _run([str(promtool), "test", "rules", *(str(path) for path in sorted(shipped.CASES.glob("*.yaml")))])


def test_an_alert_that_is_broken_fails_its_case(promtool: Path, tmp_path: Path) -> None:
    """The cases can fail: the same rules with another threshold do not pass them."""
    broken = shipped.RULES.read_text(encoding="utf-8").replace("sum(moorage_leader) > 1", "sum(moorage_leader) > 2")
    cases = (shipped.CASES / "platform.yaml").read_text(encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(broken, encoding="utf-8")
    (tmp_path / "cases.yaml").write_text(re.sub(r"rule_files: .*", "rule_files: [rules.yaml]", cases), encoding="utf-8")
    done = subprocess.run(
        [str(promtool), "test", "rules", str(tmp_path / "cases.yaml")], capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"TwoLeaders" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", RULES.alerts)
def test_an_alert_has_both_cases_and_a_page(alert: str) -> None:
    rule = RULES.alerts[alert]
    assert _outcomes(alert) == {True, False}
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].endswith(f"/{alert}.md")
    page = (shipped.RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS


def test_every_page_is_that_of_an_alert_and_in_the_list() -> None:
    pages = {path.stem for path in shipped.RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(RULES.alerts)
    listed = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (shipped.RUNBOOKS / "README.md").read_text(), re.MULTILINE
    )
    assert {(name, name, rule["labels"]["severity"]) for name, rule in RULES.alerts.items()} == set(listed)


def test_every_metric_and_label_in_the_rules_exists() -> None:
    assert [wrong for text in RULES.expressions for wrong in shipped.unknown(text, RULES.records)] == []
    pages = "\n".join(path.read_text(encoding="utf-8") for path in shipped.RUNBOOKS.glob("*.md"))
    quoted = " ".join(text for text in re.findall(r"`([^`]+)`", pages) if text.startswith("moorage_"))
    known = set(shipped.series())
    families = known | {re.sub(r"_(?:count|sum|bucket)$", "", name) for name in known}
    assert set(re.findall(r"moorage_\w+", quoted)) - families == set()


def test_a_metric_that_nobody_shows_is_found() -> None:
    assert shipped.unknown('rate(moorage_gone_total[5m]) > moorage_leader{tenant="a"}', RULES.records) == [
        "moorage_gone_total",
        "moorage_leader{tenant}",
    ]


def test_the_commands_that_pages_name_exist() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in shipped.RUNBOOKS.glob("*.md"))
    named = {tuple(text.split()) for text in re.findall(r"`moorage ([a-z][^`]*)`", pages)}
    assert {" ".join(words) for words in named if not _is_command(words)} == set()


def _is_command(words: tuple[str, ...]) -> bool:
    found: click.Command | None = cli.main
    for word in words:
        if not isinstance(found, click.Group):
            break
        found = found.commands.get(word)
    return found is not None and not isinstance(found, click.Group)
