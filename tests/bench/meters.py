"""What a process has cost, and what was asked of the API server: read before and after, and subtracted."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dev import processes
from dev.layout import Layout

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-scheduler", "kube-controller-manager", "kube-proxy", "kwok")
WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def cpu_seconds(layout: Layout) -> dict[str, float]:
    """CPU that each part has used since it was started; also our own, the load's."""
    used = {name: _own_seconds(_stat(processes.pid_of(layout, name))) for name in _running(layout)}
    times = os.times()
    return {**used, "postgres": _postgres_seconds(layout), "load": times.user + times.system}


def _running(layout: Layout) -> list[str]:
    return [name for name in ("operator", *CONTROL_PLANE) if processes.alive(layout, name)]


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds between two readings, of those that ran at both."""
    return {name: after[name] - before[name] for name in before if name in after}


def resident_mib(layout: Layout, name: str) -> tuple[float, float]:
    """Resident memory of a process now and at its highest, in MiB."""
    lines = Path(f"/proc/{processes.pid_of(layout, name)}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]  # two


def operator_writes(exposition: str) -> Counter[str]:
    """Writes the operator has made, as `verb resource`, from its own metrics; refused ones count too."""
    found: Counter[str] = Counter()
    for labels, value in samples(exposition, "moorage_kubernetes_requests_total"):
        if labels["verb"] in WRITES:
            found[f"{labels['verb']} {labels['resource']}"] += int(value)
    return found


def reconciles(exposition: str) -> Counter[str]:
    """The operator's reconciles, as `kind result`."""
    found: Counter[str] = Counter()
    for labels, value in samples(exposition, "moorage_reconciles_total"):
        found[f"{labels['kind']} {labels['result']}"] += int(value)
    return found


def server_writes(exposition: str) -> Counter[str]:
    """Writes of everybody, as `verb resource`, from the API server's metrics."""
    found: Counter[str] = Counter()
    for labels, value in samples(exposition, "apiserver_request_total"):
        if labels["verb"] in WRITES:
            resource = "/".join(part for part in (labels["resource"], labels["subresource"]) if part)
            found[f"{labels['verb']} {resource}"] += int(value)
    return found


def total(exposition: str, name: str, **wanted: str) -> float:
    """The sum of a metric over all series that carry these labels."""
    return sum(
        value
        for labels, value in samples(exposition, name)
        if all(labels.get(label) == text for label, text in wanted.items())
    )


def samples(exposition: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of every series of a metric."""
    matches = (_SAMPLE.match(line) for line in exposition.splitlines() if line.startswith(name))
    return [
        (dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in matches
        if match and match["name"] == name
    ]


def _postgres_seconds(layout: Layout) -> float:
    """The server with every session, also those that have ended."""
    try:
        postmaster = int((layout.run / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        stat = _stat(postmaster)
    except (FileNotFoundError, IndexError):
        return 0.0
    ended = (int(stat[13]) + int(stat[14])) / TICKS_PER_SECOND
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return _own_seconds(stat) + ended + sum(_own_seconds(_stat(int(child))) for child in children)


def _own_seconds(stat: list[str]) -> float:
    return (int(stat[11]) + int(stat[12])) / TICKS_PER_SECOND if stat else 0.0


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may itself contain spaces."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
