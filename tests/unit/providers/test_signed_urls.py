"""A signed URL permits one verb on one key until one moment, and nobody else can make one."""

import hmac
from urllib.parse import parse_qsl, urlsplit

from moorage.providers.signed_urls import PREFIX, SignedUrls

KEY = "s/tenant/snapshot/attempt"


def urls(now: list[float], key: bytes = bytes(32)) -> SignedUrls:
    return SignedUrls(
        "https://api.example:8443/", lambda claim: hmac.new(key, claim, "sha256").hexdigest(), lambda: now[0]
    )


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_a_url_is_good_until_it_expires() -> None:
    now = [1000.0]
    signer = urls(now)
    url = signer.for_reading(KEY, seconds=60)
    assert url.startswith(f"https://api.example:8443{PREFIX}/{KEY}?")
    for moment, good in ((1000.0, True), (1059.9, True), (1060.0, False), (0.0, True)):
        now[0] = moment
        assert signer.permit("GET", KEY, query(url)) is good, moment


def test_no_field_of_a_url_can_be_changed_added_or_left_out() -> None:
    signer = urls([1000.0])
    good = query(signer.for_part(KEY, "@1", 7, seconds=60))
    assert signer.permit("PUT", KEY, good)
    assert not signer.permit("GET", KEY, good)
    assert not signer.permit("PUT", KEY + "x", good)
    assert not signer.permit("PUT", KEY, good | {"more": "1"})
    assert not signer.permit("PUT", KEY, {})
    for name in good:
        assert not signer.permit("PUT", KEY, good | {name: "9" + good[name]}), name
        assert not signer.permit("PUT", KEY, {other: text for other, text in good.items() if other != name}), name


def test_fields_that_read_the_same_when_joined_have_different_signatures() -> None:
    signer = urls([1000.0])
    good = query(signer.for_part("a", "b", 1, seconds=60))
    moved = good | {"uploadId": "", "partNumber": "b1"}
    assert not signer.permit("PUT", "a", moved)


def test_another_key_signs_nothing_for_us() -> None:
    forged = urls([1000.0], key=b"x" * 32).for_reading(KEY, seconds=60)
    assert not urls([1000.0]).permit("GET", KEY, query(forged))
