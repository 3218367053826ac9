"""Kubernetes quantities: one number has many spellings (`2000`, `2k`, `2000000m`), and the server chooses its own."""

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(Ki|[numk]|[MGTPE]i?)|[eE]([0-9]{1,2}))?")
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000), "Ki": Decimal(1024),
} | {
    letter + i: Decimal(base) ** power
    for power, letter in enumerate("MGTPE", start=2)
    for i, base in (("", 1000), ("i", 1024))
}  # fmt: skip


def number(quantity: object) -> Decimal | None:
    """What a quantity says, in its base unit (cores, bytes, pieces); None for what is none, or below zero."""
    found = _QUANTITY.fullmatch(quantity) if isinstance(quantity, str) else None
    if found is None:
        return None
    digits, suffix, exponent = found.groups()
    return Decimal(digits) * _SUFFIXES.get(suffix, Decimal(1)) * Decimal(10) ** int(exponent or 0)
