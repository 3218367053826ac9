"""`python -m tests.simulation --seed N` plays a seed and prints its history; `--seeds N [--first M]` plays many."""

import argparse
import sys
import time

from tests.simulation import bugs, play


def main() -> int:
    """0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one and print its history")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--bugs", action="store_true", help="plant bugs and say how soon they are found")
    arguments = parser.parse_args()
    if arguments.bugs:
        return _plant(arguments.seeds)
    if arguments.seed is not None:
        ended = play.run(arguments.seed, lines=arguments.lines)
        _say(ended.tail)
        _say(f"seed {ended.seed}: {'; '.join(ended.broken) or 'every promise was kept'}")
        return 1 if ended.broken else 0
    begun, failed, points = time.process_time(), 0, 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        ended = play.run(seed)
        points += ended.points
        if ended.broken:
            failed += 1
            _say(f"seed {seed}: {'; '.join(ended.broken)}")
    seconds = time.process_time() - begun
    _say(
        f"{arguments.seeds} seeds, {failed} failed, {1000 * seconds / arguments.seeds:.1f} ms of a core each,"
        f" {points} points"
    )
    return 1 if failed else 0


def _plant(seeds: int) -> int:
    missed = 0
    for name, plant in bugs.BUGS.items():
        with plant():
            found = next((ended for ended in map(play.run, range(seeds)) if ended.broken), None)
        missed += found is None
        _say(f"{name}: {f'seed {found.seed}: {found.broken[0][:100]}' if found else f'not in {seeds} seeds'}")
    return 1 if missed else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
