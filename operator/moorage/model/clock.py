"""Time as the house uses it: UTC-aware datetimes at the edges, whole epoch seconds in the ledger."""

import math
from datetime import UTC, datetime

# The last second a datetime can name; a rich wallet with a small burn lasts longer than that.
LAST_SECOND = 253_402_300_799


def from_epoch(seconds: float) -> datetime:
    """Epoch seconds as a UTC-aware datetime; what lies beyond the year 9999 is its last second."""
    return datetime.fromtimestamp(min(seconds, LAST_SECOND), UTC)


def parse(text: str) -> datetime:
    """Read an RFC 3339 time as the Kubernetes API writes it."""
    return datetime.fromisoformat(text)


def rfc3339(moment: datetime) -> str:
    """Write a time as the Kubernetes API does: whole seconds, UTC, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def floor_seconds(moment: datetime) -> int:
    """Whole epoch seconds not after the moment: how the end of a run is counted, in the customer's favour."""
    return math.floor(moment.timestamp())


def ceil_seconds(moment: datetime) -> int:
    """Whole epoch seconds not before the moment: how the start of a run is counted, in the customer's favour."""
    return math.ceil(moment.timestamp())
