"""The block of ports moves on when somebody else listens in it."""

import socket

import pytest

from dev import layout as layouts
from dev import ports
from dev.trouble import Trouble


def test_a_block_with_a_listener_in_it_is_passed_over() -> None:
    preferred = ports.free_block(layouts.PORT_BLOCK_FIRST)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", preferred + len(layouts.TARGETS) - 1))
        taken.listen()

        assert ports.free_block(preferred) != preferred


def test_a_machine_without_a_free_block_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    preferred = ports.free_block(layouts.PORT_BLOCK_FIRST)
    monkeypatch.setattr(layouts, "PORT_BLOCK_FIRST", preferred)
    monkeypatch.setattr(layouts, "PORT_BLOCK_COUNT", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", preferred))
        taken.listen()

        with pytest.raises(Trouble, match="Free five ports"):
            ports.free_block(preferred)
