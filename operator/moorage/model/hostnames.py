"""Host names that Domains may ask for: from what a person writes to the one spelling that is compared and kept."""

import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import idna
from publicsuffixlist import PublicSuffixList

from moorage.model import names
from moorage.model.errors import Permanent
from moorage.model.offer import DIRECT_LABEL, ENTRY_LABEL
from moorage.model.reasons import Reason

NAME_LENGTH_MAX = 253
OWN_NAME_LENGTH_MAX = NAME_LENGTH_MAX - len(names.challenge_name(""))  # the name of the proof is a name, too

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Every spelling that browsers take for an IPv4 address (1.2.3.4, 0x7f.1, 017700000001, 2130706433) ends in a label
# that begins with a digit. No top-level domain does.
_TOP_LABEL = re.compile(r"[a-z]{2,63}|xn--[-a-z0-9]+")

# Never in the public DNS, so never proven; inside a network they mean something of that network.
_PRIVATE_TOPS = frozenset({"alt", "arpa", "internal", "invalid", "lan", "local", "localhost", "localdomain", "onion"})

# What nobody may be below the platform's zone. Addresses of mail and of names; what the world takes for the platform's
# voice; what certificate authorities and abuse desks write to; names that programs look for without being asked.
_RESERVED = """
    www ftp mail smtp imap pop mx ns ns1 ns2 dns vpn proxy gateway cdn static assets
    api app console dashboard docs status blog help support billing pay payment payments wallet shop
    account accounts admin administrator auth id login logout oauth root security signin signup sso
    abuse acme hostmaster noc postmaster webmaster
    autoconfig autodiscover isatap localhost mta-sts openpgpkey wpad
"""
ALWAYS_RESERVED = frozenset({ENTRY_LABEL, DIRECT_LABEL, *_RESERVED.split()})

# A letter's Unicode name begins with its script, which spares a table. These scripts are written within one word.
_WRITTEN_TOGETHER = ({"CJK", "HIRAGANA", "KATAKANA"}, {"CJK", "HANGUL"}, {"CJK", "BOPOMOFO"})
_OF_ANY_SCRIPT = frozenset({"COMBINING", "IDEOGRAPHIC", "MIDDLE", "MODIFIER"})
# Letters that most fonts draw like one of a to z: a label of nothing else reads as another, Latin one.
_LATIN_TWINS = frozenset("асԁеԍһіјӏоорԛѕԝхуѵ" + "αγικνορυ" + "ցհոօզսւ")


@dataclass(frozen=True, slots=True)
class Hostname:
    """A host name that may be claimed."""

    ascii: str
    """A-labels in lower case without a trailing dot: the only spelling that is compared, kept and published."""
    own: bool
    """The tenant's own, which needs a proof; else one label below the platform's zone."""


def parse(text: str, *, zone: str, reserved: Iterable[str]) -> Hostname:
    """The host name a person wrote; raises Permanent with the reason why it cannot be one.

    `reserved` holds labels below the zone, and full names that are kept together with everything below them.

    Whatever a browser would send to the same host comes out the same. What looks alike is another matter: this finds
    labels of several scripts, and whole labels in letters that look Latin. It does not find twins within one script
    (paypaı, rn for m, 1 for l), and need not, where a name is proven: it protects readers, not the name.
    """
    name = canonical(text)
    kept = {word.strip(".").lower() for word in reserved}
    if name == zone or zone.endswith(f".{name}") or any(_within(name, host) for host in kept if "." in host):
        raise Permanent(Reason.HOSTNAME_RESERVED)
    if _within(name, zone):
        _check_below_zone(name.removesuffix(f".{zone}"), kept)
        return Hostname(name, own=False)
    top = name.rpartition(".")[2]
    if len(name) > OWN_NAME_LENGTH_MAX or not _TOP_LABEL.fullmatch(top) or top in _PRIVATE_TOPS:
        raise Permanent(Reason.HOSTNAME_INVALID)
    if _suffixes().publicsuffix(name) == name:
        raise Permanent(Reason.HOSTNAME_PUBLIC_SUFFIX)
    return Hostname(name, own=True)


def canonical(text: str) -> str:
    """The one spelling of any host name; raises Permanent for what is none, or reads as another."""
    if len(text) > NAME_LENGTH_MAX + 1:  # before anything slow looks at it
        raise Permanent(Reason.HOSTNAME_INVALID)
    try:
        mapped = idna.uts46_remap(text, std3_rules=True)
        labels = [_a_label(label) for label in mapped.removesuffix(".").split(".")]
    except UnicodeError as error:  # the library's errors are UnicodeErrors
        raise Permanent(Reason.HOSTNAME_INVALID) from error
    name = ".".join(labels)
    if len(name) > NAME_LENGTH_MAX:
        raise Permanent(Reason.HOSTNAME_INVALID)
    readable = [idna.ulabel(label) for label in labels]
    _check_scripts(readable)
    return name


def registrable(name: str) -> str | None:
    """The domain that somebody registered and this canonical name is in; None for a suffix that belongs to everybody.

    Browsers share cookies and trust within it.
    """
    found: str | None = _suffixes().privatesuffix(name)
    return found


def _a_label(label: str) -> str:
    """The label as the DNS carries it; raises UnicodeError for what is none, also for a second spelling of another."""
    encoded = idna.alabel(label).decode("ascii")
    if not _LABEL.fullmatch(encoded):
        raise UnicodeError(label)
    return encoded


def _check_scripts(labels: list[str]) -> None:
    # Beside a top-level domain of its own script a word is what it looks like: роса.рф is Russian, роса.com is a trap.
    latin_top = labels[-1].isascii() or _looks_latin(labels[-1])
    for label in labels:
        scripts = {script for letter in label if (script := _script(letter))}
        mixed = len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER)
        if mixed or (latin_top and _looks_latin(label)):
            raise Permanent(Reason.HOSTNAME_MIXED_SCRIPTS)


def _script(letter: str) -> str | None:
    if letter in "-0123456789":
        return None
    word = unicodedata.name(letter, "").replace("-", " ").partition(" ")[0]
    return None if word in _OF_ANY_SCRIPT else word


def _looks_latin(label: str) -> bool:
    letters = {letter for letter in label if _script(letter)}
    return bool(letters) and letters <= _LATIN_TWINS


def _check_below_zone(label: str, reserved: set[str]) -> None:
    if "." in label:
        raise Permanent(Reason.HOSTNAME_TOO_DEEP)
    if label in ALWAYS_RESERVED or label in reserved:
        raise Permanent(Reason.HOSTNAME_RESERVED)
    # Nobody proves these names, and the platform answers for how they read: no twins in other scripts at all.
    if label.startswith("xn--"):
        raise Permanent(Reason.HOSTNAME_MIXED_SCRIPTS)


def _within(name: str, parent: str) -> bool:
    return name == parent or name.endswith(f".{parent}")


@functools.cache
def _suffixes() -> PublicSuffixList:
    """Mozilla's list out of the package, as much code as a table is; read when the first name is looked at."""
    return PublicSuffixList()
