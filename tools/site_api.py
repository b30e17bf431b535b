"""The API reference of the site: which modules are public faces, a page for each of their names.

What is public is said by the packages themselves, in `__all__`; this file adds the order, a title
for each face, and at which face a name that several export is described (the first).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from types import ModuleType

FACES = {
    "pympf": "Factor, solve, precondition",
    "pympf.comparison": "Which solver for a matrix",
    "pympf.gallery": "Matrices to try things on",
    "pympf.io": "Reading and writing matrices and vectors",
    "pympf.approx": "Nonsymmetric matrices by rotations, CUR, compression",
    "pympf.matching": "Heavy matchings",
    "pympf.petsc": "PETSc",
    "pympf.la": "Operators, ranks, and the checks of what comes in",
    "pympf.la.ranks": "Ranks, for code that communicates",
    "pympf.lsh": "Locality sensitive hashing",
    "pympf.sketch": "Recursive sketches",
    "pympf.nets.depth": "Depth compression",
    "pympf.nets.modular": "Modular networks",
    "pympf.nets.graph": "Networks as dataflow graphs",
    "pympf.nets.patches": "Model patches",
    "pympf.nets.seq2seq": "Encoder-decoders",
    "pympf.nets.programmer": "Neural Programmer",
    "pympf.nets": "Sparsely activated networks",
    "pympf.explain": "Attributions",
    "pympf.explain.examples": "Functions whose attributions are known",
    "pympf.explain.alignments": "Word alignments",
    "pympf.explain.tables": "Questions over tables",
}
"""The public modules in the order in which they claim names, and their titles."""

NO_FACE = {"pympf.cli", "pympf.demo", "pympf.ref"}
"""Public modules for the command line and the tests."""


def public_modules() -> Iterator[str]:
    """Yield the packages and the modules directly below pympf, without what begins with _."""
    package = importlib.import_module("pympf")
    for found in pkgutil.walk_packages(package.__path__, "pympf."):
        parts = found.name.split(".")
        if not any(part.startswith("_") for part in parts) and (found.ispkg or len(parts) == 2):
            yield found.name


@cache
def homes() -> dict[str, str]:
    """Return for each public name, with every module that exports it, where it is described."""
    first: dict[int, str] = {}
    found = {}
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, ModuleType):
                continue
            full = f"{face}.{name}"
            is_data = kind(thing) == "data"  # the same number may be two constants
            found[full] = full if is_data else first.setdefault(id(thing), full)
    return found


def kind(thing: object) -> str:
    """Return what Sphinx calls it: "class", "function" or "data" (constants, names of types)."""
    if inspect.isclass(thing) and not hasattr(thing, "__origin__"):
        return "class"
    return "function" if inspect.isroutine(thing) else "data"


def pages() -> dict[str, str]:
    """Return the pages of the reference: path below the source folder, and text."""
    texts = {"api/index.rst": _index()}
    for face in FACES:
        texts[f"api/{face}.rst"] = _face(face)
    for name in set(homes().values()):
        texts[f"api/{name}.rst"] = _page(name)
    return texts


def linked(text: str) -> str:
    """Return Markdown in which each `pympf.solve` and the like leads to its page."""
    return re.sub(r"(?<!\[)`(pympf\.[\w.]+)`(?!\])", _link, text)


def _link(match: re.Match[str]) -> str:
    home = homes().get(match[1])
    return f"[`{match[1]}`](api/{home}.rst)" if home else match[0]


def _index() -> str:
    rows = "".join(
        f"   * - :doc:`{face} <{face}>`\n     - {title}\n" for face, title in FACES.items()
    )
    return f"""{_title("API reference")}
Every public name, {len(set(homes().values()))} in all, by the module that it is imported from. The
examples run in the tests.

.. list-table::

{rows}
{_toctree({face: face for face in FACES})}"""


def _face(face: str) -> str:
    module = importlib.import_module(face)
    rows, own = "", {}
    for name in sorted(module.__all__, key=str.lower):
        home = homes().get(f"{face}.{name}")
        if home is None:  # a module
            continue
        rows += f"   * - :doc:`{name} <{home}>`\n     - {_summary(getattr(module, name))}\n"
        if home.rpartition(".")[0] == face:
            own[name] = home
    table = f".. list-table::\n   :widths: 30 70\n\n{rows}" if rows else ""
    return f"""{_title(f"{face}: {FACES[face]}")}
.. automodule:: {face}

{table}
{_toctree(own)}"""


def _page(name: str) -> str:
    face, _, short = name.rpartition(".")
    thing = getattr(importlib.import_module(face), short)
    if hasattr(thing, "__origin__"):  # autodoc takes the name of a type for a class
        return f"{_title(name)}.. py:data:: {name}\n   :value: {thing}\n"
    members = "   :members:\n" if kind(thing) == "class" else ""
    return f"{_title(name)}.. auto{kind(thing)}:: {name}\n{members}"


def _summary(thing: object) -> str:
    if kind(thing) == "data":
        text = repr(thing)
        return f"``{text}``" if len(text) < 80 else f"a {type(thing).__name__}"
    text = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r" ?\[\d+\]_", "", text).replace("|", r"\|")


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _toctree(documents: dict[str, str]) -> str:
    entries = "".join(f"   {title} <{document}>\n" for title, document in documents.items())
    return f".. toctree::\n   :hidden:\n\n{entries}" if entries else ""
