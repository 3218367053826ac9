"""Reads a chart's values.yaml with its comments: what may be set, what it is by default, what it means, what fits.

A line `# -- …` above a key says what the key means (it may go on in further `# …` lines); a line `# @ …` says what
fits, as JSON Schema in YAML, where the default alone does not tell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dev.trouble import Trouble

MEANS, FITS, GOES_ON = "# -- ", "# @ ", "# "


@dataclass(frozen=True)
class Value:
    """One key of the values and everything below it."""

    path: tuple[str, ...]
    default: Any
    """As YAML reads it."""
    meaning: str
    fits: dict[str, Any]
    """JSON Schema beyond what the default tells; empty: nothing more."""
    parts: tuple["Value", ...] = field(default=())
    """The keys below; none for a leaf, also for one whose default is a map that users fill as they like."""

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path[-1]

    def leaves(self) -> Iterator["Value"]:
        """Every value that is set as a whole, in the order of the file."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def read(path: Path, usual: Mapping[str, str]) -> tuple[Value, ...]:
    """All values of a chart; raises Trouble with place and cure where one is not explained.

    A key whose name is in `usual` is set as a whole and needs no explanation of its own: every chart has it.
    """
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise Trouble(f"Write a map into {path}.")
    values = _Reader(text.splitlines(), usual).values(root, ())
    for leaf in (leaf for value in values for leaf in value.leaves()):
        if not leaf.meaning:
            raise Trouble(f"Say in {path}, in a line `# -- …` above it, what {'.'.join(leaf.path)} means.")
    return values


@dataclass(frozen=True)
class _Reader:
    lines: list[str]
    usual: Mapping[str, str]

    def values(self, node: yaml.MappingNode, above: tuple[str, ...]) -> tuple[Value, ...]:
        return tuple(self._value((*above, str(key.value)), key.start_mark.line, value) for key, value in node.value)

    def _value(self, path: tuple[str, ...], line: int, node: yaml.Node) -> Value:
        meaning, fits = _comments(self.lines, line)
        default = yaml.safe_load(yaml.serialize(node))
        parts: tuple[Value, ...] = ()
        # A map that says what fits is one value; another one is a section.
        if isinstance(node, yaml.MappingNode) and path[-1] not in self.usual and not fits:
            parts = self.values(node, path)
        return Value(path, default, meaning or self.usual.get(path[-1], ""), fits, parts)


def _comments(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """What stands directly above a line."""
    first = line
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    meaning: list[str] = []
    fits: list[str] = []
    for text in (text.strip() for text in lines[first:line]):
        if text.startswith(MEANS):
            meaning = [text.removeprefix(MEANS)]
        elif text.startswith(FITS):
            fits.append(text.removeprefix(FITS))
        elif meaning and not fits:
            meaning.append(text.removeprefix(GOES_ON))
    return " ".join(meaning), yaml.safe_load("\n".join(fits)) or {}
