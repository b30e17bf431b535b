"""Check the documentation site: links, pictures, public names; nothing may come over a network.

    python tools/check_site.py build/site/html [--screenshots FOLDER] [--external]

`--screenshots` opens pages in a headless Chromium, writes what it shows, and fails when the browser
misses a file. `--external` tries the links to other sites, of the pages and of OTHERS: one that is
gone is a fault, one that does not answer from this machine is listed, with what the machine says.
"""

from __future__ import annotations

import argparse
import http.client
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen

import site_api

SHOWN = {
    "a": "href",
    "link": "href",
    "img": "src",
    "script": "src",
    "source": "src",
    "object": "data",
}
OTHERS = (
    "README.md",
    "CITATION.cff",
    "SECURITY.md",
    "pyproject.toml",
    "tools/packaging/libraries.sh",
)
"""Files with links that are on no page."""
URL = re.compile(r"https?://[^][\s)>\"'`<,;$\\]+[\w/](?![\w/.-]*[$\\])")
GONE = ("404", "410")
SURE = {"pypi.org": "/project/pip/"}
"""Pages that are there for sure where a site is itself; the front page otherwise."""
PAGES = ("index", "tour", "benchmarks", "api/index", "api/pympf.solve")


class Page(HTMLParser):
    """The names that a page defines and the targets that it uses."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.anchors |= {found[key] or "" for key in ("id", "name") if key in found}
        target = found.get(SHOWN.get(tag, ""))
        if target:
            self.targets.append((tag, target))


def pages_of(site: Path) -> dict[Path, Page]:
    """Read the pages; below _static/ are templates of the theme."""
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    return {path: Page(path) for path in paths}


def faults(pages: dict[Path, Page]) -> Iterator[str]:
    """Yield a sentence for each link that leads nowhere and each file that is not there."""
    for path, page in pages.items():
        for tag, target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                if tag != "a" and url.scheme != "data":
                    yield f"{path}: <{tag}> comes over the network: {target}"
                continue
            there = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not there.is_file():
                yield f"{path}: <{tag}> {target}: there is no such file"
                continue
            anchor = unquote(url.fragment)
            if anchor and there in pages and anchor not in pages[there].anchors:
                yield f"{path}: {target}: the page has no such place"


def external(links: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Try links to other sites: yield a line for each, and whether it is a fault."""
    for url in sorted({urldefrag(link).url for link in links if link.startswith("http")}):
        status = answer(url)
        # A mirror of a package index, say, answers in its place and has none of its pages.
        sure = urljoin(url, SURE.get(urlsplit(url).netloc, "/"))
        mirror = status[:3] in GONE and answer(sure)[:3] in GONE
        is_fault = status[:3] in GONE and not mirror
        yield (
            f"{url}: {status}{', and so for all pages of the site here' if mirror else ''}",
            is_fault,
        )


def answer(url: str) -> str:
    """Return what comes back from an address, or why nothing does."""
    try:
        with urlopen(Request(url, headers={"User-Agent": "Mozilla/5.0"}), timeout=20):
            return "there"
    except HTTPError as error:
        return f"{error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:  # no name, no route, no time
        return f"no answer from here ({getattr(error, 'reason', error)})"


def missing_names(site: Path) -> list[str]:
    """Return the public names that the site does not describe."""
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    described = {name for kind in inventory.data.values() for name in kind}
    return sorted(set(site_api.homes().values()) - described)


def screenshots(site: Path, folder: Path) -> list[str]:
    """Write a picture of each of PAGES; return what the browser missed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("--screenshots needs Chromium (on Debian: apt-get install chromium)")
    folder.mkdir(parents=True, exist_ok=True)
    missed = []
    for name in PAGES:
        picture = folder / f"{name.replace('/', '-')}.png"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--enable-logging=stderr", "--window-size=1300,1600", f"--screenshot={picture}"]
        command.append((site / f"{name}.html").resolve().as_uri())
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        missed += [line for line in run.stderr.splitlines() if "ERR_" in line or "Error:" in line]
    return missed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--external", action="store_true")
    options = parser.parse_args()
    site = options.site.resolve()
    pages = pages_of(site)
    links = [target for page in pages.values() for _, target in page.targets]
    found = list(faults(pages))
    found += [f"{name} is public and not on the site" for name in missing_names(site)]
    if options.screenshots:
        found += screenshots(site, options.screenshots)
    if options.external:
        root = Path(__file__).parent.parent
        others = [url for name in OTHERS for url in URL.findall((root / name).read_text())]
        for line, is_fault in external([*links, *others]):
            print(line)
            found += [line] * is_fault
    print("\n".join(found) or f"{len(pages)} pages, {len(links)} links and pictures: all there")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
