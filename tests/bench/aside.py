"""(f) Settle and (g) snapshot: benchmarks that need no cluster, run as programs of their own."""

import json
import subprocess
import sys
from typing import Any  # what they print

from dev.layout import Layout
from tests.bench.report import Row, Section


def settle(*, quick: bool) -> Section:
    """100,000 open runs, each of a wallet of its own."""
    found = _run("tests.bench.settle", *(["--runs", "10000", "--rounds", "3"] if quick else []))
    floor = [found["floor_seconds_median"]]
    row = Row(
        f"{found['runs']} open runs of {found['wallets']} wallets charged",
        found["settle_seconds_all"],
        "s",
        at_most=1.0,
        beside=floor,
        beside_what="as many rows by two bare statements",
    )
    return Section("settle", [row], [f"{found['rounds']} rounds on a durable PostgreSQL"])


def verify(*, quick: bool) -> Section:
    """A million entries, sealed and checked."""
    found = _run("tests.bench.verify", *(["--entries", "100000", "--rounds", "2"] if quick else []))
    rows = [
        Row(
            f"every invariant of {found['entries']} entries checked, all seals hashed again",
            found["verify_seconds_all"],
            "s",
            at_most=30.0,
            beside=[found["floor_seconds_median"]],
            beside_what="one bare sum over them",
        ),
        Row(f"the same entries sealed, {found['seals']} seals", [found["seal_seconds"]], "s"),
    ]
    dearest = sorted(found["milliseconds"].items(), key=lambda one: -one[1])[:3]
    note = "dearest checks: " + ", ".join(f"{name} {spent / 1000:.2f} s" for name, spent in dearest)
    return Section("verify", rows, [f"{found['rounds']} rounds on a durable PostgreSQL, two connections", note])


def snapshot() -> Section:
    """A gigabyte in few files, and 20,000 small files."""
    found = _run("tests.bench.snapshot")
    rows: list[Row] = []
    for name, about in (("one_gigabyte", "1 GB in 16 files"), ("small_files", "20,000 small files")):
        one, rates = found[name], found[name]["without_start"]
        control = {"capture": "control_pack", "restore": "control_unpack"}
        for step in ("capture", "verify", "restore"):
            beside = [rates[f"{control[step]}_mb_per_second"]] if step in control else []
            rows.append(
                Row(
                    f"{about}: {step}",
                    [rates[f"{step}_mb_per_second"]],
                    "MB/s",
                    beside=beside,
                    beside_what="tar and zstd alone",
                )
            )
        rows += [
            Row(f"{about}: memory of the mover, {step}", [one["peak_rss_mib"][f"{step}/mover"]], "MiB", at_most=64.0)
            for step in ("capture", "restore")
        ]
    start = found["mover_start"]["median_seconds"]
    note = f"an empty volume, which is the mover's start: capture {start['capture']} s, restore {start['restore']} s"
    return Section("snapshot", rows, [note, "MB/s of plain data, without the mover's start"])


def _run(module: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=Layout.current().root, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)
