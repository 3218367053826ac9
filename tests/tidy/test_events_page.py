"""The page on Events lists the reasons that are told, and how bad each is."""

import re

from moorage.lifecycle import news
from tests.tidy import tree


def test_every_reason_that_is_told_is_listed() -> None:
    rows = dict(re.findall(r"^\| (Normal|Warning) \| (.*) \|$", tree.document("events.md").text, re.MULTILINE))
    listed = {kind: set(re.findall(r"`(\w+)`", reasons)) for kind, reasons in rows.items()}
    assert listed == {
        "Normal": {reason.value for reason in news.GOOD},
        "Warning": {reason.value for reason in news.BAD},
    }
