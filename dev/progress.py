"""Progress of long work: one plain line per step with the seconds it took."""

import contextlib
import sys
import time
from collections.abc import Iterator

# Steps whose line still stands open, innermost last; a line printed in between closes the open one first.
_open_line: list[str] = []


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print `text`, run the block, and complete the line with the seconds it took."""
    _close_open_line()
    _write(f"  {text} ... ")
    _open_line.append(text)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        _finish(text, f"failed after {time.monotonic() - started:.1f} s")
        raise
    _finish(text, f"{time.monotonic() - started:.1f} s")


def say(text: str) -> None:
    """Print one line beside the steps."""
    _close_open_line()
    _write(f"{text}\n")


def _finish(text: str, result: str) -> None:
    if _open_line and _open_line[-1] == text:
        _open_line.pop()
        _write(f"{result}\n")
    else:
        _write(f"  {text}: {result}\n")


def _close_open_line() -> None:
    if _open_line:
        _open_line.clear()
        _write("\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
