"""Build the documentation site: stage the pages, write the API reference, run Sphinx.

    python tools/build_site.py [FOLDER]      FOLDER/html is the site; build/site by default

The pages are docs/*.md as they stand. Added are a page for each section of docs/index.md (the bar
at the top), and by `site_api` a page for each public name. Warnings are errors.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import site_api

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
MOVED = {
    "../bench/README.md": "bench.md",
    "../README.md": "index.md",
    "gallery/GALLERY_HEADER.rst": "gallery/index.rst",
}
"""Where links that lead out of docs/, or to a folder of it, lead on the site."""
FILES = "files"
"""The folder of the site for files that pages link to."""
PROGRAM = re.compile(r"^\[`(?P<name>[\w.]+)`\]\((?P<path>[\w./]+)\)$", re.MULTILINE)
LANGUAGES = {".c": "c", ".cpp": "c++", ".py": "python", ".slurm": "bash", ".txt": "cmake"}
GENERATED = {"Reference": ["api/index"], "Experiments": ["comparison"]}
"""Pages of a section that no link of docs/index.md can name, as they are not in docs/."""

COMPARED = {
    "Suite: total time against the usual solvers": 3,
    "Locality sensitive hashing": 2,
    "Model patches: speed against PyTorch": 1,
}
"""Sections of docs/benchmarks.md that compare with others, and how many of their tables."""
COMPARISON = """# How it compares

What `python bench/run.py` measured against the packages that one would take otherwise, with the
cases that we lose. [Benchmarks](benchmarks.md) has every system; [`pympf compare`](compare.md)
does the same on your matrix.
"""


def pages() -> dict[str, str]:
    """Return all pages of the site but the gallery: path below the source folder, and text."""
    staged = {path.name: staged_page(path.read_text()) for path in sorted(DOCS.glob("*.md"))}
    staged["bench.md"] = staged_page((ROOT / "bench" / "README.md").read_text())
    staged["comparison.md"] = comparison(staged["benchmarks.md"])
    index = staged["index.md"]
    titles = list(sections(index))
    staged["index.md"] = index + toctree([slug(title) for title, _, _ in titles])
    for title, text, documents in titles:
        staged[f"{slug(title)}.md"] = f"# {title}\n{text}{toctree(documents)}"
    return staged | site_api.pages()


def staged_page(text: str) -> str:
    """Return a page with links as they are on the site, and names of the API as links."""
    text = PROGRAM.sub(program, text)
    text = LINK.sub(lambda m: f"]({moved(m[1])}{m[2] or ''})", text)
    return "".join(
        part if part.startswith("```") else site_api.linked(part) for part in FENCE.split(text)
    )


def comparison(benchmarks: str) -> str:
    """Return the page on what others reach: the text and the first tables of some sections."""
    parts = [COMPARISON]
    sections = dict(SECTION.findall(benchmarks))
    for title, tables in COMPARED.items():
        parts.append(f"## {title}")
        for paragraph in sections[title].strip().split("\n\n"):
            if tables == 0:
                break
            parts.append(paragraph)
            tables -= paragraph.startswith("|")
    return "\n\n".join(parts)


def moved(target: str) -> str:
    """Return where a link of a page leads on the site."""
    if target in MOVED:
        return MOVED[target]
    target = re.sub(r"^\.\./", f"{FILES}/", target)
    return re.sub(r"^(gallery/\w+)\.py$", r"\1.rst", target)


def files() -> dict[Path, bytes]:
    """Return the files outside docs/ that pages link to, for downloading: path on the site."""
    text = "".join(path.read_text() for path in DOCS.glob("*.md"))
    targets = {target[3:] for target, _ in LINK.findall(text) if target.startswith("../")}
    paths = [path for path in targets if f"../{path}" not in MOVED]
    return {Path(FILES, path): (ROOT / path).read_bytes() for path in paths}


def program(match: re.Match[str]) -> str:
    """Return the text of a program that a line of a page links to, and of nothing else."""
    path = DOCS / match["path"]
    if path.suffix not in LANGUAGES:
        return match[0]
    return f"`{match['name']}`\n\n```{LANGUAGES[path.suffix]}\n{path.read_text()}```"


def sections(index: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield title, text and documents of the sections of docs/index.md."""
    for title, text in SECTION.findall(index):
        links = [to for to, place in LINK.findall(text) if "://" not in to and not place]
        documents = [target.rsplit(".", 1)[0] for target in links]
        yield title, text, [*dict.fromkeys(documents), *GENERATED.get(title, [])]


def slug(title: str) -> str:
    """Return the name of the page of a section."""
    return "section-" + re.sub(r"\W+", "-", title.lower())


def toctree(documents: list[str]) -> str:
    """Return a hidden table of contents."""
    return "\n".join(["", "```{toctree}", ":hidden:", "", *documents, "```", ""])


def stage(source: Path) -> None:
    """Write the source folder of Sphinx; files that stay as they were keep their time."""
    wanted = {Path(name): text.encode() for name, text in pages().items()}
    for base, pattern in ((DOCS, "images/*"), (DOCS / "site", "*.py"), (DOCS / "site", "static/*")):
        wanted |= {path.relative_to(base): path.read_bytes() for path in base.glob(pattern)}
    wanted |= files()
    for path in (*DOCS.glob("gallery/*.py"), *DOCS.glob("gallery/*.rst")):
        wanted[Path("examples", path.name)] = path.read_bytes()
    for old in source.rglob("*") if source.exists() else []:
        below = old.relative_to(source)
        if old.is_file() and below not in wanted and below.parts[0] != "gallery":
            old.unlink()
    for name, content in wanted.items():
        path = source / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def main(folder: Path) -> None:
    stage(folder / "source")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "2"]
    command = [*sphinx, "-d", "trees", "source", "html"]
    # Threads of a BLAS that wait for each other make the small examples many times slower.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if subprocess.run(command, cwd=folder, env=environment, check=False).returncode != 0:
        shutil.rmtree(folder / "trees", ignore_errors=True)  # a warning is seen once otherwise
        sys.exit("docs-site: Sphinx has warnings, see above")
    print(f"docs-site: {folder / 'html' / 'index.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site")
