"""Benchmarks that need no cluster, run as programs of their own."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any  # what they print

from dev.layout import Layout
from tests.bench import durable, restic
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


def spending(*, quick: bool) -> Section:
    """Model requests, in batches and one by one."""
    found = _run("tests.bench.spending", *(["--wallets", "2000", "--rounds", "2", "--seconds", "1"] if quick else []))
    efforts, many = found["efforts"], f"{found['wallets']} wallets"
    rows = [
        Row(
            "requests of one wallet, in batches of 500",
            found["hot_batches"],
            "/s",
            at_least=15_000,
            beside=found["bare_batches"],
            beside_what="as many rows by bare statements",
        ),
        Row("… ÷ hold and settle, one by one", found["hot_batches_to_pairs"], "×", at_least=20),
        Row(
            "hold and settle of one wallet, 8 clients",
            found["hot_pairs"],
            "/s",
            beside=found["bare_pairs"],
            beside_what="bare UPDATE and INSERT",
        ),
        Row(f"requests of {many}, in batches of 500", found["many_batches"], "/s", at_least=5_000),
        Row(f"requests of {many}, in batches of 100", found["many_small_batches"], "/s", at_least=5_000),
    ]
    notes = [
        f"{found['rounds']} rounds on a durable PostgreSQL; a bare commit takes {found['commit_milliseconds']} ms",
        f"batches of one wallet: {durable.told(efforts['hot_batches'])}; bare: {durable.told(efforts['bare_batches'])}",
        f"one by one: {durable.told(efforts['hot_pairs'])}",
        f"batches of many wallets: {durable.told(efforts['many_batches'])}",
    ]
    return Section("spending", rows, notes)


def payments(*, quick: bool) -> Section:
    """Webhooks, and top-ups beside a settlement."""
    few = ["--runs", "10000", "--objects", "100", "--seconds", "2", "--rounds", "3"]
    found = _run("tests.bench.payments", *(few if quick else []))
    rows = [
        Row(
            f"{found['events']} events of {found['objects']} payments, shuffled, kept and applied once",
            found["applied"],
            "s",
            at_most=10.0,
            beside=found["bare_applied"],
            beside_what="as many bare inserts and movements",
        ),
        Row(
            f"event kept and answered, {found['per_second']} a second, p99",
            [found["kept"]["p99"]],
            "ms",
            at_most=50.0,
            beside=[found["bare_kept"]["p99"]],
            beside_what="bare insert, p99",
        ),
        Row(
            f"top-up while {found['runs']} runs are charged, p99",
            [found["top_up"]["p99"]],
            "ms",
            at_most=50.0,
            beside=[found["bare_top_up"]["p99"]],
            beside_what="bare UPDATE and INSERT, p99",
        ),
        Row("… median", [found["top_up"]["p50"]], "ms", beside=[found["bare_top_up"]["p50"]], beside_what="bare"),
    ]
    about = f"{found['top_ups']} top-ups during {found['rounds']} settlements of {found['settle_seconds']} s each"
    return Section("payments", rows, [about, f"a bare commit takes {found['commit_milliseconds']} ms"])


def charges(*, quick: bool) -> Section:
    """A million runs, wallets at zero, and one wallet at a time."""
    few = ["--runs", "50000", "--pods", "10000", "--rounds", "2", "--seconds", "1"]
    found = _run("tests.bench.charges", *(few if quick else []))
    rows = [
        Row(
            f"{found['runs']} open runs of {found['wallets']} wallets charged, exact",
            found["everybody"],
            "s",
            at_most=2.5,
            beside=found["bare_everybody"],
            beside_what="as many rows by two bare statements",
        ),
        Row(f"{found['pods']} pods, nobody at zero: each second's look", found["idle_milliseconds"], "ms", at_most=50),
        Row("500 wallets at zero, their agents told", found["due_seconds"], "s", at_most=1.0),
    ]
    for clients in (8, 16):
        for what, said in (("many", "a wallet of its own"), ("hot", "all the same wallet")):
            name = f"{what}_{clients}"
            rows.append(
                Row(
                    f"one wallet a call, {clients} clients, {said}",
                    found[f"charge_{name}"],
                    "/s",
                    beside=found[f"bare_{name}"],
                    beside_what="bare UPDATE and INSERT",
                )
            )
            rows.append(Row("… ÷ bare", found[f"ratio_{name}"], "×", at_least=0.9 if what == "many" else None))
    about = f"{found['rounds']} rounds on a durable PostgreSQL; a bare commit takes {found['commit_milliseconds']} ms"
    return Section("charges", rows, [about])


def snapshot(*, quick: bool) -> Section:
    """A gigabyte in few files, and 20,000 small files; a tenth of both in a quick run."""
    found = _run("tests.bench.snapshot", *(["--quick"] if quick else []))
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
        rows.append(Row(f"{about}: extract", [rates["extract_mb_per_second"]], "MB/s", at_least=150.0))
        rows += [
            Row(
                f"{about}: {step}, start and all",
                one["runs_seconds"][step],
                "s",
                at_most=20.0 if (name, step) == ("one_gigabyte", "restore") else None,
                beside=one["runs_seconds"].get(f"restic_{other}", []),
                beside_what="restic",
            )
            for step, other in (("capture", "backup"), ("restore", "restore"))
        ]
        rows += [
            Row(f"{about}: restic's {step} ÷ ours", [ratio], "×", at_least=1.0)
            for step, ratio in one["restic_takes_times"].items()
        ]
        rows += [
            Row(f"{about}: memory of the mover, {step}", [one["peak_rss_mib"][f"{step}/mover"]], "MiB", at_most=64.0)
            for step in ("capture", "restore")
        ]
    start = found["mover_start"]["median_seconds"]
    spent = ", ".join(f"{step} {start[step]} s" for step in ("capture", "restore", "extract"))
    note = f"an empty volume, which is the start of mover and command: {spent}"
    notes = [note, "MB/s of plain data, without that start"]
    return Section("snapshot", rows, notes if found["restic"] else [*notes, restic.ABSENT])


def domains(*, quick: bool) -> Section:
    """A thousand host names at once against the provider's limit: the keepers alone, and the whole way."""
    found = _run("tests.bench.domains", *(["--count", "200", "--rounds", "1"] if quick else []))
    allowed = max(found["allowed_seconds"])
    rows = [
        Row(
            f"{found['count']} records and certificates there, virtual time",
            found["seconds"],
            "s",
            at_most=round(1.1 * allowed, 1),
            beside=found["allowed_seconds"],
            beside_what="as many calls at 1,200 in five minutes",
        ),
        Row("calls per Domain", found["calls_per_domain"], at_most=3),
        Row("calls in an hour without wishes: six lists of two pages", found["idle_calls"], at_most=12),
        Row("CPU per Domain, the played provider's included", found["cpu_ms_per_domain"], "ms"),
    ]
    whole = _run("tests.bench.whole_domains", *(["--count", "100", "--rounds", "1"] if quick else []))
    notes = [f"virtual time: {found['rounds']} rounds; real time: {whole['rounds']} rounds; 200 calls a minute"]
    return Section("domains", [*rows, *_whole_domains(whole)], notes)


def _whole_domains(found: Any) -> list[Row]:
    allowed = min(found["allowed_seconds"])
    return [
        Row(
            f"{found['count']} Domains applied at once: all Ready, real time",
            found["seconds"],
            "s",
            at_most=round(1.1 * allowed, 1),
            beside=found["allowed_seconds"],
            beside_what="as many calls at 1,200 in five minutes",
        ),
        Row("… calls per Domain", found["calls_per_domain"], at_most=3),
        Row(f"… calls in the {found['quiet_span']:.0f} s after that", found["quiet_calls"], at_most=0),
        Row("… CPU of the operator, of API server and provider (both played), for all", found["cpu_seconds"], "s"),
        Row("… CPU of PostgreSQL, for all", found["server_cpu_seconds"], "s"),
    ]


def _run(module: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=Layout.current().root, stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


ALL: dict[str, Callable[..., Section]] = {
    "settle": settle,
    "verify": verify,
    "spending": spending,
    "payments": payments,
    "charges": charges,
    "snapshot": snapshot,
    "domains": domains,
}
