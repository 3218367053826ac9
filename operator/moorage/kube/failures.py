"""Failures of the Kubernetes API in the house's families; foreign text goes into the detail, for the log only.

Permanent
└── Refused      the server read the request and says no (400, 403, 413, 422, ...)
Transient
├── Conflict     somebody else was faster, or the object is not the one we meant (409)
├── Forbidden    we lack a right, or have it since a moment ago and not everywhere yet (403)
├── Missing      the object, or the namespace it should go into, is not there (404)
└── Unavailable  the server is away, overloaded or broken (429, 5xx, connection errors)
    └── Expired  the version or continue token is too old; list again (410)
"""

import contextlib

import msgspec

from moorage.model.errors import MoorageError, Permanent, Transient, Unavailable
from moorage.model.reasons import Reason

RETRY_AFTER_MAX_SECONDS = 60.0
DETAIL_MAX = 500


class Refused(Permanent):
    """The API server refuses the request as it is."""

    def __init__(self, reason: Reason, detail: str, *, status: int) -> None:
        super().__init__(reason, detail)
        self.status = status


class Conflict(Transient):
    """The object changed, exists already, or is another one than we meant."""


class Forbidden(Transient):
    """The authorizer says no: a right is missing, or was granted a moment ago."""


class Missing(Transient):
    """The object, or the namespace it should go into, does not exist."""


class Expired(Unavailable):
    """The API server no longer knows the version or the continue token; only a new list helps."""


class Cause(msgspec.Struct, frozen=True, gc=False):
    """One cause of a refusal."""

    reason: str = ""
    field: str = ""


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    """details of a Status."""

    causes: list[Cause] = []
    retry_after_seconds: float | None = None


class StatusAnswer(msgspec.Struct, frozen=True):
    """A meta/v1 Status: how the API server says no; also the object of an ERROR event."""

    code: int = 0
    reason: str | None = ""
    message: str | None = ""
    details: StatusDetails | None = None


_BY_CODE: dict[int, type[Transient]] = {404: Missing, 409: Conflict, 410: Expired}
_STATUS = msgspec.json.Decoder(StatusAnswer)


# Admission has no codes, only words.
REFUSED_FOR = {
    "exceeded quota": Reason.QUOTA_EXCEEDED,
    "pod rejected: RuntimeClass": Reason.SANDBOX_UNAVAILABLE,
}
# A namespace a second old: the controllers that make its quota and its service accounts usable have not come by.
YOUNG_NAMESPACE = ("status unknown for quota", "error looking up service account")


# The authorizer's own words, and those about a role that nobody may hand out; admission never speaks of the user.
NO_RIGHT = 'is forbidden: user "'


def parsed(body: bytes) -> StatusAnswer:
    """Read a Status; a proxy in between may answer with anything, which counts as text."""
    try:
        return _STATUS.decode(body)
    except msgspec.MsgspecError:
        return StatusAnswer(message=body[:DETAIL_MAX].decode(errors="replace"))


def translate(code: int, answer: StatusAnswer, retry_after: str | None = None) -> MoorageError:
    """The error of our families for an answer outside 2xx."""
    detail = f"{code} {answer.reason}: {answer.message}"[:DETAIL_MAX]
    if code in _BY_CODE:
        return _BY_CODE[code](detail)
    # A field that is not in the schema makes an apply fail with 500: the manifest is wrong, not the server.
    if code == 500 and (answer.message or "").startswith("failed to create typed patch object"):
        return Refused(Reason.SPEC_INVALID, detail, status=code)
    if code in (401, 408, 429) or code >= 500 or code < 400:
        return Unavailable(detail, retry_after_seconds=_retry_after(answer, retry_after))
    causes = answer.details.causes if answer.details else []
    # An apply that names the uid of an object that was replaced meanwhile is refused as a change of that field.
    if any(cause.reason == "NamespaceTerminating" or cause.field == "metadata.uid" for cause in causes):
        return Conflict(detail)
    if code == 403 and any(text in (answer.message or "") for text in YOUNG_NAMESPACE):
        return Conflict(detail)
    if code == 403 and NO_RIGHT in (answer.message or "").lower():
        return Forbidden(detail)
    known = (reason for text, reason in REFUSED_FOR.items() if code == 403 and text in (answer.message or ""))
    return Refused(next(known, Reason.SPEC_INVALID), detail, status=code)


def is_other_uid(error: Conflict) -> bool:
    """Whether a delete was refused because the object has another uid: the one we meant is gone."""
    text = str(error).lower()
    return "uid in" in text and "precondition" in text


def _retry_after(answer: StatusAnswer, header: str | None) -> float | None:
    wanted: float | None = answer.details.retry_after_seconds if answer.details else None
    if header is not None:
        # The HTTP-date form is ignored: the API server does not send it, and our own back-off is good enough.
        with contextlib.suppress(ValueError):
            wanted = float(header)
    return None if wanted is None else min(max(wanted, 0.0), RETRY_AFTER_MAX_SECONDS)
