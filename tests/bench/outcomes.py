"""What a burst's rounds found, as rows of its table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any  # what is printed

from tests.bench import report
from tests.bench.contestants import Contestant
from tests.bench.report import Row

SERVERS = ("kube-apiserver", "etcd", "postgres")
RESIDENT_MIB_AT_MOST = 200.0


@dataclass(frozen=True)
class Outcome:
    """One round of one contestant."""

    name: str
    count: int
    seconds: float
    latencies: list[float]
    cpu_ms: dict[str, float]
    """Per object, by part."""
    reconciles: dict[str, float] = field(default_factory=dict)
    """Of the operator per object, by kind and result."""
    ours: dict[str, float] = field(default_factory=dict)
    """Writes of the operator per object, by verb and resource."""
    server: dict[str, float] = field(default_factory=dict)
    """Writes of everybody per object."""
    rss_mib: tuple[float, float] = (0.0, 0.0)

    @property
    def rate(self) -> float:
        """Objects per second, from the first request to the last Ready."""
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        """Seconds from a request to its Ready."""
        return report.percentile(self.latencies, share)

    def summary(self) -> dict[str, Any]:
        """What is printed."""
        return {
            "contestant": self.name,
            "count": self.count,
            "per_second": round(self.rate, 1),
            "seconds": round(self.seconds, 1),
            "create_to_ready_s": {f"p{p}": round(self.percentile(p / 100), 2) for p in (50, 95, 99)},
            "cpu_ms_each": {name: round(value, 2) for name, value in self.cpu_ms.items()},
            "reconciles_each": self.reconciles,
            "our_writes_each": round(sum(self.ours.values()), 3),
            "our_writes": self.ours,
            "all_writes_each": self.server,
            "operator_rss_mib": [round(value, 1) for value in self.rss_mib],
        }


def rows(outcomes: Sequence[Outcome], contestant: Contestant) -> list[Row]:
    """A contestant's rows; what it is compared with may be missing from a run."""
    beside = [outcome for outcome in outcomes if outcome.name == contestant.beside]
    bare = [outcome for outcome in outcomes if outcome.name == contestant.bare]
    ours = [outcome for outcome in outcomes if outcome.name == contestant.name]

    def row(what: str, number: Callable[[Outcome], float], unit: str) -> Row:
        others = [number(outcome) for outcome in beside]
        values = [number(outcome) for outcome in ours]
        return Row(f"{contestant.name}: {what}", values, unit, beside=others, beside_what=contestant.beside)

    found = [row("Ready", _rate, "/s")]
    if contestant.ours and bare:
        found += _ratios(contestant, ours, bare)
    found += [row(f"create → Ready p{p}", _latency(p), "s") for p in (50, 95, 99)]
    found += [row(f"CPU of {part}", _cpu(part), "ms") for part in SERVERS]
    return found + (_own(contestant, ours) if contestant.ours else [])


def writes(outcomes: Sequence[Outcome], name: str) -> str:
    """The last round's writes as a sentence."""
    last = [outcome for outcome in outcomes if outcome.name == name][-1]
    ours = ", ".join(f"{what} {each:.2f}" for what, each in last.ours.items() if each >= 0.01)
    everybody = ", ".join(f"{what} {each:.2f}" for what, each in last.server.items() if each >= 0.01)
    return f"{name}, writes for each: ours {ours or 'none'}; everybody's {everybody}"


def _ratios(contestant: Contestant, ours: Sequence[Outcome], bare: Sequence[Outcome]) -> list[Row]:
    def each(number: Callable[[Outcome], float]) -> list[float]:
        return [number(one) / number(other) for one, other in zip(ours, bare, strict=True)]

    name, server = contestant.name, each(_cpu("kube-apiserver"))
    return [
        Row(f"{name}: Ready/s ÷ bare pods'", each(_rate), at_least=contestant.rate_at_least),
        Row(f"{name}: CPU of kube-apiserver ÷ a bare pod's", server, at_most=contestant.server_cpu_at_most),
    ]


def _own(contestant: Contestant, ours: Sequence[Outcome]) -> list[Row]:
    name, operator = contestant.name, _cpu("operator")
    written = [sum(each.ours.values()) for each in ours]
    resident = [each.rss_mib[1] for each in ours]
    return [
        Row(f"{name}: CPU of the operator", [*map(operator, ours)], "ms", at_most=contestant.operator_ms_at_most),
        Row(f"{name}: writes of ours", written, at_most=contestant.writes_at_most),
        Row(f"{name}: memory of the operator, highest", resident, "MiB", at_most=RESIDENT_MIB_AT_MOST),
    ]


def _rate(outcome: Outcome) -> float:
    return outcome.rate


def _latency(percent: int) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.percentile(percent / 100)


def _cpu(part: str) -> Callable[[Outcome], float]:
    return lambda outcome: outcome.cpu_ms.get(part, 0.0)
