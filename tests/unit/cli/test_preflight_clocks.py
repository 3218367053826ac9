"""A clock is off by what cannot be explained: neither by whole seconds nor by the time that an answer took."""

from datetime import timedelta

import pytest

from moorage.cli.preflight import nodes
from tests.factories import NOW


@pytest.mark.parametrize(
    ("asked", "answered", "off"),
    [
        pytest.param(0.0, 0.1, 0.0, id="in the second that the server names"),
        pytest.param(0.9, 1.0, 0.0, id="late in that second"),
        pytest.param(-9.0, 0.5, 0.0, id="a server that took long to answer"),
        pytest.param(-9.0, 30.0, 0.0, id="a server that took longer still"),
        pytest.param(-9.0, -8.0, 8.0, id="a clock that is slow"),
        pytest.param(9.0, 9.5, 8.0, id="a clock that is fast"),
        pytest.param(9.0, 40.0, 8.0, id="a clock that is fast, and a slow answer"),
    ],
)
def test_a_clock_is_off_by_what_nothing_else_explains(asked: float, answered: float, off: float) -> None:
    before, after = (NOW + timedelta(seconds=seconds) for seconds in (asked, answered))
    assert nodes.beside(NOW, before, after) == off
