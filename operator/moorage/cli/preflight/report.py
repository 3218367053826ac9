"""What a check has found, and how a person reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer: what was looked at, how it is, and what to do where it is not right."""

    check: str
    outcome: Outcome
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Outcome.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """The platform runs, but less well or less safely; or nobody can tell."""
    return Finding(check, Outcome.WARN, found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    """The platform cannot run, or would break a promise."""
    return Finding(check, Outcome.FAIL, found, advice)


def table(findings: Sequence[Finding]) -> list[str]:
    """The lines for a terminal; advice stands below what it is about."""
    width = max((len(item.check) for item in findings), default=0)
    lines = []
    for item in findings:
        lines.append(f"{item.outcome:<4}  {item.check:<{width}}  {item.found}")
        if item.advice:
            lines.append(f"{'':<{width + 8}}→ {item.advice}")
    counts = {outcome: sum(item.outcome is outcome for item in findings) for outcome in Outcome}
    return [*lines, ", ".join(f"{count} {outcome}" for outcome, count in counts.items())]
