"""Every symmetric matrix of the collection next to the tree (`../shared/data/matrices`), or where
there is none, of `data/`: factored with the defaults, and solved to 10⁻⁸ in at most 2000 iterations
with b = A x for a random x. The method is what `pympf.solve` chooses by itself: CG where the
diagonal of A and the eigenvalues of H are positive, else MINRES. "checks" is the largest deviation,
relative to ‖A‖_F, from what must hold exactly: QᵀQx = x, trace H = trace A, ‖A − F‖² = ‖A‖² − ‖H‖²,
⟨Mx, y⟩ = ⟨x, My⟩, and F from a file equal to F.
"""

import gzip
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np
import problems
import tables

import pympf
from pympf import io

TITLE = "Real matrices"

MOST = 2000
COLLECTION = measure.ROOT.parent / "shared/data/matrices"


def points(tiny: bool) -> list[dict[str, Any]]:
    own = tiny or not COLLECTION.is_dir()
    files = sorted((measure.ROOT / "data" if own else COLLECTION).rglob("*.mtx.gz"))
    return [{"file": measure.from_root(file)} for file in files if _is_symmetric(file)]


def _is_symmetric(file: Path) -> bool:
    with gzip.open(file, "rt") as stream:
        return stream.readline().split()[-1:] == ["symmetric"]


def run(file: str) -> dict[str, Any]:
    A = io.read_matrix(measure.ROOT / file)
    setup_s = measure.long_run_s(lambda: pympf.factorize(A), samples=5, budget_s=2)
    F = pympf.factorize(A)
    b = A @ problems.random_vector(A.shape[0])
    method = pympf.solve(A, b, preconditioner=F, maxiter=0).method
    return {
        "rows": A.shape[0],
        "nnz": A.nnz,
        "setup_s": setup_s,
        "kept_bytes": F.nbytes,
        "core_size": F.core_size,
        "relative_error": F.error(A),
        "relative_error_absolute": pympf.factorize(A, retire="absolute").error(A),
        "checks": _checks(A, F),
        "method": method,
        "solves": {name: _solve(A, b, method, name, F) for name in ("none", "jacobi", "mmf")},
    }


def _solve(A: Any, b: np.ndarray, method: str, name: str, F: pympf.Mmf) -> dict[str, Any]:
    solution = pympf.solve(
        A, b, method=method, preconditioner=F if name == "mmf" else name, maxiter=MOST
    )
    return {
        "iterations": solution.iterations,
        "converged": solution.converged,
        "reason": solution.reason,
        "true_residual": solution.true_residual if np.isfinite(solution.true_residual) else None,
        "wall_s": solution.solve_s,
    }


def _checks(A: Any, F: pympf.Mmf) -> dict[str, float]:
    n = A.shape[0]
    norm = np.linalg.norm(A.data) or 1.0
    x, y = problems.random_vector(n, 1), problems.random_vector(n, 2)
    M = F.positive_inverse()
    Mx, My = M @ x, M @ y
    H2 = np.sum(F.core().data ** 2) + np.sum(F.spectrum()[F.core_size :] ** 2)
    with tempfile.TemporaryDirectory() as folder:
        F.save(Path(folder) / "F.h5")
        loaded = pympf.load(Path(folder) / "F.h5")
    return {
        "orthogonal": float(
            np.linalg.norm(F.inverse_transform(F.transform(x)) - x) / np.linalg.norm(x)
        ),
        "trace": float(abs(F.trace() - A.diagonal().sum()) / norm),
        "norms": float(abs((F.error(A) * norm) ** 2 - (norm**2 - H2)) / norm**2),
        "symmetric": float(abs(Mx @ y - x @ My) / (np.linalg.norm(Mx) * np.linalg.norm(y) or 1.0)),
        "loaded": float(np.linalg.norm(loaded @ x - F @ x) / (np.linalg.norm(F @ x) or 1.0)),
    }


def render(rows: list[tables.Row]) -> str:
    header = (
        "matrix",
        "rows",
        "nnz",
        "core",
        "setup, ms",
        "kept B / nnz",
        "error",
        "error, absolute",
    )
    header += ("checks", "method", "none", "Jacobi", "MMF")
    return tables.markdown(header, [_line(row) for row in rows])


def _line(row: tables.Row) -> list[Any]:
    return [
        Path(row["file"]).name.removesuffix(".mtx.gz"),
        row["rows"],
        row["nnz"],
        row["core_size"],
        tables.milli(row["setup_s"]),
        row["kept_bytes"] / max(row["nnz"], 1),
        row["relative_error"],
        row["relative_error_absolute"],
        f"{max(row['checks'].values()):.0e}",
        row["method"],
        *(_count(row["solves"][name]) for name in ("none", "jacobi", "mmf")),
    ]


def _count(solve: dict[str, Any]) -> str:
    if solve["converged"]:
        return str(solve["iterations"])
    return f"> {MOST}" if solve["iterations"] >= MOST else f"stagnates at {solve['iterations']}"
