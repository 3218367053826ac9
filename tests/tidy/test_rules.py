"""Each rule catches what it is for, and lets pass what it is not for."""

from collections.abc import Callable, Iterator

import pytest

from tests.tidy import rules
from tests.tidy.tree import Source

Rule = Callable[[Source], Iterator[str]]

LONG_FUNCTION = "def long():\n" + "    pass\n" * 70
SQL_LONG = (
    "CREATE FUNCTION money.long() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n" + "    NULL;\n" * 68 + "END $$;\n"
)
SQL_ONE = "CREATE FUNCTION money.clock() RETURNS int LANGUAGE sql AS\n    'SELECT 1';\n\n"

CAUGHT: list[tuple[str, Rule, str, str]] = [
    ("a file of 401 lines", rules.file_length, "operator/moorage/a.py", "x = 1\n" * 401),
    ("a test of 601 lines", rules.file_length, "tests/unit/test_a.py", "x = 1\n" * 601),
    ("a function of 71 lines", rules.function_length, "operator/moorage/a.py", LONG_FUNCTION),
    ("a method of 71 lines", rules.function_length, "dev/a.py", "class A:\n " + LONG_FUNCTION),
    ("an SQL function of 71 lines", rules.function_length, "operator/moorage/store/migrations/a.sql", SQL_LONG),
    ("one with quotes at line ends", rules.function_length, "a.sql", SQL_LONG.replace("    NULL;", "    x := 'a';")),
    ("a module without a docstring", rules.docstrings, "operator/moorage/a.py", "x = 1\n"),
    ("a public function without a docstring", rules.docstrings, "a.py", '"""A."""\ndef f(): ...\n'),
    ("a public method without a docstring", rules.docstrings, "a.py", '"""A."""\nclass A:\n "A."\n def f(self): ...\n'),
    ("a module that shadows the stdlib", rules.stdlib_shadow, "operator/moorage/store/secrets.py", ""),
    ("a package that shadows the stdlib", rules.stdlib_shadow, "operator/moorage/http/__init__.py", ""),
    ("a module called utils", rules.banned_words, "operator/moorage/kube/utils.py", ""),
    ("a package called common", rules.banned_words, "operator/moorage/common/names.py", ""),
    ("a class called LeaseManager", rules.banned_words, "a.py", "class LeaseManager: ..."),
    ("a function called sync_wallet", rules.banned_words, "a.py", "def sync_wallet(): ..."),
    ("a method called process", rules.banned_words, "a.py", "class A:\n async def process(self): ..."),
    ("a call of float", rules.float_money, "operator/moorage/billing/a.py", "x = float('1.5')"),
    ("a true division", rules.float_money, "operator/moorage/billing/a.py", "x = a / b"),
    ("a numeric amount in SQL", rules.sql_float_money, "a.sql", "    balance_micros numeric NOT NULL,"),
    ("a price in double precision", rules.sql_float_money, "a.sql", "    rate_picos   double precision,"),
    ("a migration without a side", rules.migration_name, "store/migrations/0007_wallets.sql", ""),
    ("a migration without a number", rules.migration_name, "store/migrations/pre_wallets.sql", ""),
    ("a noqa without a code", rules.suppressions, "a.py", "x = 1  # noqa"),
    ("a noqa without a reason", rules.suppressions, "a.py", "x = 1  # noqa: S101"),
    ("an ignore without a code", rules.suppressions, "a.py", "x = 1  # type: ignore"),
    ("an ignore without a reason", rules.suppressions, "a.py", "x = 1  # type: ignore[arg-type]"),
    ("a reason for another code", rules.suppressions, "a.py", "x = 1  # noqa: S101 - checked\ny = 1  # noqa: S102"),
    ("a sleep in a test", rules.sleeps, "tests/unit/test_a.py", "import time\ntime.sleep(1)"),
    ("a sleeping loop in a test", rules.sleeps, "tests/e2e/test_a.py", "while True:\n    asyncio.sleep(0.1)"),
    ("a sleep outside a loop", rules.sleeps, "tests/e2e/cluster.py", "time.sleep(5)"),
    ("a path of one machine", rules.machine_paths, "README.md", "cd /" + "work/main && make"),
    ("a home folder", rules.machine_paths, "dev/a.py", 'CACHE = "/' + 'home/me/.cache"'),
    ("an address in a lock file", rules.locked_addresses, "requirements.lock", "a @ https://example.com/a.whl"),
    ("an index in a lock file", rules.locked_addresses, "requirements.lock", "--extra-index-url somewhere"),
    ("a target without help", rules.make_help, "Makefile", ".PHONY: up\nup: venv\n\tpython\n"),
    ("a target that is taken for a file", rules.make_help, "Makefile", "up: ## start\n\tpython\n"),
]

PASSED: list[tuple[str, Rule, str, str]] = [
    ("a test of 600 lines", rules.file_length, "tests/unit/test_a.py", "x = 1\n" * 600),
    ("a function of 70 lines", rules.function_length, "a.py", "def f():\n" + "    pass\n" * 69),
    ("two short SQL functions", rules.function_length, "a.sql", SQL_LONG.replace("    NULL;\n" * 40, "") * 2),
    ("a one-liner before others", rules.function_length, "a.sql", SQL_ONE + SQL_LONG.replace("    NULL;\n", "", 9)),
    ("a private function without a docstring", rules.docstrings, "a.py", '"""A."""\ndef _f(): ...\n'),
    ("an empty package", rules.docstrings, "operator/moorage/store/migrations/__init__.py", ""),
    ("an entry point", rules.stdlib_shadow, "operator/moorage/__main__.py", ""),
    ("words that only contain a banned one", rules.banned_words, "dev/processes.py", "async def asynchronous(): ..."),
    ("a whole division", rules.float_money, "operator/moorage/billing/a.py", "x = a // b"),
    ("a bigint amount", rules.sql_float_money, "a.sql", "    balance_micros bigint NOT NULL,"),
    ("a migration of the second batch", rules.migration_name, "store/migrations/0012_post_drop_old_runs.sql", ""),
    ("a noqa with its reason", rules.suppressions, "a.py", "x = 1  # noqa: S101 - registered for it"),
    ("a reason in a comment of its own", rules.suppressions, "a.py", "x = 1  # type: ignore[misc]  # no stubs"),
    ("a reason on the line above", rules.suppressions, "a.py", "# It is checked.\nx = 1  # noqa: S101"),
    ("a code explained above", rules.suppressions, "a.py", "x = 1  # noqa: S101 (a path)\ny = 1  # noqa: S101"),
    ("a string that looks like one", rules.suppressions, "a.py", 'x = "# noqa"'),
    ("a yield to the loop", rules.sleeps, "tests/unit/test_a.py", "await_(asyncio.sleep(0))"),
    (
        "a poll under a deadline",
        rules.sleeps,
        "tests/unit/test_a.py",
        "async def f():\n async with asyncio.timeout(9):\n  while waiting():\n   await asyncio.sleep(0.1)",
    ),
    ("a poll in a shared module", rules.sleeps, "tests/e2e/cluster.py", "while waiting():\n    time.sleep(0.1)"),
    ("a path every machine has", rules.machine_paths, "a.py", "/var/lib/moorage ~/somewhere/x ./elsewhere/y a/home/b"),
    ("a hash in a lock file", rules.locked_addresses, "requirements.lock", "a==1 \\\n    --hash=sha256:00"),
    ("a target with help", rules.make_help, "Makefile", ".PHONY: up\nup: venv ## start\nX := 1\n"),
]


def _ids(cases: list[tuple[str, Rule, str, str]]) -> list[str]:
    return [f"{rule.__name__}: {name}" for name, rule, _, _ in cases]


@pytest.mark.parametrize(("name", "rule", "path", "text"), CAUGHT, ids=_ids(CAUGHT))
def test_rule_names_the_offence_when_there_is_one(name: str, rule: Rule, path: str, text: str) -> None:
    offences = list(rule(Source(path, text)))
    assert len(offences) == 1, f"{name}: {offences}"
    assert offences[0].startswith(path)


@pytest.mark.parametrize(("name", "rule", "path", "text"), PASSED, ids=_ids(PASSED))
def test_rule_stays_silent_when_there_is_none(name: str, rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == [], name


def test_dead_module_is_found_when_nobody_imports_it() -> None:
    tree = [
        Source("operator/moorage/__main__.py", "from moorage.kube import client\n"),
        Source("operator/moorage/kube/client.py", "import moorage.model.names\n"),
        Source("operator/moorage/model/names.py", "import moorage.model.names\n"),
        Source("operator/moorage/cli.py", ""),
        Source("operator/moorage/store/attic.py", "from moorage.store import attic\n"),
    ]
    offences = list(rules.dead_modules(tree, entry_points=["moorage.cli"]))
    assert offences == ["operator/moorage/store/attic.py: nobody imports it"]
