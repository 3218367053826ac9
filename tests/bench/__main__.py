"""`python -m tests.bench [names…] [--quick]`: run the benchmarks on a cluster of their own, and write what they found.

Every number is printed as a JSON line; a full run also writes docs/benchmarks.md. A quick run is for tuning: fewer
objects, one round, nothing written.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from dev.trouble import Trouble
from tests.bench import aside, burst, contestants, crowd, idle, installing, lives, masses, report, rig, scale
from tests.bench.rig import Rig

NEED_THE_FAKE_NODE = ("burst", "steady", "restart", "masses", "scale")
NEED_IMAGES = ("zero", "crowd", "install")
NEED_NO_CLUSTER = tuple(aside.ALL)
NAMES = (*NEED_THE_FAKE_NODE, *NEED_IMAGES, *NEED_NO_CLUSTER)
FULL_COUNT, QUICK_COUNT = 1000, 200
CROWD_COUNT = 50
MASSES_COUNT = 200


def main() -> int:
    """Run what is asked for, everything by default; a failure is one sentence on stderr."""
    try:
        _run()
    except Trouble as trouble:
        sys.stderr.write(f"\n{trouble}\n")
        return 1
    return 0


def _run() -> None:
    arguments = _parser().parse_args()
    wanted = arguments.names or list(NAMES)
    unknown = set(wanted) - set(NAMES)
    if unknown:
        raise SystemExit(f"There is no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
    into_page = not arguments.quick
    if set(wanted) - set(NEED_NO_CLUSTER):
        with_images = bool(set(wanted) & set(NEED_IMAGES))
        with rig.cluster_of_our_own(with_images=with_images, keep=arguments.keep, profile=arguments.profile) as found:
            for section in _on_the_cluster(found, wanted, arguments):
                report.publish(section, into_page=into_page)
    for name, run in aside.ALL.items():
        if name in wanted:
            report.publish(run(quick=arguments.quick), into_page=into_page)


def _on_the_cluster(found: Rig, wanted: list[str], arguments: argparse.Namespace) -> Iterator[report.Section]:
    quick = arguments.quick
    count = arguments.count or (QUICK_COUNT if quick else FULL_COUNT)
    if "burst" in wanted:
        chosen = arguments.contestants.split(",") if arguments.contestants else list(contestants.ALL)
        yield burst.run(found, count=count, rounds=arguments.rounds or (1 if quick else 3), names=chosen)
    if {"steady", "restart"} & set(wanted):
        burst.fill(found, count)
    if "steady" in wanted:
        yield idle.steady(found, count=count, seconds=30.0 if quick else 120.0)
    if "restart" in wanted:
        yield idle.restart(found, count=count, rounds=arguments.rounds or (1 if quick else 5))
    if "zero" in wanted:
        yield from lives.run(found, rounds=arguments.rounds or (3 if quick else 20))
    if "crowd" in wanted:
        yield crowd.run(found, count=10 if quick else CROWD_COUNT)
    if "masses" in wanted:
        yield masses.run(found, count=40 if quick else MASSES_COUNT)
    if "install" in wanted:
        yield installing.run(found, count=MASSES_COUNT, rounds=1 if quick else 5)
    if "scale" in wanted:
        many = arguments.count or (scale.QUICK_COUNT if quick else scale.FULL_COUNT)
        yield scale.run(found, count=many, rounds=1 if quick else 3, seconds=30.0 if quick else 120.0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer objects and rounds, and the page is not written")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running for the next benchmark")
    parser.add_argument("--count", type=int, default=0, help=f"objects in a burst ({FULL_COUNT}, quick {QUICK_COUNT})")
    parser.add_argument("--rounds", type=int, default=0, help="how often everything is repeated")
    parser.add_argument("--contestants", default="", help=f"of the burst, with commas: {', '.join(contestants.ALL)}")
    parser.add_argument("--profile", type=Path, help="sample the operator's CPU into this file; numbers do not count")
    return parser


if __name__ == "__main__":
    sys.exit(main())
