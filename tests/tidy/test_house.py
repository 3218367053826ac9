"""The tree keeps the rules of the house; tests/tidy/rules.py says what each rule means."""

import configparser
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.tidy import rules, tree
from tests.tidy.tree import ROOT, Source

# Longer than a reader likes, shorter than the limit. An entry may shrink or go; nothing may be added or grow.
LONG_FILES = {
    "operator/moorage/controllers/workqueue.py": 265,
}
LONG_FUNCTIONS = {
    "operator/moorage/store/functions/charge.sql:money.charge": 54,
}
# Silenced checks without a reason, by file.
UNEXPLAINED = {
    "agent-image/chatbot/http_channel.py": 1,
    "operator/moorage/controllers/startup.py": 3,
    "tests/integration/snapshots/test_steps.py": 3,
}
LONG_FILE_LINES = 250
LONG_FUNCTION_LINES = 50

LOCK_NAMES = (".lock", "go.sum", "go.mod", "package-lock.json")

Rule = Callable[[Source], Iterator[str]]


def _code() -> list[Source]:
    return [*tree.sources(".py"), *tree.sources(".sql"), *tree.sources(".sh")]


def _python() -> list[Source]:
    return list(tree.sources(".py"))


def _tests() -> list[Source]:
    # A benchmark is no test: it lets counters come to rest before it reads them.
    python = tree.sources(".py")
    return [source for source in python if source.path.startswith("tests/") and "/bench/" not in source.path]


def _money() -> list[Source]:
    homes = (f"{tree.PACKAGE}/billing/", f"{tree.PACKAGE}/store/ledger", f"{tree.PACKAGE}/model/money")
    return [source for source in tree.package() if source.path.startswith(homes)]


def _migrations() -> list[Source]:
    return [source for source in tree.sources(".sql") if source.path.startswith(f"{tree.PACKAGE}/store/migrations/")]


def _locks() -> list[Source]:
    return [source for source in tree.tracked() if source.path.endswith(LOCK_NAMES)]


def _makefile() -> list[Source]:
    return [tree.read(ROOT / "Makefile")]


HOUSE: list[tuple[Rule, Callable[[], Iterable[Source]]]] = [
    (rules.file_length, _code),
    (rules.function_length, lambda: [*tree.sources(".py"), *tree.sources(".sql")]),
    (rules.docstrings, tree.package),
    (rules.stdlib_shadow, tree.package),
    (rules.banned_words, tree.package),
    (rules.float_money, _money),
    (rules.sql_float_money, _migrations),
    (rules.migration_name, _migrations),
    (rules.sleeps, _tests),
    (rules.machine_paths, tree.tracked),
    (rules.locked_addresses, _locks),
    (rules.make_help, _makefile),
]


@pytest.mark.parametrize(("rule", "files"), HOUSE, ids=[rule.__name__ for rule, _ in HOUSE])
def test_tree_keeps_the_rule(rule: Rule, files: Callable[[], Iterable[Source]]) -> None:
    looked_at = list(files())
    offences = [offence for source in looked_at for offence in rule(source)]
    assert looked_at, "the rule has nothing to look at: the tree has moved"
    assert not offences, "\n".join(offences)


def test_long_files_only_shrink() -> None:
    tests = [source for source in _code() if not source.path.startswith("tests/")]
    found = {source.path: len(source.lines) for source in tests}
    assert _outgrown(found, LONG_FILES, LONG_FILE_LINES) == []


def test_long_functions_only_shrink() -> None:
    found = {
        f"{source.path}:{name}": length
        for source in [*tree.sources(".py"), *tree.sources(".sql")]
        for name, length in rules.function_lengths(source).items()
    }
    assert _outgrown(found, LONG_FUNCTIONS, LONG_FUNCTION_LINES) == []


def test_unexplained_suppressions_only_shrink() -> None:
    found = {source.path: len(list(rules.suppressions(source))) for source in _python()}
    assert _outgrown(found, UNEXPLAINED, 0) == []


def _outgrown(found: dict[str, int], recorded: dict[str, int], limit: int) -> list[str]:
    """What is above its recorded size, and records that are no longer needed."""
    grown = [f"{name} has {size}" for name, size in found.items() if size > recorded.get(name, limit)]
    return grown + [f"{name} needs no record any more" for name in recorded if found.get(name, 0) <= limit]


def test_operator_folder_is_no_package() -> None:
    # As a package it would replace the standard library's `operator` for whoever starts Python at the root.
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_package_folder_has_an_init() -> None:
    # import-linter does not see a folder without it, and the contracts of the layers would hold by blindness.
    folders = {(ROOT / source.path).parent for source in tree.package()}
    assert [folder.as_posix() for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_every_package_has_its_layer() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"]
    named = set(re.findall(r"moorage\.(\w+)", layers))
    existing = {source.module.split(".")[1] for source in tree.package() if "." in source.module}
    assert existing - named == set()


def test_no_module_is_dead() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    entry_points = [target.partition(":")[0] for target in scripts.values()]
    offences = list(rules.dead_modules(tree.package(), entry_points))
    assert not offences, "\n".join(offences)


def test_migrations_are_numbered_without_gap() -> None:
    numbers = sorted(int(Path(source.path).name[:4]) for source in _migrations())
    assert numbers == list(range(1, len(numbers) + 1))


def test_image_lock_is_part_of_the_development_lock() -> None:
    # What is tested and what is shipped are the same versions.
    locked = [
        {line.split()[0] for line in (ROOT / name).read_text().splitlines() if "==" in line and line[0].isalnum()}
        for name in ("requirements-image.lock", "requirements.lock")
    ]
    assert locked[0] - locked[1] == set()
