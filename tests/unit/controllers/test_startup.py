"""The doorbell's settings: what a restart would not cure does not end it."""

import itertools
from collections.abc import Sized

from moorage.controllers import startup


def test_an_api_server_that_is_away_is_asked_again_without_end_and_not_in_a_hot_loop() -> None:
    pauses = startup.settings().networking.error_backoffs
    assert not isinstance(pauses, Sized), "kopf counts what has a length, and gives up at its end"
    for _ in range(2):  # each request begins anew
        first = list(itertools.islice(iter(pauses), 1000))  # type: ignore[call-overload]  # a number or an iterable
        assert (first[0], max(first), len(first)) == (0.5, 8.0, 1000)
