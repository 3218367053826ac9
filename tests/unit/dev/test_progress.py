"""Progress is one plain line per step, also when steps lie inside each other or fail."""

import re

import pytest

from dev import progress


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [re.sub(r"\d+\.\d", "N", line) for line in capsys.readouterr().out.splitlines()]


def test_a_step_is_one_line_with_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("build etcd"):
        pass

    assert lines(capsys) == ["  build etcd ... N s"]


def test_a_failed_step_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), progress.step("build etcd"):
        raise ValueError("no")

    assert lines(capsys) == ["  build etcd ... failed after N s"]


def test_an_inner_step_gets_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("outer"), progress.step("inner"):
        pass

    assert lines(capsys) == ["  outer ... ", "  inner ... N s", "  outer: N s"]


def test_a_remark_does_not_tear_an_open_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("outer"):
        progress.say("remark")

    assert lines(capsys) == ["  outer ... ", "remark", "  outer: N s"]
