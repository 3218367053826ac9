"""Visitors of an agent that is away: why in plain words, when to come back, and never a word about anybody else."""

import re
from typing import Any

import pytest

from moorage.model.errors import Unavailable
from moorage.model.record import AgentState
from moorage.observability import Metrics
from moorage.store.visits import Visit
from moorage.web.app import create_waiting
from moorage.web.waiting import FRESH_SECONDS, Waiting, hostname_of
from moorage.web.waiting_page import DOCUMENTS, STYLE, Mood, mood_of

pytestmark = pytest.mark.anyio

NAME = "shop.agents.example"
BYTES_MAX = 4096
MONEY = re.compile(rb"credit|wallet|balance|pay|paid|price|money|invoice|top.?up|zero", re.I)


class Visits:
    """Knows one name; counts how often it is asked."""

    def __init__(self, agent: AgentState | None = AgentState.SUSPENDED) -> None:
        self.agent = agent
        self.asked = 0
        self.away = False

    async def of(self, hostname: str) -> Visit | None:
        self.asked += 1
        if self.away:
            raise Unavailable("the database is away")
        return Visit(agent=self.agent) if hostname == NAME else None


async def visit(app: Any, *hosts: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """One request: status, headers, body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", host.encode("latin-1")) for host in hosts]
    await app({"type": "http", "method": method, "path": "/", "headers": headers}, None, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, sent[1]["body"]


@pytest.mark.parametrize("agent", [*AgentState, None])
async def test_every_state_of_an_agent_is_a_friendly_503(agent: AgentState | None) -> None:
    status, headers, body = await visit(Waiting(Visits(agent)), NAME)
    assert status == 503
    assert int(headers["retry-after"]) > 0
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert body == DOCUMENTS[mood_of(agent)]


@pytest.mark.parametrize("mood", list(Mood))
async def test_a_page_is_small_says_no_money_and_needs_nothing_from_anywhere(mood: Mood) -> None:
    page = DOCUMENTS[mood]
    assert len(page) < BYTES_MAX
    assert not MONEY.search(page.replace(STYLE.encode(), b""))
    assert not re.search(rb"<script|src=|href=|url\(|https?:|@import| on\w+=", page)
    assert b"prefers-color-scheme:dark" in page
    assert (b'http-equiv="refresh"' in page) is mood.value.looks_again


async def test_answers_set_no_cookie_and_allow_nothing() -> None:
    for host in (NAME, "bank.example"):
        _, headers, _ = await visit(Waiting(Visits()), host)
        assert "set-cookie" not in headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "hosts",
    [
        ("bank.example",), (f"x.{NAME}",), (f"{NAME}.bank.example",), (f"{NAME}:80:80",), (f"{NAME}:http",), ("",), (),
        ("*.agents.example",), ("10.0.0.1",), ("[::1]",), (f"user@{NAME}",), (f"{NAME}/",), (f"{NAME}..",),
        ("sh\xf6p.agents.example",), ("a" * 300,), (NAME, NAME),
    ],
    ids=repr,
)  # fmt: skip
async def test_any_other_name_is_misdirected(hosts: tuple[str, ...]) -> None:
    status, _, body = await visit(Waiting(Visits()), *hosts)
    assert (status, b"agent" in body) == (421, False)


@pytest.mark.parametrize("host", [NAME, NAME.upper(), f"{NAME}:8080", f"{NAME}.", f"{NAME}.:443"])
def test_one_name_has_many_spellings(host: str) -> None:
    assert hostname_of([host.encode()]) == NAME


async def test_a_database_that_is_away_makes_no_answer_up() -> None:
    visits = Visits()
    visits.away = True
    app = Waiting(visits)
    assert await visit(app, NAME) == (503, *(await visit(app, NAME))[1:])
    assert (await visit(app, NAME))[2] == DOCUMENTS[Mood.UNKNOWN]
    visits.away = False
    assert (await visit(app, NAME))[2] == DOCUMENTS[Mood.PAUSED], "a failure is not remembered"


async def test_a_crowd_asks_the_database_once_in_a_while() -> None:
    visits, now = Visits(), [0.0]
    app = Waiting(visits, clock=lambda: now[0])
    for _ in range(1000):
        await visit(app, NAME)
        await visit(app, "bank.example")
    assert visits.asked == 2
    visits.agent, now[0] = AgentState.RESTORING, FRESH_SECONDS
    assert (await visit(app, NAME))[2] == DOCUMENTS[Mood.STARTING]


async def test_head_has_the_headers_and_no_body() -> None:
    status, headers, body = await visit(Waiting(Visits()), NAME, method="HEAD")
    assert (status, body) == (503, b"")
    assert int(headers["content-length"]) == len(DOCUMENTS[Mood.PAUSED])


async def test_visitors_are_counted_under_one_name() -> None:
    metrics = Metrics()
    await visit(create_waiting(Visits(), metrics), NAME, method="POST")
    labels = {"route": "waiting", "method": "POST", "code": "503"}
    assert metrics.registry.get_sample_value("moorage_http_requests_total", labels) == 1
