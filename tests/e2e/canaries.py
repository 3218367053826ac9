"""Everything secret that the platform was given, searched for in everything that it shows."""

import contextlib
import re
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.house import House

# Shorter texts would be found by chance.
LENGTH_MIN = 12
TIMEOUT_SECONDS = 10
# What is made anew all the time, and is nobody's to know: tokens, signed addresses, private keys.
SHAPES = {
    "a web token": re.compile(rb"eyJhbGciOi[\w-]{20,}[.][\w-]{20,}"),
    "a signed address": re.compile(rb"[?&]X-Amz-Signature=[0-9a-f]{16,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16,}"),
}


def planted(house: House) -> dict[str, bytes]:
    """Every secret among the settings, by the setting's name: the text itself, or the lines of the file."""
    found: dict[str, bytes] = {}
    for name, value in house.settings.items():
        if name.endswith(("_KEY_FILE", "_TOKEN_FILE", "_PASSWORD_FILE")):
            lines = [line for line in Path(value).read_bytes().split() if not line.startswith(b"-----")]
            found |= {f"{name}, line {number}": line for number, line in enumerate(lines)}
        password = urlsplit(value).password if "://" in value else None
        if password:
            found[name] = password.encode()
    return {name: value for name, value in found.items() if len(value) >= LENGTH_MIN}


def told(house: House, secrets: dict[str, bytes]) -> list[str]:
    """Where any of the secrets, or anything of their shape, can be read; never the secret itself."""
    return [
        f"{place}: {name}"
        for place, text in _shown(house)
        for name, found in (
            *((name, value in text) for name, value in secrets.items()),
            *((name, bool(shape.search(text))) for name, shape in SHAPES.items()),
        )
        if found
    ]


def _shown(house: House) -> Iterator[tuple[str, bytes]]:
    """Everything that somebody may read: logs, metrics, and all objects but Secrets, with their events and statuses."""
    for path in sorted(house.layout.logs.glob("*.log")):
        yield path.name, path.read_bytes()
    containers = house.layout.run / "podlogs"
    for path in sorted(containers.glob("**/*.log")):
        with contextlib.suppress(FileNotFoundError):  # the last pods of the tests are on their way out
            yield str(path.relative_to(containers)), path.read_bytes()
    yield "the operator's metrics", _read(f"http://127.0.0.1:{house.layout.port('probe')}/metrics")
    yield "the API's metrics", _read(f"https://127.0.0.1:{house.layout.port('api')}/metrics")
    kinds = house.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    for kind in sorted({*kinds} - {"secrets"}):
        yield kind, house.kubectl("get", kind, "--all-namespaces", "--show-managed-fields", "-o", "json").encode()


def _read(url: str) -> bytes:
    # Whom it comes from is no matter here: it is only searched.
    context = ssl._create_unverified_context() if url.startswith("https") else None
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as answer:
        content: bytes = answer.read()
        return content
