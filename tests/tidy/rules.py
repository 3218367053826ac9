"""The rules of the house as functions: one source in, one sentence per offence out."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.tidy.tree import Source

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
BANNED_WORDS = frozenset({"manager", "helper", "helpers", "util", "utils", "common", "process", "sync"})

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = Function | ast.ClassDef

_NOQA = r"noqa(?::\s*(?P<noqa>[A-Z]+[0-9]+(?:\s*,\s*[A-Z]+[0-9]+)*))?"
_IGNORE = r"type:\s*ignore(?:\[(?P<ignore>[\w, -]+)\])?"
_SUPPRESSION = re.compile(rf"#\s*(?:{_NOQA}|{_IGNORE})(?P<reason>.*)$")
_WORD = re.compile(r"[A-Za-z]{2,}")
_MIGRATION = re.compile(r"\d{4}_(?:pre|post)_[a-z0-9]+(?:_[a-z0-9]+)*\.sql")
_SQL_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION (?P<name>[\w.]+)", re.M)
_SQL_MONEY = re.compile(r"\b\w+_(?:micros|picos)\s+(?:double|real|float|numeric|decimal|integer|money\b)", re.I)


def file_length(source: Source) -> Iterator[str]:
    """A file one can read in one go."""
    limit = TEST_FILE_LINES_MAX if source.path.startswith("tests/") else FILE_LINES_MAX
    if len(source.lines) > limit:
        yield f"{source.path}: {len(source.lines)} lines, {limit} are allowed; split it by what it does"


def function_lengths(source: Source) -> dict[str, int]:
    """Lines of every function, by its name in the file."""
    if source.path.endswith(".sql"):
        return {
            found["name"]: _sql_lines(source.text[found.start() :]) for found in _SQL_FUNCTION.finditer(source.text)
        }
    return {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in _functions(source.syntax)}


def function_length(source: Source) -> Iterator[str]:
    """A function that fits on a screen."""
    for name, length in function_lengths(source).items():
        if length > FUNCTION_LINES_MAX:
            yield f"{source.path}: {name} has {length} lines, {FUNCTION_LINES_MAX} are allowed"


def docstrings(source: Source) -> Iterator[str]:
    """Whoever may be called from outside says what it does."""
    if ast.get_docstring(source.syntax) is None and source.text.strip():
        yield f"{source.path}: the module does not say its job"
    for name, node in _public(source.syntax):
        if ast.get_docstring(node) is None:
            yield f"{source.path}:{node.lineno}: {name} has no docstring"


def stdlib_shadow(source: Source) -> Iterator[str]:
    """A module with a name of the standard library replaces it for whoever starts beside it."""
    name = Path(source.path).parent.name if source.path.endswith("/__init__.py") else Path(source.path).stem
    if name in sys.stdlib_module_names and name != "__main__":
        yield f"{source.path}: `{name}` is a module of the standard library"


def banned_words(source: Source) -> Iterator[str]:
    """Words that fit everything name nothing."""
    path = Path(source.path)
    names = [("module", part) for part in (*path.parent.parts, path.stem)]
    names += [("name", node.name) for node in ast.walk(source.syntax) if isinstance(node, Named)]
    for what, name in names:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}
        for word in sorted(words & BANNED_WORDS):
            yield f"{source.path}: the {what} {name} contains `{word}`; say what it does"


def float_money(source: Source) -> Iterator[str]:
    """Money is an integer: no float() and no true division where it is computed."""
    for node in ast.walk(source.syntax):
        if isinstance(node, ast.Call) and _dotted(node.func) == "float":
            yield f"{source.path}:{node.lineno}: float() beside money"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"{source.path}:{node.lineno}: true division beside money; use // and say who gets the rest"


def sql_float_money(source: Source) -> Iterator[str]:
    """Amounts in the database are 64-bit integers."""
    for number, line in enumerate(source.lines, 1):
        if found := _SQL_MONEY.search(line):
            yield f"{source.path}:{number}: `{found[0]}` should be bigint"


def migration_name(source: Source) -> Iterator[str]:
    """A migration says in which order and on which side of the new code it runs."""
    name = Path(source.path).name
    if not _MIGRATION.fullmatch(name):
        yield f"{source.path}: a migration is named NNNN_pre_<what>.sql or NNNN_post_<what>.sql"


def suppressions(source: Source) -> Iterator[str]:
    """A silenced check names its code and its reason; further ones of the same code in the file share the reason."""
    explained: set[str] = set()
    for number, comment in _comments(source):
        found = _SUPPRESSION.search(comment)
        if found is None:
            continue
        codes = frozenset(re.findall(r"[\w-]+", found["noqa"] or found["ignore"] or ""))
        if not codes:
            yield f"{source.path}:{number}: name the code that is silenced"
        elif _WORD.search(found["reason"]) or (number > 1 and source.lines[number - 2].lstrip().startswith("# ")):
            explained |= codes
        elif not codes <= explained:
            yield f"{source.path}:{number}: say why {', '.join(sorted(codes))} is silenced"


def sleeps(source: Source) -> Iterator[str]:
    """A test waits for what it expects, with virtual time or a deadline; it never sleeps and hopes."""
    is_test = Path(source.path).name.startswith(("test_", "conftest"))
    polls = [node for node in ast.walk(source.syntax) if _has_deadline(node)] if is_test else [source.syntax]
    polled = {id(inner) for poll in polls for node in ast.walk(poll) for inner in _inside_loop(node)}
    for node in ast.walk(source.syntax):
        if not isinstance(node, ast.Call) or _dotted(node.func) not in {"time.sleep", "asyncio.sleep", "sleep"}:
            continue
        yields_once = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        if not yields_once and id(node) not in polled:
            yield f"{source.path}:{node.lineno}: a sleep; wait for the event, or poll under a deadline"


def machine_paths(source: Source) -> Iterator[str]:
    """What is in the repository works on every machine: no path of one of them."""
    folders = "|".join(("work", "root", "home"))
    for number, line in enumerate(source.lines, 1):
        # Nobody is called "someone": examples and tests may use that home.
        if found := re.search(rf"(?<![\w.~\-}}/])/(?:{folders})/(?!someone)[\w.]", line):
            yield f"{source.path}:{number}: `{found[0]}…` exists on one machine only"


def locked_addresses(source: Source) -> Iterator[str]:
    """A lock file pins contents, not places: everybody has their own package index."""
    for number, line in enumerate(source.lines, 1):
        if re.search(r"https?://|^\s*--?(?:i|f|index-url|extra-index-url|find-links|trusted-host)\b", line):
            yield f"{source.path}:{number}: an address in a lock file"


def make_help(source: Source) -> Iterator[str]:
    """`make` lists every target with what it is for."""
    targets = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", source.text, re.M)
    declared = {name for line in re.findall(r"^\.PHONY:(.*)$", source.text, re.M) for name in line.split()}
    for name, rest in targets:
        if not re.search(r"## \w", rest) and not _commented(source, name):
            yield f"{source.path}: the target {name} has no help (`## ...`)"
        if name not in declared:
            yield f"{source.path}: the target {name} is not in .PHONY"


def dead_modules(sources: Iterable[Source], entry_points: Iterable[str]) -> Iterator[str]:
    """A module that nobody imports does nothing, and still has to be read."""
    known = {source.module: source for source in sources}
    used = set(entry_points)
    for source in known.values():
        used |= {name for name in _imported(source) if name != source.module}
    for module, source in sorted(known.items()):
        if module not in used and not source.path.endswith(("/__init__.py", "/__main__.py")):
            yield f"{source.path}: nobody imports it"


def _sql_lines(text: str) -> int:
    """Lines of the function at the start of the text: to its `$$;`, or, when its body is a string, to a blank line."""
    header = text.partition("\n\n")[0]
    end = re.search(r"^(?:END )?\$\$;$" if "$$" in header else r"^$", text, re.M)
    return text[: end.end() if end else len(text)].rstrip("\n").count("\n") + 1


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        inner = f"{prefix}{node.name}." if isinstance(node, Named) else prefix
        yield from _functions(node, inner)


def _public(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Named]]:
    for node in tree.body:
        if not isinstance(node, Named) or node.name.startswith("_"):
            continue
        if any(_dotted(mark) in {"overload", "typing.overload"} for mark in node.decorator_list):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node, f"{prefix}{node.name}.")


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _inside_loop(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.While | ast.For | ast.AsyncFor):
        for part in node.body:
            yield from ast.walk(part)


def _has_deadline(node: ast.AST) -> bool:
    """`async with asyncio.timeout(...)`: what polls inside ends."""
    return isinstance(node, ast.AsyncWith) and any(
        isinstance(item.context_expr, ast.Call) and _dotted(item.context_expr.func) == "asyncio.timeout"
        for item in node.items
    )


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _commented(source: Source, target: str) -> bool:
    at = next(number for number, line in enumerate(source.lines) if line.startswith(f"{target}:"))
    return at > 0 and source.lines[at - 1].startswith("# ")


def _imported(source: Source) -> Iterator[str]:
    for node in ast.walk(source.syntax):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
