"""What the site is made of is complete; `make docs-site` builds it and checks the rest."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pympf.cli.codes import EXIT_CODES

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    yield
    for name in ("site_api", "build_site", "check_site"):
        sys.modules.pop(name, None)


def test_every_public_name_has_a_page():
    site_api = importlib.import_module("site_api")
    described = {id(thing_of(home)) for home in site_api.homes().values()}
    pages = site_api.pages()
    for module in set(site_api.public_modules()) - site_api.NO_FACE:
        if any(module.startswith(f"{other}.") for other in site_api.NO_FACE):
            continue
        for name in getattr(importlib.import_module(module), "__all__", ()):
            thing = thing_of(f"{module}.{name}")
            if not isinstance(thing, ModuleType):
                assert id(thing) in described, f"{module}.{name} is on no page: site_api.FACES"
    for home in site_api.homes().values():
        assert f":: {home}\n" in pages[f"api/{home}.rst"]
        if site_api.kind(thing_of(home)) != "data":
            assert inspect.getdoc(thing_of(home)), home


def thing_of(name):
    module, _, short = name.rpartition(".")
    return getattr(importlib.import_module(module), short)


def test_every_page_is_in_one_section():
    build_site = importlib.import_module("build_site")
    index = build_site.staged_page((ROOT / "docs" / "index.md").read_text())
    found = [name for _, _, documents in build_site.sections(index) for name in documents]
    assert sorted(found) == sorted(set(found))
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert written <= set(found)


def test_a_page_links_to_the_reference():
    build_site = importlib.import_module("build_site")
    page = (
        "`pympf.solve` and `pympf.nothing`\n```python\n# `pympf.solve`\n```\n[x](../README.md#top)"
    )
    assert build_site.staged_page(page) == (
        "[`pympf.solve`](api/pympf.solve.rst) and `pympf.nothing`\n"
        "```python\n# `pympf.solve`\n```\n[x](index.md#top)"
    )


def test_what_is_missing_is_found(tmp_path):
    check_site = importlib.import_module("check_site")
    (tmp_path / "good.html").write_text('<h1 id="here"><a href="#here"><a href="https://x.org">')
    (tmp_path / "bad.html").write_text(
        '<a href="none.html"><a href="good.html#there"><a href="good.html#here">'
        '<img src="none.png"><script src="https://cdn.org/x.js"></script>'
    )
    faults = list(check_site.faults(check_site.pages_of(tmp_path)))
    assert len(faults) == 4
    for fault, word in zip(faults, ("none.html", "#there", "none.png", "network"), strict=True):
        assert "bad.html" in fault
        assert word in fault


def test_troubleshooting_names_every_reason_error_and_exit_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    source = (ROOT / "cpp" / "pympf" / "la" / "krylov_run.cpp").read_text()
    table = source.partition("kReasons[] = {")[2].partition("};")[0]
    reasons = re.findall(r'\{Reason::\w+, "(\w+)"\}', table)
    assert len(reasons) >= 13
    errors = {"ValueError", "TypeError", "OSError", "RuntimeError", "MemoryError", "ImportError"}
    errors.add("numpy.linalg.LinAlgError")
    for path in (ROOT / "pympf").rglob("*.py"):
        errors |= set(re.findall(r"^class (\w+)\(\w*(?:Error|Warning)\)", path.read_text(), re.M))
    assert "LauncherError" in errors
    for word in (*reasons, *errors):
        assert f"| `{word}`" in page, f"docs/troubleshooting.md has no line for {word}"
    codes = set(re.findall(r"^  (\d+) ", EXIT_CODES, re.M))
    assert codes == set(re.findall(r"^\| (\d+) \|", page, re.M))
