"""Errors of the house as HTTP problems: a fixed code and sentence each, and never a word of foreign text."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from moorage.model.errors import Permanent, Transient
from moorage.model.messages import MESSAGES
from moorage.providers.ports import StoreFull, UploadLost
from moorage.services.mover_sessions import AttemptOver, NotYourAttempt, ReportRefused

RETRY_AFTER_SECONDS = 2.0

Handler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


class Problem(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success (RFC 9457)."""

    status: int
    code: str
    title: str


class Unauthenticated(Exception):
    """No token, or one that the API server does not know for this audience."""


class BodyTooLarge(Exception):
    """The request body is longer than the route allows."""


class BodyInvalid(Exception):
    """The request body is not what the route takes."""


class UrlRefused(Exception):
    """The URL was not signed by us, not for this, or has expired."""


class ObjectMissing(Exception):
    """There is no object under a URL that we have signed."""


FIXED: dict[type[Exception], Problem] = {
    Unauthenticated: Problem(401, "Unauthenticated", "A valid token for this platform is needed."),
    NotYourAttempt: Problem(403, "NotYourAttempt", "This token does not speak for the mover of this attempt."),
    AttemptOver: Problem(409, "AttemptOver", "The attempt no longer waits for its mover."),
    ReportRefused: Problem(422, "RequestRefused", "The request does not fit the attempt."),
    BodyTooLarge: Problem(413, "BodyTooLarge", "The request body is too large."),
    BodyInvalid: Problem(400, "BodyInvalid", "The request body is not what this route takes."),
    UrlRefused: Problem(403, "UrlRefused", "This URL does not permit this, or has expired."),
    ObjectMissing: Problem(404, "ObjectMissing", "There is no such object."),
    UploadLost: Problem(404, "UploadLost", "There is no such upload any more."),
    StoreFull: Problem(507, "StoreFull", "The object store has no room left."),
}
BY_STATUS = {
    404: Problem(404, "NotFound", "There is nothing here."),
    405: Problem(405, "MethodNotAllowed", "This route does not answer this method."),
}
INTERNAL = Problem(500, "Internal", "Something is wrong with the platform; it has been logged.")
BUSY = Problem(503, "TryAgain", "A service the platform depends on does not answer; try again.")


def install(app: FastAPI) -> None:
    """Map every family once."""
    for kind, problem in FIXED.items():
        app.add_exception_handler(kind, _fixed(problem))
    app.add_exception_handler(Permanent, _permanent)
    app.add_exception_handler(Transient, _transient)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fixed(INTERNAL))


def rendered(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """A problem as an answer."""
    return Response(
        msgspec.json.encode(problem), problem.status, headers=headers, media_type="application/problem+json"
    )


def _fixed(problem: Problem) -> Handler:
    async def handler(_request: Request, _error: Exception) -> Response:
        return rendered(problem)

    return handler


async def _permanent(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Permanent)
    return rendered(Problem(422, error.reason.value, MESSAGES[error.reason]))


async def _transient(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Transient)
    seconds = error.retry_after_seconds or RETRY_AFTER_SECONDS
    return rendered(BUSY, {"Retry-After": str(max(1, round(seconds)))})


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return rendered(BY_STATUS.get(error.status_code, Problem(error.status_code, "Refused", "The request is refused.")))
