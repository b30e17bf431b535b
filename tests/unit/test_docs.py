"""The documentation is true: its code runs, its generated pages are current, its links lead on."""

import doctest
import functools
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page, language):
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


def has_petsc():
    try:
        import petsc4py  # noqa: F401

        import pympf.petsc

        pympf.petsc.library_path()
    except ImportError:
        return False
    return True


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the matrices in it, where blocks may write."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, folder):
    """The blocks of a page run in turn, in one namespace."""
    names = {"__name__": page.stem}
    for number, code in enumerate(blocks(page, "python"), 1):
        if "pympf.petsc" in code and not has_petsc():
            continue
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), 0)
            assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
        else:
            exec(compile(code, f"{page.name}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_blocks_run(page, folder):
    commands = os.environ["PATH"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{commands}"}
    for code in blocks(page, "bash"):
        subprocess.run(["bash", "-euo", "pipefail", "-c", code], env=environment, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_on_adding_names_files_that_exist():
    named = re.findall(r"`([\w./]+/[\w./]+|README\.md)`", (ROOT / "docs" / "adding.md").read_text())
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_page_on_cpp_quotes_the_program_that_is_built():
    page, consumer = ROOT / "docs" / "cpp.md", ROOT / "tests" / "consumer"
    for language, file in [("cpp", "consumer.cpp"), ("cmake", "CMakeLists.txt")]:
        quoted, text = blocks(page, language), (consumer / file).read_text()
        assert quoted
        assert [code for code in quoted if code not in text] == []


def test_options_page_is_current():
    page = load(ROOT / "tools" / "generate_docs.py").options_page()
    written = (ROOT / "docs" / "options.md").read_text()
    assert written == page, "docs/options.md: run `make docs`"


def test_chart_is_current():
    chart = load(ROOT / "tools" / "generate_chart.py")
    for text, path in ((chart.page(), "choosing.md"), (chart.svg(), "images/choosing.svg")):
        assert (ROOT / "docs" / path).read_text() == text, f"docs/{path}: run `make docs`"


@pytest.fixture
def web(tmp_path):
    """A site of one page, and one where nothing is."""
    (tmp_path / "index.html").write_text("<p>a page</p>")
    handlers = [
        functools.partial(QuietHandler, directory=tmp_path),
        functools.partial(QuietHandler, directory=tmp_path / "nowhere"),
    ]
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), each) for each in handlers]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield [f"http://127.0.0.1:{server.server_port}/" for server in servers]
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_links_that_are_gone_are_told_from_those_that_do_not_answer(web, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    check = load(ROOT / "tools" / "check_site.py")
    site, mirror = web
    links = [site + "index.html#place", site + "gone", mirror + "gone", "http://127.0.0.1:1/x", "a"]
    told = dict(check.external(links))
    assert sum(told.values()) == 1
    assert told[f"{site}gone: 404 File not found"]
    lines = "\n".join(told)
    assert f"{site}index.html: there" in lines
    assert f"{mirror}gone: 404 File not found, and so for all pages of the site here" in lines
    assert "http://127.0.0.1:1/x: no answer from here ([Errno 111]" in lines
    assert len(told) == 4


def test_benchmarks_page_is_current(monkeypatch):
    if not (ROOT / "bench" / "results").is_dir():
        pytest.skip("there are no results of benchmarks")
    monkeypatch.syspath_prepend(ROOT / "bench")
    page = load(ROOT / "bench" / "run.py").page()
    written = (ROOT / "docs" / "benchmarks.md").read_text()
    assert written == page, "docs/benchmarks.md: run `python bench/run.py table`"
