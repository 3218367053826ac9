"""Secrets taken out of text: by the name they stand under, and by the shape they have.

A net, not a licence: nothing of ours logs a secret. What foreign libraries say about a failed call is not in our hands.
"""

import math
import re
from collections.abc import Mapping

REDACTED = "[redacted]"
DEPTH_MAX = 6
ITEMS_MAX = 100
TEXT_MAX = 8_192  # longer texts are cut: a response body, or a whole manifest

_WORDS = (
    r"passw(?:or)?d|passphrase|pgpass|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|root[_-]?key|data[_-]?key"
    r"|wrapped[_-]?key|authorization|credentials?|cookie|signature|dsn|database[_-]?url"
)
# `token_file` and `secret_name` say where a secret is or how it is called, not what it is.
_NAME = re.compile(rf"(?:{_WORDS})(?![\w-]{{0,40}}(?:file|name|path|count|seconds|kind)\b)", re.IGNORECASE)

# The first that fits wins, so the widest stand first. Group 1, where there is one, stays. Every repetition that another
# one may follow has a bound: a text made for it would otherwise hold up the process for minutes.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL),
     REDACTED),
    # A password may hold an @ of its own: everything up to the last one before the path belongs to it.
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/'\"<>]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"([?&;](?:X-Amz-[\w-]{1,40}|[\w-]{0,40}sig(?:nature)?|sv|se"
                r"|[\w.-]{0,40}(?:token|key|secret)[\w.-]{0,40})=)[^\s&;#'\"<>]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"(\b(?:bearer|basic|digest|negotiate)\s{1,8})[\w.~+/=:-]{6,}", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"(\bAWS4-HMAC-SHA256\s{1,8}).*", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), REDACTED),  # a JSON web token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), REDACTED),
    (re.compile(r"\b(?:sk|rk|pk|whsec|ghp|gho|xox[abp]|glpat)[_-][\w-]{12,}"), REDACTED),
    # A name and its value: password=…, 'token': '…', "apiKey": "…". A run of backslashes may come from any number of
    # renderings inside each other, so a quote after one never ends the value; too much goes rather than too little.
    (re.compile(rf"((?:{_WORDS})[\w.-]{{0,40}}(?:\\{{0,40}}[\"'])?\s{{0,8}}(?:=>?|(?<=[\"']):|(?<=[\"']\s):)\s{{0,8}}b?)"
                r"(?:\\{0,40}\"(?:[^\"\\]|\\+[^\\])*(?:\"|\\*\Z)|\\{0,40}'(?:[^'\\]|\\+[^\\])*(?:'|\\*\Z)|[^\s,;&)}\]\"'\\]+)",
                re.IGNORECASE | re.DOTALL), rf"\1{REDACTED}"),
    (re.compile(r"((?:authorization|cookie|x-amz-security-token)[\"']?\s{0,8}:\s{0,8})[^\r\n,}]+", re.IGNORECASE),
     rf"\1{REDACTED}"),
    # 32 bytes in base64, in either alphabet: a root key, a data key.
    (re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{43}=(?!=)"), REDACTED),
)  # fmt: skip


def names_a_secret(name: str) -> bool:
    """Whether what stands under this name is to be kept out of sight whatever it is."""
    return _NAME.search(name) is not None


def text(said: str) -> str:
    """The text without what looks like a secret."""
    if len(said) > TEXT_MAX:
        said = f"{said[:TEXT_MAX]}… [{len(said)} characters]"
    for shape, instead in _SHAPES:
        said = shape.sub(instead, said)
    return said


def value(thing: object, *, depth: int = 0) -> object:
    """Anything as plain JSON data without secrets; what is too deep or too long is cut, bytes are only counted."""
    match thing:
        case float():
            return thing if math.isfinite(thing) else str(thing)
        case None | bool() | int():
            return thing
        case str():
            return text(thing)
        case bytes() | bytearray() | memoryview():
            return f"[{len(thing)} bytes]"
        case Mapping() | list() | tuple() | set() | frozenset() if depth >= DEPTH_MAX:
            return f"[{type(thing).__name__}]"
        case Mapping():
            return {
                text(str(name)): REDACTED if names_a_secret(str(name)) else value(inner, depth=depth + 1)
                for name, inner in list(thing.items())[:ITEMS_MAX]
            }
        case list() | tuple() | set() | frozenset():
            return [value(inner, depth=depth + 1) for inner in list(thing)[:ITEMS_MAX]]
        case _:
            return text(str(thing))
