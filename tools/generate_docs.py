"""Write docs/options.md from the parameter lists of the installed package."""

from pathlib import Path
from typing import Any

import pympf

PAGE = Path(__file__).parent.parent / "docs" / "options.md"

INTRODUCTION = """# Parameters

Written by `make docs` from the lists that all faces share: `cpp/pympf/precond/params.cpp` and
`cpp/pympf/mmf/params.cpp`. An unknown name or a value that is not allowed is an error that says
what is allowed; nothing is adjusted silently. `rows_per_rank` is in both lists, for what is built.

## The preconditioner

```python
import pympf

A = pympf.gallery.poisson((64, 64))
M = pympf.as_preconditioner(A, method="multilevel", cycle="w", smoother="gs")
```

`pympf.solve` takes the same, but `method` there is the Krylov method: the name of the
`preconditioner` takes its place (`"mmf"` for `auto`, else the name of the method). So it is on the
command line: `pympf solve A.mtx --preconditioner multilevel --cycle w --smoother gs`. In PETSc
`-pc_type mmf -pc_mmf_method multilevel -pc_mmf_cycle w -pc_mmf_smoother gs`. On all of them the
method `classic` takes the parameters of the factorization instead.
"""

FACTORIZATION = """## The factorization

"Figure 2.4" is the thesis's list of parameters, "η", "k" and "P" are its letters.

```python
F = pympf.factorize(A, core_size=50, retire="absolute")
```

On the command line this is `pympf factor A.mtx -o F.h5 --core-size 50 --retire absolute`. As a
preconditioner it is `pympf.as_preconditioner(A, method="classic", core_size=50)`, `pympf solve
A.mtx --preconditioner classic --core-size 50`, and in PETSc
`-pc_type mmf -pc_mmf_method classic -pc_mmf_core_size 50`.
"""


REPORTS = """## Columns of the reports

`report()` of a factorization, a preconditioner or a hash table has a line for each stage, level or
table; `print` shows most columns, `as_dict()` and the files have all.
"""


def options_page() -> str:
    """Return the text of docs/options.md."""
    hierarchies = [f for f in pympf.Preconditioner.fields() if f["group"] != "classic"]
    parts = (
        (INTRODUCTION, hierarchies),
        (FACTORIZATION, pympf.Params.fields()),
    )
    return "\n".join([*(f"{text}\n{_list(fields)}" for text, fields in parts), _reports()])


def _reports() -> str:
    """Return the section with the columns of the reports."""
    kinds = {"Report": "stages", "PreconditionerReport": "levels", "TableReport": "tables"}
    text = REPORTS
    for name, lines in kinds.items():
        report = getattr(pympf.lsh if name == "TableReport" else pympf, name)
        rows = [
            [f"`{column['name']}`", column["kind"], column["unit"], column["doc"]]
            for column in report.columns()
        ]
        text += f"\n### `{name}`: {lines}\n{_table(['column', 'kind', 'unit', 'meaning'], rows)}\n"
    return text


def _list(fields: list[dict[str, Any]]) -> str:
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
    sentences = "\n\n".join(f"#### {field['name']}\n{field['doc']}" for field in fields)
    return f"{summary}\n\n### What they do\n\n{sentences}\n"


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
    if field["name"] == "method":
        return "--preconditioner"
    name = field["name"].replace("_", "-")
    return f"--[no-]{name}" if field["kind"] == "bool" else f"--{name}"


def _table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(options_page(), encoding="utf-8")
