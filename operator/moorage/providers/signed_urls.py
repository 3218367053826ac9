"""URLs that carry their own permission: one verb, one key, one part, until one moment, under a MAC.

The moment is compared with the clock of the process that serves the URL, as an S3 server does with its own: a clock
that jumps refuses URLs for a while or honours them longer, and nothing else depends on it.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

PREFIX = "/internal/v1/objects"
EXPIRES, SIGNATURE, UPLOAD, PART = "expires", "signature", "uploadId", "partNumber"

Mac = Callable[[bytes], str]


class SignedUrls:
    """Signs URLs below one address and recognises them again; whoever has the key may do both."""

    def __init__(self, base_url: str, mac: Mac, now: Callable[[], float] = time.time) -> None:
        self._base_url = base_url.rstrip("/")
        self._mac = mac
        self._now = now

    def for_part(self, key: str, upload_id: str, number: int, *, seconds: int) -> str:
        """May put one part."""
        return self._sign("PUT", key, {UPLOAD: upload_id, PART: str(number)}, seconds)

    def for_reading(self, key: str, *, seconds: int) -> str:
        """May read the object."""
        return self._sign("GET", key, {}, seconds)

    def permit(self, verb: str, key: str, query: Mapping[str, str]) -> bool:
        """Whether these are the verb, key and query of a URL that we have signed and that has not expired."""
        signed = {name: text for name, text in query.items() if name != SIGNATURE}
        expires = signed.get(EXPIRES, "")
        return (
            hmac.compare_digest(self._mac(_claim(verb, key, signed)).encode(), query.get(SIGNATURE, "").encode())
            and expires.isdigit()
            and self._now() < int(expires)
        )

    def _sign(self, verb: str, key: str, query: dict[str, str], seconds: int) -> str:
        signed = query | {EXPIRES: str(int(self._now()) + seconds)}
        return f"{self._base_url}{PREFIX}/{key}?" + urlencode(
            signed | {SIGNATURE: self._mac(_claim(verb, key, signed))}
        )


def _claim(verb: str, key: str, query: Mapping[str, str]) -> bytes:
    """Every field with its length, so that no two claims read the same."""
    fields = [verb, key, *(text for pair in sorted(query.items()) for text in pair)]
    return b"".join(b"%d:%s" % (len(field.encode()), field.encode()) for field in fields)
