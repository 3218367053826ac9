"""The source tree as the tidy rules see it: parsed once, addressed by paths relative to the project."""

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "operator/moorage"
PYTHON_FOLDERS = ("operator", "dev", "agent-image", "tests")
_BUILT = {"__pycache__", "node_modules", ".venv"}


@dataclass(frozen=True)
class Source:
    """One text file."""

    path: str
    text: str

    @functools.cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.splitlines()

    @functools.cached_property
    def syntax(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name under the source root `operator/`."""
        parts = Path(self.path).with_suffix("").parts[1:]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read(path: Path) -> Source:
    """One file of the project."""
    return Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


@functools.cache
def sources(suffix: str) -> tuple[Source, ...]:
    """All our files of a kind, also those that are not committed yet."""
    found = (path for folder in PYTHON_FOLDERS for path in sorted((ROOT / folder).rglob(f"*{suffix}")))
    return tuple(read(path) for path in found if not _BUILT & set(path.parts) and path.is_file())


def package() -> list[Source]:
    """The Python files of the platform itself."""
    return [source for source in sources(".py") if source.path.startswith(f"{PACKAGE}/")]


@functools.cache
def tracked() -> tuple[Source, ...]:
    """Every text file that git knows."""
    # The folder may belong to somebody else than the one who runs the tests, as in a container.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout
    found = []
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if not name or not path.is_file() or path.is_symlink():
            continue
        try:
            found.append(read(path))
        except UnicodeDecodeError:
            continue
    return tuple(found)


def document(name: str) -> Source:
    """One page of docs/."""
    return read(ROOT / "docs" / name)


def first_column(source: Source) -> dict[str, list[str]]:
    """Rows of all tables of a page by the code word in their first cell; the other cells follow."""
    rows: dict[str, list[str]] = {}
    for line in source.lines:
        cells = [cell.strip() for cell in line.strip().strip("|").replace("\\|", "¦").split("|")]
        if not line.startswith("| `") or len(cells) < 2:
            continue
        name = cells[0].split("`")[1]
        if name in rows:
            raise ValueError(f"{source.path} has two rows for {name}")
        rows[name] = cells[1:]
    return rows
