"""Time at the edges of what it can name."""

from datetime import UTC, datetime, timedelta

from moorage.model import clock


def test_a_second_beyond_the_last_year_is_the_last_second() -> None:
    assert clock.from_epoch(1_126_000_000_000) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_runs_are_counted_in_the_customers_favour() -> None:
    moment = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(milliseconds=1)
    assert clock.ceil_seconds(moment) - clock.floor_seconds(moment) == 1


def test_a_written_time_reads_back() -> None:
    assert clock.parse(clock.rfc3339(datetime(2026, 5, 1, 1, 2, 3, tzinfo=UTC))) == datetime(
        2026, 5, 1, 1, 2, 3, tzinfo=UTC
    )
