"""Every public function says what it does in the same form, and its examples run."""

import doctest
import importlib.util
import inspect
import pkgutil
import re

import pytest

import pympf
import pympf.approx
import pympf.comparison
import pympf.explain
import pympf.explain.alignments
import pympf.explain.examples
import pympf.lsh
import pympf.matching
import pympf.nets
import pympf.nets.graph
import pympf.nets.patches
import pympf.nets.seq2seq
import pympf.sketch


def is_source(name):
    return importlib.util.find_spec(name).origin.endswith(".py")


NAMES = ["pympf"] + [
    module.name
    for module in pkgutil.walk_packages(pympf.__path__, "pympf.")
    if is_source(module.name) and not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    if name == "pympf.petsc":
        pytest.importorskip("petsc4py")
        try:
            module.library_path()
        except ImportError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    failures = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        runner.run(test, out=failures.append)
    assert runner.failures == 0, "".join(failures)


def public_functions():
    """Give the functions, and the methods of the classes, that the faces of the package export."""
    faces = (pympf, pympf.gallery, pympf.io, pympf.la, pympf.lsh, pympf.nets)
    faces += (pympf.nets.graph, pympf.nets.patches, pympf.explain, pympf.explain.examples)
    faces += (pympf.nets.seq2seq, pympf.explain.alignments, pympf.matching, pympf.sketch)
    faces += (pympf.approx, pympf.comparison)
    for module in faces:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing
            elif inspect.isclass(thing):
                for method, function in inspect.getmembers(thing, inspect.isfunction):
                    ours = function.__module__.startswith("pympf")  # not SciPy's
                    if ours and not method.startswith("_"):
                        yield f"{name}.{method}", function


@pytest.mark.parametrize(("name", "function"), list(public_functions()))
def test_docstring_has_the_parts_that_all_have(name, function):
    doc = inspect.getdoc(function)
    assert doc.partition("\n")[0].endswith(".")
    assert re.search(r"[Cc]ollective( over `\w+`)?[.:;]", doc)
    assert "Examples\n--------\n" in doc
    described = doc.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    for parameter in inspect.signature(function).parameters:
        assert parameter == "self" or parameter in described, f"{parameter} is not described"
