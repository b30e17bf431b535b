"""Write docs/options.md from the parameter list of the installed package."""

from pathlib import Path
from typing import Any

import pympf

PAGE = Path(__file__).parent.parent / "docs" / "options.md"

INTRODUCTION = """# Parameters of the factorization

Written by `make docs` from the one list that all faces share (`cpp/pympf/mmf/params.cpp`).
"Figure 2.4" is the thesis's list of parameters, "η", "k" and "P" are its letters. An unknown name
or a value that is not allowed is an error that says what is allowed; nothing is adjusted silently.

```python
import pympf

F = pympf.factorize(pympf.gallery.poisson((64, 64)), core_size=50, retire="absolute")
```

On the command line this is `pympf factor A.mtx -o F.h5 --core-size 50 --retire absolute`, in PETSc
`-pc_type mmf -pc_mmf_core_size 50 -pc_mmf_retire absolute`.
"""


def options_page() -> str:
    """Return the text of docs/options.md."""
    fields = pympf.Params.fields()
    summary = _table(
        ["keyword", "default", "allowed", "command line", "PETSc"],
        [
            [
                f"[`{field['name']}`](#{field['name']})",
                f"`{_python(field['default'])}`",
                _allowed(field),
                f"`{_flag(field)}`",
                f"`-pc_mmf_{field['name']}`",
            ]
            for field in fields
        ],
    )
    sentences = "\n\n".join(f"### {field['name']}\n{field['doc']}" for field in fields)
    return f"{INTRODUCTION}\n{summary}\n\n## What they do\n\n{sentences}\n"


def _python(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value).replace("'", '"')


def _allowed(field: dict[str, Any]) -> str:
    if field["kind"] == "bool":
        return "`True`, `False`"
    if field["kind"] == "choice":
        return ", ".join(f'`"{choice}"`' for choice in field["choices"])
    kind = "integer" if field["kind"] == "int" else "number"
    maximum = "2³¹ − 1" if field["maximum"] == 2**31 - 1 else f"{field['maximum']:g}"
    return f"{kind}, {field['minimum']:g} to {maximum}"


def _flag(field: dict[str, Any]) -> str:
    name = field["name"].replace("_", "-")
    return f"--[no-]{name}" if field["kind"] == "bool" else f"--{name}"


def _table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(options_page(), encoding="utf-8")
