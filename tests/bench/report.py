"""What a benchmark found, as JSON lines and as one section of docs/benchmarks.md."""

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
HEAD = "| what | median | min–max | beside it, in the same run | reach | |\n|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    """One number: all its values, what it should reach, and what stood beside it in the same run."""

    what: str
    values: list[float]
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    beside: list[float] = field(default_factory=list)
    beside_what: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median reaches what it should; None where nothing is asked."""
        if self.at_most is None and self.at_least is None:
            return None
        middle = statistics.median(self.values)
        return (self.at_most is None or middle <= self.at_most) and (self.at_least is None or middle >= self.at_least)

    @property
    def reach(self) -> str:
        """The goal as text."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g} {self.unit}".strip()
        return f"≥ {self.at_least:g} {self.unit}".strip() if self.at_least is not None else ""

    def line(self) -> str:
        """A row of the table."""
        verdict = {True: "met", False: "**missed**", None: ""}[self.met]
        spread = f"{number(min(self.values))}–{number(max(self.values))}" if len(self.values) > 1 else ""
        beside = f"{self.beside_what} {number(statistics.median(self.beside))} {self.unit}" if self.beside else ""
        cells = [self.what, f"{number(statistics.median(self.values))} {self.unit}", spread, beside]
        return "| " + " | ".join(cell.strip() for cell in [*cells, self.reach, verdict]) + " |\n"

    def document(self) -> dict[str, Any]:
        """What is printed."""
        found: dict[str, Any] = {"what": self.what, "median": round(statistics.median(self.values), 3)}
        found |= {"unit": self.unit, "values": [round(value, 3) for value in self.values]}
        if self.beside:
            found |= {"beside": self.beside_what, "beside_values": [round(value, 3) for value in self.beside]}
        return found if self.met is None else found | {"reach": self.reach, "met": self.met}


@dataclass(frozen=True)
class Section:
    """The result of one benchmark."""

    name: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    """What the run itself has to say; each becomes a list item."""

    def text(self) -> str:
        """The generated part of its section."""
        notes = "".join(f"\n- {note}" for note in self.notes)
        return f"{machine()}\n\n{HEAD}{''.join(row.line() for row in self.rows)}{notes}".rstrip() + "\n"


def publish(section: Section, *, into_page: bool) -> None:
    """Print it, and put it into the page between its marks."""
    for row in section.rows:
        say({"benchmark": section.name, **row.document()})
    if not into_page:
        return
    begin, end = f"<!-- {section.name}: written by `make bench` -->\n", f"<!-- end of {section.name} -->"
    page = PAGE.read_text()
    if begin not in page or end not in page:
        raise SystemExit(f"{PAGE.name} has no place for {section.name}: it lacks its two marks")
    start = page.index(begin) + len(begin)
    PAGE.write_text(page[:start] + section.text() + page[page.index(end) :])


def say(line: dict[str, Any]) -> None:
    """One JSON object on a line of its own."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def number(value: float) -> str:
    """Three digits that matter."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> str:
    """Where and when."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    kibibytes = int(Path("/proc/meminfo").read_text().split()[1])
    cpu = f"{os.cpu_count()} × {model[1] if model else platform.machine()}"
    load = os.getloadavg()[2]
    return f"{time.strftime('%Y-%m-%d')}; {cpu}, {kibibytes / 2**20:.0f} GiB; load over 15 minutes {load:.1f}"
