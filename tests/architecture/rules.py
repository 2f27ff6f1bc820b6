"""The rules of ARCHITECTURE that import-linter cannot see, each a function from source to findings.

A finding is "line: what". No finding is what every test of the tree expects; that each rule can
find something is tested beside it.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("shared", "services")

_CLOCK_MODULES = {"time", "random", "secrets", "uuid"}
_CLOCK_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("os", "urandom"),
    ("os", "getrandom"),
}
_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}

_DEFINITIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)
_GUARDS = ("TYPE_CHECKING", "__name__ == '__main__'")


def reads_clock(source: str) -> list[str]:
    """Where time, randomness or ids are taken from anywhere but a `Clock`."""
    tree = ast.parse(source)
    found = [
        (node.lineno, name) for node, name in _imports(tree) if name.split(".")[0] in _CLOCK_MODULES
    ]
    found += [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and (_last(node.value), node.attr) in _CLOCK_CALLS
    ]
    found += _imported_members(tree, "os", {"urandom", "getrandom"})
    return _lines(found)


def reads_environment(source: str) -> list[str]:
    """Where the process's environment is read."""
    tree = ast.parse(source)
    found = [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and _last(node.value) == "os"
        and node.attr in _ENVIRONMENT
    ]
    return _lines(found + _imported_members(tree, "os", _ENVIRONMENT))


def acts_on_import(source: str) -> list[str]:
    """Top-level statements that do something rather than define something."""
    body = ast.parse(source).body
    found = [
        (node.lineno, ast.unparse(node).splitlines()[0])
        for node in body
        if not isinstance(node, _DEFINITIONS)
        and not _is_text(node)
        and not (isinstance(node, ast.If) and ast.unparse(node.test) in _GUARDS)
    ]
    return _lines(found)


def lacks_contract(source: str) -> list[str]:
    """A module that does not open by saying what belongs in it."""
    return [] if ast.get_docstring(ast.parse(source)) else ["1: no docstring"]


def is_long(source: str) -> list[str]:
    """A file that nobody reads in one go."""
    lines = source.count("\n")
    return [f"{lines}: lines"] if lines > 500 else []


# Spelled in parts, so that this file does not name them itself.
_REGISTRIES = (
    "pypi" + r"\.org",
    "python" + r"hosted\.org",
    "npmjs" + r"\.(?:org|com)",
    "crates" + r"\.io",
    "proxy\\.golang" + r"\.org",
    "(?:deb|security|packages|snapshot)\\.debian" + r"\.(?:org|net)",
    "(?:hub|index|registry-1)\\.docker" + r"\.(?:io|com)",
    "(?:ghcr|quay|gcr|lscr)" + r"\.io/",
    "hugging" + r"face\.co",
)
_MACHINE_PATHS = (
    r"/work" + r"/",
    r"/root" + r"/",
    r"/home/[a-z]",
    r"/Users/[A-Za-z]",
    r"\.py" + "env/",
)
_ELSEWHERE = re.compile("|".join((*_REGISTRIES, *_MACHINE_PATHS)))


def names_elsewhere(text: str) -> list[str]:
    """Hosts of package registries and paths of somebody's machine."""
    found = [
        (number, match[0])
        for number, line in enumerate(text.splitlines(), 1)
        for match in _ELSEWHERE.finditer(line)
    ]
    return _lines(found)


def calls_apt(text: str) -> list[str]:
    """Debian packages that are installed past the one script and its one list."""
    found = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"\b(?:apt|apt-get|aptitude|dpkg) (?:\S+ )*install\b", line)
    ]
    return _lines(found)


def modules(*folders: str) -> Iterator[Path]:
    """The Python files under these folders of the repository."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def texts(root: Path = ROOT) -> Iterator[Path]:
    """Every text file of the repository but those that git is told to ignore."""
    ignored = {line.strip("/") for line in (root / ".gitignore").read_text().split()} | {".git"}
    yield from _walk(root, ignored)


def findings(paths: Iterable[Path], rule: object, *, but: Iterable[str] = ()) -> list[str]:
    """What `rule` finds in these files, by file; `but` are the files it does not hold for."""
    assert callable(rule)
    allowed = {ROOT / path for path in but}
    return [
        f"{path.relative_to(ROOT)}:{finding}"
        for path in paths
        if path not in allowed
        for finding in rule(path.read_text(encoding="utf-8"))
    ]


def _walk(folder: Path, ignored: set[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if any(fnmatchcase(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from _walk(path, ignored)
        elif b"\0" not in path.read_bytes()[:8192]:
            yield path


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node, node.module


def _imported_members(tree: ast.Module, module: str, members: set[str]) -> list[tuple[int, str]]:
    return [
        (node.lineno, f"{module}.{alias.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
        if alias.name in members
    ]


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _lines(found: list[tuple[int, str]]) -> list[str]:
    return [f"{line}: {what}" for line, what in sorted(found)]
