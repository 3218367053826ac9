"""Counts every HTTP answer by its route, never by its path: paths name tenants and objects."""

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from moorage.observability import Metrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Stands before the application, so that an answer to a bug is counted like any other."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and measure it until its answer ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, code = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route = _route(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.http_requests.labels(route, method, str(code)).inc()
            self._metrics.http_seconds.labels(route).observe(time.perf_counter() - begun)


def _route(scope: MutableMapping[str, Any]) -> str:  # Any: whatever the framework puts there
    """The pattern that matched, as it stands in the code; `none` where nothing did."""
    return str(getattr(scope.get("route"), "path", "none"))
