"""Which licence a Python package has, as an SPDX expression, and whether we may link it."""

from collections.abc import Mapping
from typing import Protocol

import license_expression

# What may be linked into a program under Apache-2.0 without asking anything of those who use that. MPL asks for changes
# to its own files, and we make none.
ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense"}
)
# What packages without an SPDX expression write instead: the licence field, or else their classifiers.
FIELDS: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "MIT style": "MIT",
}
CLASSIFIERS: Mapping[str, str] = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
EXPRESSION_LENGTH_MAX = 200
_SPDX = license_expression.get_spdx_licensing()


class Headers(Protocol):
    """A package's METADATA, as `importlib.metadata` or `email` reads it."""

    def get_all(self, name: str, /) -> list[str] | None:
        """Every value of this name; None when there is none."""


def expression(package: Headers) -> str | None:
    """The licence a package declares; None where it declares none that we can read."""
    for field in [*(package.get_all("License-Expression") or []), *(package.get_all("License") or [])]:
        if field in FIELDS:
            return FIELDS[field]
        if readable(field):
            return field
    lines = package.get_all("Classifier") or []
    named = {line.rpartition(" :: ")[2] for line in lines if line.startswith("License ::")}
    # Several classifiers may mean a choice or a sum; we take it for a sum, which asks for more.
    return " AND ".join(sorted({CLASSIFIERS[name] for name in named})) if named and named <= set(CLASSIFIERS) else None


def readable(text: str) -> bool:
    """Whether this is an SPDX expression; some packages put the whole text of their licence there."""
    return bool(text) and len(text) <= EXPRESSION_LENGTH_MAX and not _SPDX.validate(text).errors


def allowed(text: str | None) -> bool:
    """Whether everything of a sum, and one of each choice, is allowed."""
    return text is not None and readable(text) and _allowed(_SPDX.parse(text))


def _allowed(node: license_expression.LicenseExpression) -> bool:
    if isinstance(node, _SPDX.AND):
        return all(_allowed(part) for part in node.args)
    if isinstance(node, _SPDX.OR):
        return any(_allowed(part) for part in node.args)
    return str(node) in ALLOWED
