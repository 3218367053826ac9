"""The log of every process: one JSON object per line on standard error, with secrets taken out on its last steps."""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType

from moorage import redaction
from moorage.model.errors import MoorageError

_BUILT_IN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# What we say of each line; an extra of the same name would hide it.
OWN_FIELDS = ("at", "level", "logger", "message", "error", "causes", "frames")
CAUSES_MAX = 8
FRAMES_MAX = 12
NOISY = ("asyncio", "aiohttp.access", "botocore", "aiobotocore", "kopf", "uvicorn.access")


class JsonFormatter(logging.Formatter):
    """Facts are keys (`extra=`), never prose. Of an exception only its type and where it happened are kept.

    What an exception says is foreign text: a driver puts the row into it, a client the URL with its signature. Only
    our own families and our assertions are quoted, and like every other text without what looks like a secret.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; whatever is wrong with it, this returns a line and raises nothing."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        try:
            line["message"] = redaction.text(record.getMessage())
            extra = {name: value for name, value in record.__dict__.items() if name not in _BUILT_IN}
            line |= {
                f"extra_{name}" if name in line else name: value
                for name, value in _dict(redaction.value(extra)).items()
            }
            if record.exc_info and record.exc_info[1] is not None:
                line |= _told(record.exc_info[1])
            return json.dumps(line, ensure_ascii=False, allow_nan=False, default=_named)
        except Exception as error:  # a line that cannot be written must not take its secrets to another way out
            line = {name: line[name] for name in ("at", "level", "logger")}
            return json.dumps({**line, "message": "a line could not be written", "error": type(error).__name__})


def set_up_logging(level: str) -> None:
    """Send everything to standard error as JSON lines: what is logged, what nobody caught, and warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.raiseExceptions = False  # it would print a record that a handler choked on, as it is
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda caught: _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
    sys.unraisablehook = lambda caught: _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    found = (error or kind()).with_traceback(trace)
    logging.getLogger("moorage").critical("nobody has caught an error", exc_info=found)


def _told(error: BaseException) -> dict[str, object]:
    """The error, what it came from, and where it was raised."""
    chain = [*_chain(error)][:CAUSES_MAX]
    told: dict[str, object] = {"error": _said(error), "frames": _frames(chain[-1])}
    if len(chain) > 1:
        told["causes"] = [_said(cause) for cause in chain[1:]]
    return told


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the last cause at the end; of a group all its members."""
    seen: set[int] = set()
    left = [error]
    while left and len(seen) < CAUSES_MAX:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        context = None if one.__suppress_context__ else one.__context__
        left += [cause for cause in (one.__cause__ or context,) if cause is not None]


def _said(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, MoorageError | AssertionError) and str(error):
        return f"{kind}: {redaction.text(str(error))}"
    return kind


def _frames(error: BaseException) -> list[str]:
    """Our own frames, and the innermost whoever's it is; never a value, and never a line of source."""
    stack = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in stack if "/moorage/" in frame.filename or frame is stack[-1]]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in ours[-FRAMES_MAX:]]


def _short(path: str) -> str:
    for folder in ("/site-packages/", "/operator/", "/python3."):
        if folder in path:
            return path.rpartition(folder)[2]
    return path.rpartition("/")[2]


def _dict(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _named(thing: object) -> str:
    return f"[{type(thing).__name__}]"
