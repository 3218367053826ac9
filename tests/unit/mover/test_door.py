"""The mover's arguments, and what it says when it cannot begin."""

import signal
from collections.abc import Iterator

import pytest

from moorage.mover import door


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("arguments", [[], ["copy"], ["capture", "now"], ["--help"]], ids=str)
def test_unknown_arguments_are_answered_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.main(arguments, {}) == door.EXIT_USAGE
    assert capsys.readouterr().err.strip() == door.USAGE


@pytest.mark.parametrize("mode", ["capture", "restore"])
def test_a_missing_variable_is_named(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.main([mode], {"MOORAGE_MOVER_ATTEMPT": "a"}) == door.EXIT_USAGE
    assert "MOORAGE_MOVER_API_URL" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["capture", "restore"])
def test_a_bug_says_no_more_than_that_it_failed(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {
        "MOORAGE_MOVER_ATTEMPT": "a",
        "MOORAGE_MOVER_API_URL": "https://api/?signature=canary",
        "MOORAGE_MOVER_API_CA": "a canary, and no certificate",
    }
    assert door.main([mode], environment) == door.EXIT_FAILED
    assert capsys.readouterr().err == "failed: MoverFailed\n"
