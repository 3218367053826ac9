"""How fast a volume is captured, verified, restored and taken away, and in how much memory.

`python -m tests.bench.snapshot [--quick]`; a quick run is for trying: little data, once.

Real mover processes against a real S3 server, PostgreSQL and the API over TLS, all on this machine, so the store's own
work competes for the same cores. Prints one JSON object; the start of a mover (an empty volume) is reported apart, and
beside each run stands a control of the same minute: tar and zstd alone, without a cipher, a network or a second look.
Debian's restic does the same in turn with us, into the same server; both are timed as whole programs.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from dev.postgres import Postgres
from moorage.model.record import AttemptKind, AttemptState
from moorage.services.key_export import export
from moorage.store.attempt_row import AttemptRow
from moorage.store.migrate import migrate
from tests.bench import restic
from tests.integration.snapshots.world import EPOCH, ROOT, World, open_world
from tests.store_server import VersityGateway

RUNS, QUICK_RUNS = 3, 1
POLL_SECONDS = 0.005
MEGA = 1_000_000
PROGRAMS = {"mover", "tar", "zstd"}
STEPS = ("capture", "commit", "verify", "restore", "extract", "control_pack", "control_unpack")
AGAINST = {"capture": "restic_backup", "restore": "restic_restore"}
EXTRACT = "from moorage.cli import main; main()"


def small_files(folder: Path, part: int) -> None:
    """About 174 MB in 20,000 files: half of it compresses, as agents' workspaces do; or a tenth of it."""
    dice = random.Random(7)
    for number in range(20_000 // part):
        home = folder / f"d{number % 200:03}"
        home.mkdir(exist_ok=True)
        size = dice.randint(200, 17_200)
        (home / f"f{number:05}").write_bytes(dice.randbytes(size // 2) + b"line of a log\n" * (size // 28))


def one_gigabyte(folder: Path, part: int) -> None:
    """1.07 GB: half random, half text; or a tenth of it."""
    dice = random.Random(11)
    text = b"".join(b"2026-01-01T00:00:%02dZ agent said %d\n" % (n % 60, dice.getrandbits(60)) for n in range(25_000))
    for number in range(8):
        (folder / f"random-{number}").write_bytes(dice.randbytes(67 * MEGA // part))
        with (folder / f"log-{number}").open("wb") as log:
            for _ in range(67 * MEGA // part // len(text)):
                log.write(text)


async def watched(world: World, mode: str, attempt_id: str, volume: Path) -> tuple[float, dict[str, int]]:
    """Run a mover; its wall time, and the high-water mark of each program's resident memory in KiB."""
    peaks: dict[str, int] = {}
    started = time.perf_counter()
    child = await world.start_mover(mode, attempt_id, volume)
    ended = asyncio.create_task(child.communicate())
    while not ended.done():
        for pid in [child.pid, *children(child.pid)]:
            name, peak = high_water(pid)
            name = "mover" if pid == child.pid else name
            if peak and name in PROGRAMS:
                peaks[name] = max(peaks.get(name, 0), peak)
        await asyncio.sleep(POLL_SECONDS)
    _, stderr = await ended
    seconds = time.perf_counter() - started
    if child.returncode != 0:
        raise SystemExit(f"{mode} failed: {stderr.decode()}")
    return seconds, peaks


def children(pid: int) -> list[int]:
    """The processes a process has started, from any of its threads."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in listing.read_text().split()]
        except OSError:
            continue
    return found


def high_water(pid: int) -> tuple[str, int]:
    """Name and VmHWM of a process; getrusage would also count what the parent had before it started the program."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return fields["Name"].strip(), int(fields.get("VmHWM", "0 kB").split()[0])
    except (OSError, ValueError, KeyError):
        return "", 0


async def measure(world: World, volume: Path, runs: int) -> dict[str, object]:
    """Capture, commit, verify, extract and restore one volume a few times, and let restic do the same in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in STEPS}
    peaks: dict[str, int] = {}
    for run in range(runs):
        attempt_id = await world.begin()
        took, seen = await watched(world, "capture", attempt_id, volume)
        seconds["capture"].append(took)
        remember(peaks, "capture", seen)
        for name, step in (("commit", world.snapshots.commit), ("verify", world.snapshots.verify)):
            started = time.perf_counter()
            await step(epoch=EPOCH, attempt_id=attempt_id)
            seconds[name].append(time.perf_counter() - started)
        row = await world.row(attempt_id)
        if row.state is not AttemptState.VERIFIED or row.report is None:
            raise SystemExit(f"the snapshot is not verified: {row.failure}")
        report = row.report
        await world.settle()
        seconds["extract"].append(await extracted(world, row, world.scratch / f"{volume.name}-{run}.tar"))
        # Nothing is deleted before the end: ext4 takes seconds of CPU to avoid inodes that were freed a moment ago.
        target = world.volume(f"{volume.name}-restored-{run}")
        attempt_id = await world.begin(AttemptKind.RESTORE)
        took, seen = await watched(world, "restore", attempt_id, target)
        seconds["restore"].append(took)
        remember(peaks, "restore", seen)
        await world.settle()
        others = control(volume, world.volume(f"{volume.name}-control-{run}"))
        if restic.found() and report.file_count:  # of nothing, restic takes no snapshot
            others |= beside(world, volume, world.volume(f"{volume.name}-restic-{run}"))
        for name, took in others.items():
            seconds.setdefault(name, []).append(took)
    return {
        "files": report.file_count,
        "plain_bytes": report.plain_bytes,
        "object_bytes": report.object_bytes,
        "median_seconds": {name: round(statistics.median(taken), 3) for name, taken in seconds.items()},
        "runs_seconds": {name: [round(value, 3) for value in taken] for name, taken in seconds.items()},
        "peak_rss_mib": {name: round(kib / 1024, 1) for name, kib in sorted(peaks.items())},
    }


async def extracted(world: World, row: AttemptRow, output: Path) -> float:
    """Seconds of `moorage snapshot extract` for one snapshot, as a whole program."""
    key = world.scratch / f"{row.snapshot_id}.key"
    exported = await export(world.database, world.keyring, row.snapshot_id, actor="test")
    if exported is None:
        raise SystemExit("the snapshot is not in the catalogue")
    key.write_bytes(msgspec.json.encode(exported.key))
    (stored,) = (world.gateway.folder / world.bucket).glob(row.object_key)
    arguments = ["snapshot", "extract", "--object", str(stored), "--key", str(key), "-o", str(output)]
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", EXTRACT, *arguments, stderr=subprocess.PIPE)
    _, stderr = await child.communicate()
    if child.returncode != 0:
        raise SystemExit(f"extract failed: {stderr.decode()}")
    return time.perf_counter() - started


def beside(world: World, volume: Path, target: Path) -> dict[str, float]:
    """The same volume through restic, into a repository of its own."""
    other = restic.Restic(world.gateway, world.scratch)
    return {"restic_backup": other.backup(volume), "restic_restore": other.restore(target)}


def control(volume: Path, target: Path) -> dict[str, float]:
    """The same volume through tar and zstd alone, into a file and out of it again."""
    packed = target.with_suffix(".tar.zst")
    commands = {
        "control_pack": f'tar -C "{volume}" -cf - . | zstd -1 -T2 -q > "{packed}"',
        "control_unpack": f'zstd -dqc "{packed}" | tar -C "{target}" -xf - && sync -f "{target}"',
    }
    seconds = {}
    for name, command in commands.items():
        started = time.perf_counter()
        subprocess.run(["sh", "-c", command], check=True)
        seconds[name] = time.perf_counter() - started
    return seconds


def remember(peaks: dict[str, int], mode: str, seen: dict[str, int]) -> None:
    """Keep the highest mark of each program."""
    for name, kib in seen.items():
        key = f"{mode}/{name}"
        peaks[key] = max(peaks.get(key, 0), kib)


def rates(result: dict[str, object], start: dict[str, float]) -> dict[str, float]:
    """MB/s of plain data without the mover's start."""
    median, plain = result["median_seconds"], result["plain_bytes"]
    assert isinstance(median, dict)
    assert isinstance(plain, int)
    without = {name: median[name] - (0 if "control" in name else start[name]) for name in STEPS if name != "commit"}
    return {f"{name}_mb_per_second": round(plain / MEGA / max(0.001, took), 1) for name, took in without.items()}


def ratios(result: dict[str, object]) -> dict[str, float]:
    """How many times as long restic takes, start and all; nothing where it was not there."""
    median = result["median_seconds"]
    assert isinstance(median, dict)
    return {step: round(median[other] / median[step], 2) for step, other in AGAINST.items() if other in median}


async def bench(url: str, gateway: VersityGateway, scratch: Path, *, quick: bool) -> dict[str, object]:
    """All data sets."""
    runs, part = (QUICK_RUNS, 10) if quick else (RUNS, 1)
    async with open_world(url, gateway, scratch) as world:
        empty = await measure(world, world.volume("empty"), runs)
        start = empty["median_seconds"]
        assert isinstance(start, dict)
        results: dict[str, object] = {
            "runs": runs,
            "restic": restic.found(),
            "cores": os.cpu_count(),
            "mover_start": empty,
        }
        for name, fill in (("small_files", small_files), ("one_gigabyte", one_gigabyte)):
            volume = world.volume(name)
            fill(volume, part)
            found = await measure(world, volume, runs)
            results[name] = found | {"without_start": rates(found, start), "restic_takes_times": ratios(found)}
        return results


def main() -> None:
    """Start the servers, measure, print."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "operator"), str(ROOT)])
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "scratch").mkdir()
        (home / "pg").mkdir()
        (home / "pg").chmod(0o755)
        server, gateway = Postgres(home / "pg", durable=True), VersityGateway(home / "store")
        server.start()
        try:
            server.psql("CREATE DATABASE bench", database="postgres")
            asyncio.run(migrate(server.url("bench")))
            gateway.start()
            results = asyncio.run(bench(server.url("bench"), gateway, home / "scratch", quick="--quick" in sys.argv))
        finally:
            gateway.stop()
            server.stop()
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
