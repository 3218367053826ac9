"""`python -m tests.soak [--minutes 60] [--kills 10000] [--seed TEXT]`: the ledger's hard tests for as long as you like.

Takes turns between clients and servers that are killed and, in programs of their own, crash points and random orders of
operations, each turn with a seed of its own, until both the minutes and the kills are over; then prints the totals. A
failure ends it with the seed that makes it happen again.

`python -m tests.soak --simulation [--seeds 200000] [--first 0]`: plays of the simulated house instead.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from dev.postgres import Postgres
from moorage.store.migrate import migrate
from tests.integration.money import kills
from tests.soak import plays

KILLS_PER_TURN, KILLS_PER_CRASH = 500, 50
MODULES = ("test_crash_points", "test_model", "test_lock_graph")


@dataclass
class Totals:
    """Everything that was done so far."""

    account: kills.Account = field(default_factory=kills.Account)
    turns: int = 0
    cuts: int = 0
    failures: list[str] = field(default_factory=list)

    def text(self, seconds: float) -> str:
        """One line for a person."""
        one = self.account
        return (
            f"{seconds / 60:.1f} min, {self.turns} turns: {one.kills} clients killed "
            f"({one.inside_a_call} inside a call), "
            f"{one.crashes} servers cut off, {one.answered} answered steps all there and none twice, "
            f"{self.cuts} connections cut, {len(self.failures)} failures"
        )


def main() -> int:
    """Turn after turn; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--kills", type=int, help="at least so many; 10000 for an hour, in proportion for less")
    parser.add_argument("--seed", default="", help="of the first turn; default: the time")
    parser.add_argument("--simulation", action="store_true", help="plays of the simulated house instead")
    parser.add_argument("--seeds", type=int, default=200_000, help="how many plays")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first play")
    arguments = parser.parse_args()
    if arguments.simulation:
        return plays.run(arguments.seeds, arguments.first, _say)
    kills_min = round(10_000 * min(1.0, arguments.minutes / 60)) if arguments.kills is None else arguments.kills
    first = arguments.seed or str(int(time.time()))
    totals, begun = Totals(), time.monotonic()
    while not totals.failures:
        seconds = time.monotonic() - begun
        if seconds >= 60 * arguments.minutes and totals.account.kills >= kills_min:
            break
        seed = first if totals.turns == 0 else f"{first}{totals.turns:04}"
        _turn(seed, min(KILLS_PER_TURN, max(kills_min, KILLS_PER_CRASH)), totals)
        _say(f"seed {seed}: {totals.text(time.monotonic() - begun)}")
    for failure in totals.failures:
        _say(failure)
    return 1 if totals.failures else 0


def _turn(seed: str, kills_now: int, totals: Totals) -> None:
    totals.turns += 1
    with tempfile.TemporaryDirectory(prefix="moorage-soak-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "server")
        diaries = Path(folder) / "diaries"
        diaries.mkdir()
        try:
            server.start()
            asyncio.run(migrate(server.url()))
            account = kills.run(server, server.url(), diaries, kills.Plan(seed, kills_now, KILLS_PER_CRASH))
        finally:
            server.stop()
    totals.account.add(account)
    totals.failures += [f"kills with seed {seed}: {one}" for one in account.wrong]
    for module in MODULES:
        _play(module, seed, totals)


def _play(module: str, seed: str, totals: Totals) -> None:
    """One rung as pytest runs it, with the seed of this turn."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-x", f"tests/integration/money/{module}.py"],
        env={**os.environ, "MOORAGE_TEST_SEED": seed},
        capture_output=True,
        text=True,
        check=False,
    )
    totals.cuts += sum(int(found) for found in re.findall(r"^(\d+) cuts", done.stdout, re.M))
    if done.returncode:
        totals.failures.append(f"{module} with MOORAGE_TEST_SEED={seed}:\n{done.stdout}{done.stderr}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
