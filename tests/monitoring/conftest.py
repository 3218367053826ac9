"""promtool, found or fetched."""

from pathlib import Path

import pytest

from dev import promtool as program
from dev.layout import Layout
from dev.trouble import Trouble


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The program that knows whether rules and queries are right."""
    layout = Layout.current()
    try:
        return program.find(layout)
    except Trouble as trouble:
        pytest.skip(str(trouble)) if layout.external else pytest.fail(str(trouble))
