"""`python -m tests.bench [names] [--quick]`: run the benchmarks on a cluster of their own."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.bench import burst, rig


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--contestants", default="")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--profile", type=Path)
    arguments = parser.parse_args()
    with rig.cluster_of_our_own(with_images=False, keep=arguments.keep, profile=arguments.profile) as found:
        contestants = (
            arguments.contestants.split(",") if arguments.contestants else [burst.BARE_PODS, *burst.CONTESTANTS]
        )
        burst.run(
            found,
            count=arguments.count or (200 if arguments.quick else 1000),
            rounds=arguments.rounds or (1 if arguments.quick else 3),
            contestants=contestants,
            say=lambda outcome: _print(outcome.summary()),
        )
    return 0


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
