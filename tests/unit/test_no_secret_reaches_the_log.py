"""A canary in every place a log line is made of: none of them sings, and the line still says what happened."""

import base64
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest

from moorage import logs, redaction
from moorage.model.errors import Unavailable

CANARY = "yellowcanary7Q"
KEY = base64.b64encode(bytes(range(200, 232))).decode()
URL_KEY = base64.urlsafe_b64encode(bytes(range(224, 256))).decode()
PEM = f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END PRIVATE KEY-----"

# What the libraries we use are known to say, or may say when a call fails.
SENTENCES = {
    "a database URL": f"cannot connect to postgresql://moorage:{CANARY}@db:5432/moorage",
    "a password with an @": f"postgresql://moorage:p@{CANARY}@db/moorage is not reachable",
    "a redis URL without a user": f"redis://:{CANARY}@cache:6379/0",
    "a keyword DSN": f"host=db user=moorage password={CANARY} dbname=moorage",
    "a quoted keyword": f"password='{CANARY} {CANARY}' host=db",
    "a presigned URL": f"PUT https://s3/b/o?X-Amz-Credential=AKIA/x&X-Amz-Signature={CANARY}&partNumber=1",
    "a signed URL of ours": f"GET https://api/v1/objects/o?expires=1&signature={CANARY} failed",
    "a session token in a URL": f"https://s3/o?X-Amz-Security-Token={CANARY}",
    "a bearer token": f"headers: Authorization: Bearer {CANARY}",
    "a bearer token alone": f"sent bearer {CANARY}",
    "basic credentials": f"'authorization': 'Basic {CANARY}'",
    "an AWS header": f"AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature={CANARY}",
    "a header of aiohttp": f"<CIMultiDict('Host': 's3', 'Authorization': 'Token {CANARY}')>",
    "a cookie": f"Set-Cookie: session={CANARY}; HttpOnly",
    "JSON": f'{{"client_secret": "{CANARY}", "size": "small"}}',
    "JSON with an escaped quote": f'{{"token": "a\\"{CANARY}", "size": "small"}}',
    "JSON in JSON": json.dumps({"body": json.dumps({"token": CANARY, "n": 1})}),
    "JSON that was cut off": f'{{"token": "{CANARY}',
    "a Python dict": f"{{'api_key': '{CANARY}', 'n': 1}}",
    "an environment": f"STRIPE_API_KEY={CANARY} MOORAGE_X=1",
    "botocore parameters": f"CreateBucket {{'aws_secret_access_key': '{CANARY}'}}",
    "a web token": f"eyJhbGciOiJSUzI1NiJ9.eyJ{CANARY}.{CANARY}-sig is not valid",
    "a Stripe key": f"Invalid API key provided: sk_live_{CANARY}{CANARY}",
    "a webhook secret": f"whsec_{CANARY}{CANARY}",
    "a private key": f"could not parse {PEM}",
    "half a private key": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}",
    "a long text": "x" * redaction.TEXT_MAX + CANARY,
}


class Foreign(Exception):
    """An exception of a library: its text is not ours."""


class Unprintable:
    """Falls over when somebody wants to read it."""

    def __str__(self) -> str:
        raise ValueError(CANARY)


def fail() -> None:
    raise Foreign(CANARY)


def raised(error: BaseException) -> BaseException:
    """The error with a traceback, raised from another one that knows the secret as well."""
    try:
        try:
            fail()
        except Foreign as first:
            raise error from first
    except BaseException as caught:  # whatever it is, it was asked for
        return caught


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """Standard error of a process whose logging was set up; everything is put back afterwards."""
    written, root = StringIO(), logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    levels = {name: logging.getLogger(name).level for name in logs.NOISY}
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        logs.set_up_logging("DEBUG")
        yield written
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("sentence", SENTENCES.values(), ids=SENTENCES)
@pytest.mark.parametrize("logger", ["moorage.jobs", "botocore.auth", "asyncpg", "aiohttp.client", "uvicorn.error"])
def test_no_library_gets_a_secret_into_a_message(log: StringIO, logger: str, sentence: str) -> None:
    logging.getLogger(logger).error(sentence)
    logging.getLogger(logger).error("it said %s to %r", sentence, {"why": sentence})
    assert CANARY not in log.getvalue()
    assert [line["logger"] for line in lines(log)] == [logger, logger]


READABLE = (
    "the wallet acme of tenant b is at zero, see docs/ledger.md",
    "the token was refused: it has expired",
    "GET https://s3.example/bucket/object?partNumber=1&uploadId=7 answered 503",
    "another process leads; stopping",
    "epoch=7 object=agents/one sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "missing: MOORAGE_ROOT_KEY_FILE must hold 32 random bytes in base64",
)


@pytest.mark.parametrize("sentence", READABLE)
def test_what_is_not_secret_stays_as_it_is(sentence: str) -> None:
    assert redaction.text(sentence) == sentence


# Texts of up to 8,192 characters that a shape with two open ends would walk through again and again.
HOSTILE = (
    *(part * (redaction.TEXT_MAX // len(part)) for part in (
        "_", "a_", "a.", "a", "password", "secret_", "token=", "?sig", "?key", "a://", "eyJaaaaaaaa.", "basic ",
        "cookie:", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A", "sk_", "A", "X-Amz-", "?X-Amz-", "token: ", "token' ",
    )),
    'token="' + '\\"' * 4_000, "token='" + "\\" * 8_000, "token=" + "\\" * 8_000, "basic" + " " * 8_000,
    "token" + " " * 8_000, "?" + "key" * 2_700, "sig" * 2_700 + "=",
)  # fmt: skip


def test_no_text_holds_the_process_up() -> None:
    """In a process of its own: what walks a text again and again takes minutes, and cannot be interrupted."""
    code = "import json, sys; from moorage import redaction; [redaction.text(t) for t in json.load(sys.stdin)]"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(HOSTILE), text=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0


EXTRAS: dict[str, dict[str, Any]] = {
    "by name": {"password": CANARY, "apiKey": CANARY, "tenant_wrapped_key": CANARY.encode(), "set-cookie": CANARY},
    "inside": {"request": {"headers": [{"Authorization": CANARY}], "body": (SENTENCES["JSON"],)}},
    "as a key": {"seen": {f"token={CANARY}": 1}},
    "bytes": {"body": CANARY.encode(), "view": memoryview(CANARY.encode())},
    "an object": {"settings": SimpleNamespace(url=SENTENCES["a database URL"])},
    "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": CANARY}}}}}}}},
    "a set": {"urls": {SENTENCES["a presigned URL"]}},
    "unprintable": {"thing": Unprintable()},
    "not a number": {"share": float("nan"), "token": CANARY},
    "a name of ours": {"at": SENTENCES["a cookie"], "level": SENTENCES["JSON"], "error": SENTENCES["JSON"]},
}


@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_no_key_carries_a_secret(log: StringIO, extra: dict[str, Any]) -> None:
    logging.getLogger("moorage").warning("something happened", extra=extra)
    assert CANARY not in log.getvalue()
    assert [line["level"] for line in lines(log)] == ["WARNING"]


@pytest.mark.parametrize("key", [KEY, URL_KEY], ids=["base64", "base64 for URLs"])
def test_a_key_of_32_bytes_is_known_by_its_shape(log: StringIO, key: str) -> None:
    logging.getLogger("moorage").info("read %s", key, extra={"found": f"<{key}>"})
    assert key not in log.getvalue()


ERRORS: dict[str, BaseException] = {
    "a foreign one": Foreign(CANARY),
    "one of the language": KeyError(CANARY),
    "one of ours": Unavailable(SENTENCES["a database URL"]),
    "a group": ExceptionGroup(CANARY, [Foreign(CANARY), ValueError(CANARY)]),
    "an assertion": AssertionError(SENTENCES["JSON"]),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_exception_is_told_by_type_and_place(log: StringIO, error: BaseException) -> None:
    logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=raised(error))
    (line,) = lines(log)
    assert CANARY not in log.getvalue()
    assert type(error).__name__ in line["error"]
    assert any("Foreign" in cause for cause in line["causes"])
    assert any("test_no_secret_reaches_the_log.py" in frame for frame in line["frames"])


def test_our_own_errors_are_quoted() -> None:
    record = logging.makeLogRecord({"exc_info": (Unavailable, raised(Unavailable("the store is away")), None)})
    assert json.loads(logs.JsonFormatter().format(record))["error"].endswith("Unavailable: the store is away")


def in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


WAYS_OUT: dict[str, Callable[[], Any]] = {
    "uncaught": lambda: sys.excepthook(Foreign, raised(Foreign(CANARY)), None),
    "uncaught in a thread": lambda: in_a_thread(fail),
    "unraisable": lambda: sys.unraisablehook(
        SimpleNamespace(exc_type=Foreign, exc_value=Foreign(CANARY), exc_traceback=None, err_msg=None, object=None)
    ),
    "a warning": lambda: warnings.warn(SENTENCES["a database URL"], ResourceWarning, stacklevel=1),
    "arguments that do not fit": lambda: logging.getLogger("aiobotocore").error("%d parts", CANARY),
    "a stack": lambda: logging.getLogger("moorage").error("here", stack_info=True, extra={"token": CANARY}),
}


@pytest.mark.parametrize("way", WAYS_OUT.values(), ids=WAYS_OUT)
@pytest.mark.filterwarnings("always")
def test_there_is_no_way_around_the_formatter(log: StringIO, way: Callable[[], Any]) -> None:
    way()
    assert len(lines(log)) == 1
    assert CANARY not in log.getvalue()


NAMES = {
    "password": True, "db_password": True, "X-Api-Key": True, "wrapped_key": True, "Authorization": True,
    "database_url": True, "token": True, "token_file": False, "secret_name": False, "key": False, "wallet": False,
    "hash": False, "idempotency_key": False, "root_key_file": False, "tokens_count": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "secret"), NAMES.items(), ids=NAMES)
def test_names_of_secrets_are_known(name: str, secret: bool) -> None:
    assert redaction.names_a_secret(name) is secret
