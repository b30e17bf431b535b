"""Check the rules of dependency of docs/contributing.md.

Prints one line for each place that breaks a rule, `file:line: what, and the rule`, and fails then.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Violation(NamedTuple):
    """A place in the tree that breaks a rule."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


# ---- C++ and Cython ------------------------------------------------------------------------------

# What the files of a folder of cpp/pympf may include besides their own folder.
BELOW = {
    "common": set(),
    "mpi": {"common"},
    "la": {"common", "mpi"},
    "mmf": {"common", "mpi", "la"},
    "precond": {"common", "mpi", "la", "mmf"},
    "approx": {"common", "mpi", "la"},
    "sketch": {"common", "mpi", "la"},
    "lsh": {"common", "mpi", "la"},
}
# The wings of precond from the ground up: a file includes its own wing and those before it.
WINGS = ("ground", "smoothers", "levels", "choice", "preconditioner")
GROUND = {"params", "plan", "probe", "report"}  # files of precond itself; its others are on top
# What only one folder may use.
ONLY_IN = {
    "cpp/petsc": re.compile(r'^\s*#\s*include\s*[<"](petsc[^">]*)|extern from [<"](petsc[^">]*)'),
    "cpp/bindings": re.compile(
        r'^\s*#\s*include\s*[<"]((?:Python\.h|numpy/|pybind11/)[^">]*)|'
        r'extern from [<"]((?:Python\.h|numpy/)[^">]*)'
    ),
    "cpp/pympf/mpi": re.compile(r'^\s*#\s*include\s*[<"](mpi\.h)|\b(P?MPI_[A-Z]\w*)\s*\('),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"](pympf/(\w+)/[\w/.]+)')
BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
LINE_COMMENT = re.compile(r"//.*")


def without_comments(source: str) -> str:
    """Blank out the comments of C++ and keep the line numbers."""
    source = BLOCK_COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), source)
    return LINE_COMMENT.sub("", source)


def wing(path: Path) -> str:
    """The wing of a file of precond, whose path begins with pympf/precond."""
    if len(path.parts) > 3:
        return path.parts[2]
    return "ground" if path.stem in GROUND else "preconditioner"


def breaks_wings(path: Path, included: Path) -> str | None:
    """Tell what is wrong with an include from one file of precond in another, if anything is."""
    for file in (path, included):
        if wing(file) not in WINGS:
            return f"wing {wing(file)} of precond has no place in the rules of dependency"
    at = WINGS.index(wing(path))
    if WINGS.index(wing(included)) <= at:
        return None
    allowed = ", ".join(WINGS[: at + 1])
    return f"{wing(path)} of precond includes {wing(included)}; allowed: {allowed}"


def check_cxx(path: Path, source: str) -> Iterator[Violation]:
    """Check one C++ or Cython file; `path` is relative to the root of the tree."""
    folder = path.parts[2] if path.parts[:2] == ("cpp", "pympf") else None
    if folder is not None and folder not in BELOW:
        yield Violation(path, 1, f"folder {folder} has no place in the rules of dependency")
        return
    for number, line in enumerate(without_comments(source).splitlines(), 1):
        for home, pattern in ONLY_IN.items():
            match = pattern.search(line)
            if match and not path.is_relative_to(home):
                used = next(filter(None, match.groups()))
                yield Violation(path, number, f"uses {used}; that is allowed in {home} only")
        include = INCLUDE.match(line)
        if not folder or not include:
            continue
        if include.group(2) not in BELOW[folder] | {folder}:
            allowed = ", ".join(sorted(BELOW[folder] | {folder}))
            text = f"{folder} includes {include.group(2)}; allowed: {allowed}"
            yield Violation(path, number, text)
        elif folder == include.group(2) == "precond":
            broken = breaks_wings(path.relative_to("cpp"), Path(include.group(1)))
            if broken:
                yield Violation(path, number, broken)


# ---- Python --------------------------------------------------------------------------------------

# Imported inside the functions that use them: `import pympf` is quick and needs none of them.
LAZY = {"PIL", "h5py", "matplotlib", "mpi4py", "petsc4py", "pyamg", "pywt", "skimage", "sklearn"}
LAZY |= {"faiss", "pypardiso", "shtab", "sksparse"}
# Who may import what only one module is to know: the ranks, and the compiled engine.
BINDINGS = (Path(__file__).parent.parent / "cpp" / "bindings").glob("_*")
ONE_HOME = {
    "mpi4py": Path("pympf/la/ranks"),
    **{f"pympf.{binding.stem}": Path("pympf/_engine.py") for binding in BINDINGS},
}
# The classes there are scikit-learn's, and the modules are themselves imported where they are used.
ESTIMATORS = {Path("pympf/nets/estimators.py"), Path("pympf/nets/patches/estimator.py")}


# A call of a communicator, whatever it is called: comm.allgather(x), self._comm.Send(x).
MPI_CALL = re.compile(
    r"comm\.(?:all|[Bb]cast|[Gg]ather|[Ss]catter|[Rr]educe|I?[Ss]end|i?send|I?[Rr]ecv|i?recv|"
    r"I?[Pp]robe|[Ee]?[Xx]?[Ss]can|[Bb]arrier|A|Split|Dup|Free|py2f)\w*\("
)


class Import(NamedTuple):
    """One imported module, with its full name."""

    name: str
    line: int
    at_top: bool


def imports(path: Path, source: str) -> Iterator[Import]:
    """Find the modules that a file of the package imports; relative names are made absolute."""
    package = path.with_suffix("").parts[:-1]

    def visit(node: ast.AST, at_top: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *(node.module or "").split(".")]
            for alias in node.names:
                name = ".".join(part for part in [*module, alias.name] if part)
                yield Import(name, node.lineno, at_top)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, at_top and not inside)

    yield from visit(ast.parse(source), True)


def is_in(name: str, module: str) -> bool:
    """Tell whether a dotted name is a module or something inside it."""
    return name == module or name.startswith(module + ".")


IN_ALL_PARTS = ("la.checks", "la.as_array", "_described", "_html", "_progress")
"""The gates for arguments and arrays, and what shows objects and long work."""


def is_allowed_in_explain(name: str) -> bool:
    """Tell whether a module is in explain, a public one of nets, or one that all parts have."""
    if any(is_in(name, f"pympf.{module}") for module in IN_ALL_PARTS):
        return True
    private = any(part.startswith("_") for part in name.split(".") if part != "_checks")
    return is_in(name, "pympf.explain") or (is_in(name, "pympf.nets") and not private)


def check_python(path: Path, source: str) -> Iterator[Violation]:
    """Check one file of the Python package; `path` is relative to the root of the tree."""
    for number, text in enumerate(source.splitlines(), 1):
        call = MPI_CALL.search(text.partition("#")[0])
        if call and not path.is_relative_to(ONE_HOME["mpi4py"]):
            text = f"calls {call.group()[:-1]}; only {ONE_HOME['mpi4py']} does that: take la.Ranks"
            yield Violation(path, number, text)
    in_ref, in_nets, in_explain = (
        path.is_relative_to(f"pympf/{name}") for name in ("ref", "nets", "explain")
    )
    for name, line, at_top in imports(path, source):
        if at_top and name.split(".")[0] in LAZY - ({"sklearn"} if path in ESTIMATORS else set()):
            yield Violation(path, line, f"imports {name} at the top; import it where it is used")
        for module, home in ONE_HOME.items():
            if is_in(name, module) and not path.is_relative_to(home):
                yield Violation(path, line, f"imports {module}; only {home} does that")
        in_cli = path == Path("pympf/__main__.py") or path.is_relative_to("pympf/cli")
        if is_in(name, "pympf.cli") and not in_cli:
            yield Violation(path, line, "imports pympf.cli; only __main__ does that")
        in_comparison = path.is_relative_to("pympf/comparison") or path == Path("pympf/__init__.py")
        if is_in(name, "pympf.comparison") and not (in_comparison or in_cli):
            yield Violation(path, line, "imports pympf.comparison; only pympf and cli do that")
        if is_in(name, "pympf.nets") and not (in_nets or in_explain):
            yield Violation(path, line, "imports pympf.nets; only nets and explain do that")
        if is_in(name, "pympf.explain") and not (in_explain or in_cli):
            yield Violation(path, line, "imports pympf.explain; only explain and cli do that")
        if in_explain and is_in(name, "pympf") and not is_allowed_in_explain(name):
            yield Violation(path, line, f"imports {name}; explain uses the public face of nets")
        if in_ref and is_in(name, "pympf") and not is_in(name, "pympf.ref"):
            text = f"imports {name}; the numpy twins stand without the compiled core"
            yield Violation(path, line, text)
        if in_nets and is_in(name, "pympf._engine"):
            yield Violation(path, line, "imports pympf._engine; nets uses the public faces")


def check_tree(root: Path) -> list[Violation]:
    """Check all sources below the root of the tree."""
    found: list[Violation] = []
    for check, folder, suffixes in (
        (check_cxx, "cpp", {".hpp", ".cpp", ".h", ".pyx", ".pxd"}),
        (check_python, "pympf", {".py"}),
    ):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in suffixes:
                found += check(file.relative_to(root), file.read_text())
    return found


if __name__ == "__main__":
    violations = check_tree(Path(__file__).parent.parent)
    print(*violations, sep="\n", end="\n" if violations else "")
    sys.exit(1 if violations else 0)
