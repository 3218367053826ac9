"""Answers are counted by route, whatever paths people try, and a bug is counted as what it is answered with."""

from typing import Any

import pytest

from moorage.model.errors import Unavailable
from moorage.observability import Metrics
from moorage.web.app import create_app

pytestmark = pytest.mark.anyio


class Database:
    """Answers as it is told to."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def value(self, *_: object) -> int:
        if self._error is not None:
            raise self._error
        return 1


async def answer(metrics: Metrics, path: str, *, method: str = "GET", error: Exception | None = None) -> int:
    """The status code of one request."""
    nobody: Any = None
    database: Any = Database(error)
    app = create_app(mover_sessions=nobody, token_reviews=nobody, database=database, metrics=metrics)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [], "server": ("api", 8443),
        "client": ("192.0.2.1", 1), "root_path": "",
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except RuntimeError:  # a bug is answered, and then handed on to the server's log
        assert isinstance(error, RuntimeError)
    return int(sent[0]["status"])


def counted(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["code"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "moorage_http_requests_total"
    }


async def test_an_answer_counts_for_its_route() -> None:
    metrics = Metrics()
    assert await answer(metrics, "/readyz") == 200
    assert await answer(metrics, "/readyz", error=Unavailable("the database is away")) == 503
    assert await answer(metrics, "/readyz", error=RuntimeError("a bug")) == 500
    assert counted(metrics) == {("/readyz", "GET", code): 1 for code in ("200", "503", "500")}
    assert metrics.registry.get_sample_value("moorage_http_request_seconds_count", {"route": "/readyz"}) == 3


async def test_paths_and_methods_that_nobody_knows_make_no_series() -> None:
    metrics = Metrics()
    for number in range(100):
        assert await answer(metrics, f"/agents/{number}", method=f"METHOD{number}") == 404
    assert counted(metrics) == {("none", "other", "404"): 100}
