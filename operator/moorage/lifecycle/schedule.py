"""When the next scheduled snapshot is due: cron lines in UTC, at most once an hour."""

from datetime import datetime

from cronsim import CronSim, CronSimError

from moorage.model.reasons import Reason

FIELDS = 5


def problem(line: str) -> Reason | None:
    """Why a schedule cannot be followed; None when it can."""
    return None if _usable(line) else Reason.SCHEDULE_INVALID


def next_time(line: str | None, after: datetime) -> datetime | None:
    """The first time after `after` that the schedule names; None without a schedule that can be followed."""
    return None if line is None or not _usable(line) else next(CronSim(line, after), None)


def _usable(line: str) -> bool:
    if len(line.split()) != FIELDS:  # the library would take a sixth for seconds
        return False
    try:
        # One minute of an hour: every snapshot stops the agent and reads all of its data.
        return len(CronSim(line, datetime(2000, 1, 1)).minutes) == 1  # noqa: DTZ001  # only parsed, never asked
    except CronSimError:
        return False
