"""Check the documentation site: links, pictures, public names; nothing may come over a network.

    python tools/check_site.py build/site/html [--screenshots FOLDER] [--external]

`--screenshots` opens pages in a headless Chromium, writes what it shows, and fails when the browser
misses a file. `--external` lists the links to other sites, to be tried by hand.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import site_api

SHOWN = {
    "a": "href",
    "link": "href",
    "img": "src",
    "script": "src",
    "source": "src",
    "object": "data",
}
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
        print("\n".join(sorted({link for link in links if link.startswith("http")})))
    print("\n".join(found) or f"{len(pages)} pages, {len(links)} links and pictures: all there")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
