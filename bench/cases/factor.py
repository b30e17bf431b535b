"""Sparse direct factors: ours, with each backend, and the libraries as they come.

A system is factored and solved once, to a true residual of 10⁻⁸: plane Helmholtz problems
(five-point Laplacian − 0.05), Taylor–Hood elements for Stokes' equations in a driven cavity
(assembled with scikit-fem), and five KKT matrices of the collection next to the tree, with b = A x
for a random x. "pympf" is `preconditioner="direct"` with the backend that the analysis predicts to
take least time; the other columns name one. The peers run in the same run, each in a process of its
own: SciPy's `splu` by COLAMD and in symmetric mode by minimum degree, MUMPS through PETSc as it
comes and by AMD, PARDISO (`pypardiso`) for symmetric indefinite matrices. "before" is commit
452ac83, where PYMPF_BEFORE names the Python of an environment with it. Times are of the processor,
on one core, setup and solve in milliseconds; "ratio" is ours over the best peer's.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import problems
import scipy.sparse as sp
import solvers
import tables

from pympf import gallery, io
from pympf.comparison.system import System

TITLE = "Sparse direct factors"

LIMIT_S = 60.0
KKT = ("freeFlyingRobot_10", "hangGlider_3", "lowThrust_3", "reorientation_8", "tuma1")
COLLECTION = measure.ROOT.parent / "shared/data/matrices/indefinite"
BEFORE = "before"


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [{"kind": "Helmholtz", "n": 20, "threads": 1}, *_stokes_points(3)]
    kkt = [{"kind": "KKT", "matrix": name, "threads": 1} for name in KKT if _file(name).exists()]
    return (
        [{"kind": "Helmholtz", "n": n, "threads": 1} for n in (256, 512)] + _stokes_points(32) + kkt
    )


def _stokes_points(n: int) -> list[dict[str, Any]]:
    try:
        import skfem  # noqa: F401
    except ImportError:
        print("factor: Stokes' equations are left out, as scikit-fem is not installed")
        return []
    return [{"kind": "Stokes", "n": n, "threads": 1}]


def _file(name: str) -> Path:
    return COLLECTION / f"{name}.mtx.gz"


def run(**point: Any) -> dict[str, Any]:
    A = sp.csr_array(_matrix(**point))
    A.sort_indices()
    random = problems.random_vector(A.shape[0])
    b = A @ random if point["kind"] == "KKT" else random
    system = System(A, b, definite=False)
    found = {name: solvers.run(name, system, LIMIT_S) for name in solvers.DIRECT}
    if os.environ.get("PYMPF_BEFORE"):
        found[BEFORE] = _before(system)
    return {"unknowns": A.shape[0], "nnz": A.nnz, "solvers": found}


def _matrix(kind: str, threads: int, n: int = 0, matrix: str = "") -> Any:
    if kind == "KKT":
        return io.read_matrix(_file(matrix))
    if kind == "Stokes":
        return stokes(n)
    return gallery.shifted(gallery.poisson((n, n)), -0.05)


def stokes(cells: int) -> sp.csr_array:
    """Taylor-Hood elements on the unit square; a small mass fixes the pressure."""
    import skfem
    from skfem.helpers import ddot, div, grad

    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, cells + 1)] * 2)
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()), intorder=4)
    pressure = velocity.with_element(skfem.ElementTriP1())
    F = skfem.BilinearForm(lambda u, v, w: ddot(grad(u), grad(v))).assemble(velocity)
    B = skfem.BilinearForm(lambda u, q, w: -div(u) * q).assemble(velocity, pressure)
    C = skfem.BilinearForm(lambda p, q, w: 1e-6 * p * q).assemble(pressure)
    inner = velocity.complement_dofs(velocity.get_dofs())
    F, B = F[inner][:, inner], B[:, inner]
    A = sp.csr_array(sp.block_array([[F, B.T], [B, -C]]))
    return sp.csr_array((A + A.T) / 2)


# Run by another pympf, which may lack what this one has.
SCRIPT = """
import json, sys, time
import numpy as np, scipy.sparse as sp
import pympf
with np.load(sys.argv[1]) as file:
    A = sp.csr_array((file["data"], file["indices"], file["indptr"]))
    b = file["b"]
times = []
while len(times) < 3 and sum(times) < 6:
    start = time.process_time()
    solution = pympf.solve(A, b, preconditioner="direct", rtol=1e-8)
    times.append(time.process_time() - start)
left = float(np.linalg.norm(b - A @ solution.x) / np.linalg.norm(b))
found = {"total_s": float(np.median(times)), "iterations": solution.iterations,
         "true_residual": left, "choice": solution.choice}
print(json.dumps(found if left <= 2e-8 else found | {"failure": f"residual {left:.0e}"}))
"""


def _before(system: System) -> dict[str, Any]:
    A = system.A
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, data=A.data, indices=A.indices, indptr=A.indptr, b=system.b)
        file.flush()
        command = [os.environ["PYMPF_BEFORE"], "-c", SCRIPT, file.name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode != 0:
        return {"failure": done.stderr.strip().splitlines()[-1][:120]}
    return json.loads(done.stdout)


def render(rows: list[tables.Row]) -> str:
    names = [*solvers.DIRECT, BEFORE]
    header = ["system", "rows", "taken", *names, "ratio", "ratio before"]
    return tables.markdown(header, [_line(row, names) for row in rows])


def _line(row: tables.Row, names: list[str]) -> list[Any]:
    found = row["solvers"]
    best = min(
        (t for n in solvers.DIRECT_PEERS if (t := _total(found, n)) is not None), default=None
    )
    ours, before = _total(found, solvers.DIRECT_PYMPF), _total(found, BEFORE)
    return [
        row.get("matrix") or f"{row['kind']} {row['n']}²",
        row["unknowns"],
        _taken(found[solvers.DIRECT_PYMPF].get("choice", "")),
        *(_cell(found, name) for name in names),
        ours and best and ours / best,
        before and best and before / best,
    ]


def _total(found: dict[str, Any], name: str) -> float | None:
    one = found.get(name, {"failure": "not asked"})
    return None if "failure" in one else one["total_s"]


def _cell(found: dict[str, Any], name: str) -> Any:
    one = found.get(name)
    return one and (one.get("failure") or tables.milli(one["total_s"]))


def _taken(choice: str) -> str:
    return next((b for b in ("cholmod", "mumps", "superlu") if f"; {b}," in choice), "-")
