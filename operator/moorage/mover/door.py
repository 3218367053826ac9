"""The mover's door: arguments and environment in, one exit code out; secrets and names never reach a log."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from moorage.model.snapshots import Failure, Report
from moorage.mover.failures import MoverFailure

if TYPE_CHECKING:
    from moorage.mover.desk import Desk

USAGE = "usage: python -m moorage mover capture|restore|verify|rehearse"
TOKEN_FILE = "/var/run/moorage/token"  # noqa: S105 - a path
FOLDER = "/data"

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 143


class Stopped(BaseException):
    """SIGTERM arrived; not an Exception, so that no handler for errors takes it for one."""


def main(arguments: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Run one of the modes; returns the exit code."""
    environment = os.environ if environment is None else environment
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: _stopped(stop, number, frame))
    try:
        match arguments:
            case ["verify"]:
                from moorage.mover import verify  # noqa: PLC0415 - each mode loads only its own code: resident memory

                return verify.main(stop)
            case ["rehearse"]:
                from moorage.mover import rehearse  # noqa: PLC0415 - see above

                return rehearse.main(stop)
            case ["capture" | "restore" as mode]:
                return _move(mode, environment, stop)
            case _:
                print(USAGE, file=sys.stderr)  # noqa: T201 - the one message a person can cause
                return EXIT_USAGE
    except Stopped:
        return EXIT_INTERRUPTED
    except Exception:  # what it says may quote a path of the tenant's or a signed URL, and this log is the tenant's
        return _say(Failure.MOVER_FAILED)


def _move(mode: str, environment: Mapping[str, str], stop: threading.Event) -> int:
    from moorage.mover.desk import Desk  # noqa: PLC0415

    try:
        attempt = environment["MOORAGE_MOVER_ATTEMPT"]
        url, ca_pem = environment["MOORAGE_MOVER_API_URL"], environment["MOORAGE_MOVER_API_CA"]
    except KeyError as missing:
        print(f"the variable {missing.args[0]} is not set", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    token_file = Path(environment.get("MOORAGE_MOVER_TOKEN_FILE", TOKEN_FILE))
    folder = environment.get("MOORAGE_MOVER_FOLDER", FOLDER)
    desk = Desk(url, ca_pem, token_file, attempt, stop)
    report = _attempt(mode, desk, folder, attempt, stop)
    try:
        desk.report(report)
    except MoverFailure as failed:
        return _say(failed.failure)
    return EXIT_OK if report.failure is None else _say(report.failure)


def _attempt(mode: str, desk: "Desk", folder: str, attempt: str, stop: threading.Event) -> Report:
    try:
        assignment = desk.assignment()
        if mode == "capture":
            from moorage.mover.capture import capture  # noqa: PLC0415

            return capture(assignment, folder, desk.part_urls, attempt, stop)
        from moorage.mover.restore import restore  # noqa: PLC0415

        return restore(assignment, folder, lambda: desk.assignment().download_url, attempt, stop)
    except MoverFailure as failed:
        return Report(attempt=attempt, failure=failed.failure)
    except Stopped:
        stop.clear()  # the report itself may be tried again within the grace period of the pod
        return Report(attempt=attempt, failure=Failure.INTERRUPTED)
    except Exception:
        return Report(attempt=attempt, failure=Failure.MOVER_FAILED)


def _say(failure: Failure) -> int:
    print(f"failed: {failure.value}", file=sys.stderr)  # noqa: T201 - the pod's log is where a person looks first
    return EXIT_FAILED


def _stopped(stop: threading.Event, _number: int, _frame: FrameType | None) -> None:
    stop.set()
    raise Stopped
