"""Figures of the house: how long files, functions and sentences are, and who talks to MPI.

`tools/house_figures.py [ROOT ...]` prints one line of a table for each figure, with a column for
each tree (this one by default). docs/contributing.md has them.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_LINES, MOST_STATEMENTS, MOST_WORDS = 500, 50, 30
CXX = {".hpp", ".cpp"}
COMPILED = CXX | {".pxi", ".pyx"}
MPI_CALL = re.compile(
    r"comm\.(?:all|[Bb]cast|[Gg]ather|[Ss]catter|[Rr]educe|[Ss]end|[Rr]ecv|Split|Abort|py2f)\w*\("
)
BRANCH = re.compile(
    r"is_parallel\(|ranks\.size [=!>]=? ?1\b|comm\.size [=!>]=? ?1\b|comm is (not )?None"
)
OPENS = re.compile(r"\b(namespace|class|struct|enum|union|extern)\b|=\s*\{$")


def sources(root: Path, folder: str, suffixes: set[str]) -> list[Path]:
    return [file for file in sorted((root / folder).rglob("*")) if file.suffix in suffixes]


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def python_functions(root: Path) -> Iterator[int]:
    """Lines of each function of the package, without its docstring."""
    for file in sources(root, "pympf", {".py"}):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                has_doc = ast.get_docstring(node) is not None
                doc = (first.end_lineno or 0) - first.lineno + 1 if has_doc else 0
                yield (node.end_lineno or 0) - node.lineno + 1 - doc


def cxx_functions(root: Path) -> Iterator[int]:
    """Lines of each function and method, from the line that opens it to its last brace."""
    for file in sources(root, "cpp", CXX):
        text = lines(file)
        for start, line in enumerate(text):
            indent = len(line) - len(line.lstrip())
            if indent in (0, 2) and line.endswith("{") and not OPENS.search(line):
                closing = " " * indent + "}"
                rest = (k for k in range(start, len(text)) if text[k].startswith(closing))
                yield next(rest, start) - start + 1


def sentences(root: Path) -> Iterator[int]:
    """Words of each sentence, or part of one before a semicolon, of README and docs."""
    for file in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
        text = re.sub(r"`[^`]*`", "code", text)
        text = re.sub(r"\]\([^)]*\)", "]", text)
        for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*#|]|\d+\.) ?)|\|", text):
            for sentence in re.split(r"(?<=[.!?;])\s+", block):
                yield len(re.findall(r"[A-Za-z][A-Za-z'’-]*", sentence))


def figures(root: Path) -> dict[str, object]:
    def total(folder: str, suffixes: set[str]) -> int:
        return sum(len(lines(file)) for file in sources(root, folder, suffixes))

    package = sources(root, "pympf", {".py"})
    code = package + sources(root, "cpp", COMPILED)
    with_calls = [f for f in package if any(MPI_CALL.search(x) for x in lines(f))]
    branches = sum(
        bool(BRANCH.search(line))
        for file in package
        if not file.is_relative_to(root / "pympf" / "la" / "ranks")
        for line in lines(file)
    )
    return {
        "lines of `cpp/pympf/precond`": total("cpp/pympf/precond", CXX),
        "lines of `cpp/bindings`": total("cpp/bindings", COMPILED),
        "lines of `pympf`": total("pympf", {".py"}),
        f"files of more than {MOST_LINES} lines": sum(len(lines(f)) > MOST_LINES for f in code),
        "lines of the longest": max(len(lines(file)) for file in code),
        f"Python functions above {MOST_STATEMENTS} lines": sum(
            n > MOST_STATEMENTS for n in python_functions(root)
        ),
        f"C++ functions above {MOST_STATEMENTS} lines": sum(
            n > MOST_STATEMENTS for n in cxx_functions(root)
        ),
        "modules with calls of mpi4py": len(with_calls),
        "branches on one process or several, outside `Ranks`": branches,
        f"sentences above {MOST_WORDS} words in README and docs": sum(
            n > MOST_WORDS for n in sentences(root)
        ),
    }


if __name__ == "__main__":
    roots = [Path(name) for name in sys.argv[1:]] or [Path(__file__).parent.parent]
    columns = [figures(root) for root in roots]
    for name in columns[0]:
        print("|", name, "|", " | ".join(str(column[name]) for column in columns), "|")
