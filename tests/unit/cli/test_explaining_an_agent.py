"""`moorage agent explain`: what a person is told about an agent, and what its log cannot do to them."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from click.testing import CliRunner

from moorage.cli import agent as command
from moorage.cli import main
from moorage.kube.failures import Refused
from moorage.model.messages import MESSAGES
from moorage.model.reasons import Reason

CRASHING = {
    "observedGeneration": 1,
    "conditions": [
        {"type": kind, "status": "False", "reason": reason.value, "message": MESSAGES[reason], "observedGeneration": 1}
        for kind, reason in (("Funded", Reason.FUNDED), ("Healthy", Reason.CRASH_LOOP), ("Ready", Reason.CRASH_LOOP))
    ],
    "podName": "helper-2",
    "restarts": 3,
    "lastExit": {"reason": "Error", "exitCode": 3, "at": "2026-05-01T11:59:00Z"},
    "lastSnapshot": {"id": "snp_1", "takenAt": "2026-05-01T10:00:00Z", "bytes": 1, "verified": True},
}


class Server:
    """An API server with one agent and the logs of its pod: of its container (False), and of the one before (True)."""

    def __init__(self, status: dict[str, Any] | None, logs: dict[bool, bytes]) -> None:
        self.status = status
        self.logs = logs
        self.asked: list[dict[str, list[str]]] = []

    async def get(self, path: str, type_: Any) -> Any:
        """The agent."""
        if self.status is None or not path.endswith("/namespaces/mn-acme/agents/helper"):
            return None
        body = {"metadata": {"name": "helper"}, "status": self.status}
        return msgspec.json.decode(json.dumps(body), type=type_)

    async def read(self, path: str, query: str = "") -> bytes | None:
        """The log."""
        assert path == "/api/v1/namespaces/mn-acme/pods/helper-2/log"
        self.asked.append(parse_qs(query))
        previous = self.asked[-1]["previous"] == ["true"]
        if previous not in self.logs:
            raise Refused(Reason.SPEC_INVALID, "container agent is waiting to start", status=400)
        return self.logs[previous]


def explained(status: dict[str, Any] | None, logs: dict[bool, bytes], *, lines: int = 20) -> tuple[list[str], Server]:
    server: Any = Server(status, logs)
    found = asyncio.run(command.look(server, "mn-acme", "helper", lines=lines))
    return ([] if found is None else command.told(found)), server


def test_what_is_wrong_comes_first_and_its_last_words_at_the_end() -> None:
    said, server = explained(CRASHING, {True: b"no anchor\n", False: b"starting\n"})
    assert said[0] == "Agent          mn-acme/helper"
    assert [line.split()[0] for line in said[1:4]] == ["Ready", "Healthy", "Funded"]
    assert said[1].split()[1:3] == ["False", "CrashLoop"]
    assert said[1].endswith(MESSAGES[Reason.CRASH_LOOP])
    assert said[4:] == [
        "Last exit      Error, exit code 3, 2026-05-01T11:59:00Z",
        "Last snapshot  snp_1, 2026-05-01T10:00:00Z",
        "Pod            helper-2, restarts: 3",
        "Log before its last restart:",
        "  no anchor",
        "Log:",
        "  starting",
    ]
    assert [asked["container"] for asked in server.asked] == [["agent"], ["agent"]]
    assert all(int(asked["limitBytes"][0]) <= 64 << 10 for asked in server.asked)


def test_a_container_that_never_started_has_said_nothing() -> None:
    said, _ = explained({**CRASHING, "restarts": 0}, {})
    assert said[-1] == "Pod            helper-2, restarts: 0"


def test_an_agent_without_a_pod_is_explained_by_its_conditions_alone() -> None:
    status = {name: value for name, value in CRASHING.items() if name not in ("podName", "restarts")}
    said, server = explained(status, {})
    assert (said[-1], server.asked) == ("Pod            none, restarts: 0", [])


def test_a_new_agent_has_no_status_yet() -> None:
    assert explained({}, {})[0] == ["Agent          mn-acme/helper", "Pod            none, restarts: 0"]


def test_no_log_is_fetched_when_nobody_wants_it() -> None:
    assert explained(CRASHING, {}, lines=0)[1].asked == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain, tab\there, ünïcode 🐦", "plain, tab\there, ünïcode 🐦"),
        ("\x1b]0;owned\x07\x1b[2J", "�]0;owned��[2J"),
        ("right\u202eto left", "right�to left"),
        ("\x9b31m", "�31m"),
        ("x" * 401, "x" * 400 + "…"),
    ],
    ids=["plain", "escape sequences", "direction", "one-byte escape", "endless"],
)
def test_a_log_line_cannot_give_orders_to_the_terminal(line: str, shown: str) -> None:
    assert command.printable(line) == shown


@pytest.mark.parametrize("name", ["helper", "mn-acme/", "/helper", "a/b/c"])
def test_a_name_that_is_none_is_refused_with_a_sentence(name: str) -> None:
    done = CliRunner().invoke(main, ["agent", "explain", name])
    assert done.exit_code == 2
    assert "is not NAMESPACE/NAME" in done.output
