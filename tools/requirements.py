"""Print what pip must install for the given extras of pyproject.toml, one requirement a line.

The package's own dependencies and build requirements always come along: the set-up installs them
into one environment and builds there without isolation.
"""

import re
import sys
import tomllib
from pathlib import Path

REFERENCE = re.compile(r"pmmf\[(.+)\]")


def expand(extra: str, extras: dict[str, list[str]]) -> set[str]:
    """Return the requirements of an extra; `pmmf[a,b]` in it stands for the extras a and b."""
    found: set[str] = set()
    for requirement in extras[extra]:
        reference = REFERENCE.fullmatch(requirement)
        if reference:
            found.update(*(expand(name, extras) for name in reference.group(1).split(",")))
        else:
            found.add(requirement)
    return found


def main(names: list[str]) -> None:
    config = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    project = config["project"]
    requirements = {*config["build-system"]["requires"], *project["dependencies"]}
    for name in names:
        requirements |= expand(name, project["optional-dependencies"])
    print("\n".join(sorted(requirements)))


if __name__ == "__main__":
    main(sys.argv[1:])
