"""Run a process of the platform and see where its CPU goes: `python -m tests.bench.sampled FILE operator`.

A timer of CPU time interrupts it again and again; what it was doing is counted and written at the end. SIGUSR2 forgets
what was counted so far: the start, for example.
"""

import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from moorage.__main__ import main

# The kernel rounds it up to its own tick.
INTERVAL_SECONDS = 0.001
SHOWN = 60

Place = tuple[str, str]


class Samples:
    """Counts where samples were taken: in the function itself, and anywhere below it."""

    def __init__(self) -> None:
        self.total = 0
        self.own: Counter[Place] = Counter()
        self.below: Counter[Place] = Counter()

    def take(self, _: int, frame: FrameType | None) -> None:
        """The handler of the timer's signal."""
        if frame is None:
            return
        self.total += 1
        self.own[_place(frame)] += 1
        seen = set()
        while frame is not None:
            seen.add(_place(frame))
            frame = frame.f_back
        self.below.update(seen)

    def forget(self, _: int, __: FrameType | None) -> None:
        """Count from here on."""
        self.total = 0
        self.own.clear()
        self.below.clear()

    def report(self) -> str:
        """Both counts, the highest first."""
        lines = [f"{self.total} samples"]
        for title, counted in (("in the function itself", self.own), ("in it and below", self.below)):
            lines += ["", title]
            lines += [
                f"{100 * count / max(1, self.total):5.1f} %  {name:<40} {file}"
                for (file, name), count in counted.most_common(SHOWN)
            ]
        return "\n".join(lines) + "\n"


def _place(frame: FrameType) -> Place:
    file = frame.f_code.co_filename
    short = file.split("site-packages/")[-1].split("/lib/python3")[-1]
    return short.split("/operator/")[-1], frame.f_code.co_qualname


if __name__ == "__main__":
    output, *arguments = sys.argv[1:]
    samples = Samples()
    signal.signal(signal.SIGPROF, samples.take)
    signal.signal(signal.SIGUSR2, samples.forget)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)
    try:
        code = main(arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(output).write_text(samples.report())
    sys.exit(code)
