"""A host name has one spelling, whatever a person writes, and what cannot be one says why."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from moorage.model import hostnames
from moorage.model.errors import Permanent
from moorage.model.hostnames import Hostname
from moorage.model.reasons import Reason

ZONE = "agents.example"
RESERVED = ("secret", "Corp.Example.", "status.moorage.dev")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
LABELS = st.from_regex(r"[a-z]([a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
INSIDE = LABELS.filter(lambda label: label not in hostnames.ALWAYS_RESERVED).map(lambda label: f"{label}.{ZONE}")
OUTSIDE = st.tuples(LABELS, LABELS, st.sampled_from(["com", "co.uk", "de", "рф"])).map(".".join)
ANY_NAME = st.one_of(INSIDE, OUTSIDE, OUTSIDE.map(lambda name: "bücher." + name))


def parse(text: str) -> Hostname:
    return hostnames.parse(text, zone=ZONE, reserved=RESERVED)


def refusal(text: str) -> Reason | None:
    try:
        parse(text)
    except Permanent as error:
        return error.reason
    return None


def spellings(letter: str) -> st.SearchStrategy[str]:
    """What browsers make the same letter of."""
    if letter == ".":
        return st.sampled_from([".", "\u3002", "\uff0e", "\uff61"])
    if letter not in LETTERS:
        return st.just(letter)
    wide = chr(ord(letter) + 0xFEE0)
    bold = chr(ord(letter) - ord("a") + 0x1D41A) if letter.isalpha() else letter
    return st.sampled_from([letter, letter.upper(), wide, wide.upper(), bold, letter + "\u00ad", letter + "\u2060"])


@given(data=st.data(), name=ANY_NAME, dot=st.sampled_from(["", ".", "\u3002"]))
def test_whatever_a_browser_sends_to_one_host_is_one_name(data: st.DataObject, name: str, dot: str) -> None:
    disguised = "".join(data.draw(spellings(letter)) for letter in name) + dot
    assume(len(disguised) <= hostnames.NAME_LENGTH_MAX)
    assert parse(disguised) == parse(name)
    assert parse(parse(name).ascii) == parse(name)


@given(text=st.one_of(st.text(max_size=40), st.text(alphabet="abAxn-._*:[]@/ 01ßбöи。é\u200d", max_size=40)))
@example("xn--.com")
@example("xn--\u0660.com")
@example("\u0b90\u0bcd.com")
def test_nothing_strange_is_accepted(text: str) -> None:
    for wrapped in (text, f"{text}.com", f"xn--{text}.com", f"{text}.{ZONE}"):
        if refusal(wrapped) is None:
            found = parse(wrapped)
            assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", found.ascii)
            assert len(found.ascii) <= hostnames.NAME_LENGTH_MAX
            assert ".." not in found.ascii
            assert parse(found.ascii) == found
            assert found.own is not found.ascii.endswith(f".{ZONE}")


@given(name=ANY_NAME, port=st.integers(0, 65_535))
def test_a_name_with_a_port_is_no_name(name: str, port: int) -> None:
    assert refusal(f"{name}:{port}") is Reason.HOSTNAME_INVALID


@pytest.mark.parametrize(
    ("text", "ascii_name"),
    [
        ("bücher.de", "xn--bcher-kva.de"),
        ("XN--BCHER-KVA.de", "xn--bcher-kva.de"),
        ("faß.de", "xn--fa-hia.de"),  # not fass.de: browsers no longer write ß as ss
        ("роса.рф", "xn--80a1aff.xn--p1ai"),  # one script up to the top: reads as what it is
        ("東京タワー.jp", "xn--5ck2eqb538s34z.jp"),  # three scripts that are written together
        ("①.com", "1.com"),
        ("x.github.io", "x.github.io"),
        (f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 38}.com", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 38}.com"),
    ],
)
def test_a_name_of_ones_own_is_kept_in_ascii(text: str, ascii_name: str) -> None:
    assert parse(text) == Hostname(ascii_name, own=True)


REFUSED = {
    Reason.HOSTNAME_INVALID: {
        "nothing": "",
        "a dot": ".",
        "an empty label": "a..com",
        "two dots at the end": "bot.example.com..",
        "a label of 64": f"{'a' * 64}.com",
        "a name that its own proof makes too long": f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 39}.com",
        "more than a name may have": "a." * 130 + "com",
        "an IPv4 address": "192.0.2.1",
        "an IPv4 address in full-width digits": "１９２.0.2.1",
        "a hexadecimal address": "0x7f.1",
        "an octal address": "0300.0000.0002.0001",
        "an address as one number": "2130706433",
        "an address as one hexadecimal number": "0x7f000001",
        "a name that ends like an address": "bot.example.0x10",
        "an IPv6 address": "::1",
        "an IPv6 address in brackets": "[2001:db8::1]",
        "a wildcard": "*.example.com",
        "an underscore": "a_b.example.com",
        "a user": "me@example.com",
        "a path": "example.com/",
        "a percent sign": "b%6ft.example.com",
        "a blank": "my bot.example.com",
        "an invisible joiner": "bo\u200dt.example.com",
        "a hyphen in front": "-bot.example.com",
        "hyphens in the third and fourth place": "r3---sn.example.com",
        "an A-label that decodes to ASCII": "xn--bot-.example.com",
        "an A-label that no U-label gives": "xn--bcher-kv.de",
        "a second spelling of an A-label": "xn---bbk.com",
        "an A-label of a capital letter": "xn--bcher-2pa.de",
        "a name that means this machine": "bot.localhost",
        "a name of a cluster": "bot.svc.cluster.local",
    },
    Reason.HOSTNAME_MIXED_SCRIPTS: {
        "one Cyrillic letter among Latin ones": "pаypal.com",
        "the same in an A-label": "xn--pypal-4ve.com",
        "Greek among Latin": "gοοgle.com",
        "a whole word in Cyrillic twins": "аррӏе.com",
        "a Cyrillic word that looks Latin below a Latin top": "роса.com",
        "Latin and Japanese": "tower東京.jp",
        "another script below the platform's zone": f"бот.{ZONE}",
        "an accent below the platform's zone": f"bót.{ZONE}",
    },
    Reason.HOSTNAME_RESERVED: {
        "the zone": ZONE,
        "above the zone": "example",
        "where names of tenants point": f"entry.{ZONE}",
        "where those of them point that the provider does not serve": f"direct.{ZONE}",
        "a name that programs look for": f"wpad.{ZONE}",
        "the same in capitals and full width": f"Ｗpad.{ZONE}.",
        "what the platform operator reserves": f"secret.{ZONE}",
        "a host of the platform": "corp.example",
        "below a host of the platform": "login.corp.example",
        "another": "status.moorage.dev",
    },
    Reason.HOSTNAME_PUBLIC_SUFFIX: {
        "a top-level domain": "com",
        "a suffix of two": "co.uk",
        "a suffix of another script": "公司.cn",
        "a suffix where others give out names": "github.io",
        "a suffix by a wildcard of the list": "anything.ck",
    },
    Reason.HOSTNAME_TOO_DEEP: {"two labels below the zone": f"a.b.{ZONE}", "below a reserved one": f"a.www.{ZONE}"},
}


@pytest.mark.parametrize(
    ("reason", "text"),
    [pytest.param(reason, text, id=what) for reason, cases in REFUSED.items() for what, text in cases.items()],
)
def test_a_name_that_cannot_be_had_says_why(reason: Reason, text: str) -> None:
    assert refusal(text) is reason


def test_a_label_reserved_below_the_zone_is_free_elsewhere() -> None:
    assert parse("www.shop.com").own
    assert parse("secret.shop.com").own
