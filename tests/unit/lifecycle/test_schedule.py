"""Schedules of snapshots: cron lines in UTC that can be followed, at most once an hour."""

from datetime import UTC, datetime

import pytest

from moorage.lifecycle import schedule
from moorage.model.reasons import Reason

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "due"),
    [
        ("0 3 * * *", datetime(2026, 5, 2, 3, 0, tzinfo=UTC)),
        ("0 12 * * *", datetime(2026, 5, 2, 12, 0, tzinfo=UTC)),  # never the same second again
        ("30 * * * *", datetime(2026, 5, 1, 12, 30, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        ("15 4 * * SUN", datetime(2026, 5, 3, 4, 15, tzinfo=UTC)),
    ],
)
def test_the_next_time_lies_after_now(line: str, due: datetime) -> None:
    assert schedule.problem(line) is None
    assert schedule.next_time(line, NOON) == due


@pytest.mark.parametrize(
    "line",
    [
        *("", "daily", "@daily", "0 3 * *", "0 3 * * * *", "60 3 * * *", "0 24 * * *", "0 0 30 2 *", "x 3 * * *"),
        *("* * * * *", "*/5 * * * *", "0,30 * * * *", "0-1 3 * * *"),  # more than one minute of an hour
    ],
)
def test_what_cannot_be_followed_or_comes_too_often_is_refused_and_never_due(line: str) -> None:
    assert schedule.problem(line) is Reason.SCHEDULE_INVALID
    assert schedule.next_time(line, NOON) is None
