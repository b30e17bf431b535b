"""Matrices that are not symmetric: `pympf.solve` with its own choice, and its peers.

GMRES(30) from the right with PETSc's ILU(0), our ILUT(10⁻², 1), SuperLU's ILUTP (`spilu`), GAMG,
hypre's BoomerAMG and PyAMG's AIR, and MUMPS, to a true residual of 10⁻⁸ in at most 500 iterations.
Times are of the processor, on one core, setup and solve. "WU" are the multiply-adds of pympf's
setup (probes, products, incomplete factors, LU) and solve for each entry of A; bars of the issue:
12 iterations, 140 WU, complexity 2.5.

Convection and diffusion (upwind differences, random b), with the jumps of the Disc added, central
differences; I − αPᵀ of a walk on 30 000 points; every square asymmetric matrix of the collection
next to the tree, with b = A x for a random x.
"""

import gzip
from pathlib import Path
from typing import Any

import measure
import numpy as np
import problems
import scipy.sparse as sp
import solvers
import tables
from families import System

import pympf
from pympf import gallery, io

TITLE = "Matrices that are not symmetric"

SPEEDS = (1.0, 1e2, 1e3, 1e4, 1e5)
GRIDS = ((128, 2), (256, 2), (512, 2), (32, 3), (64, 3))
LIMIT_S = 60.0
COLLECTION = measure.ROOT.parent / "shared/data/matrices"


def points(tiny: bool) -> list[dict[str, Any]]:
    if tiny:
        return [_flow(12, 2, "recirculating", 100.0), {"kind": "walk", "n": 200, "alpha": 0.85}]
    flows = [
        _flow(n, d, flow, v)
        for n, d in GRIDS
        for flow in ("constant", "recirculating")
        for v in SPEEDS
    ]
    others = [{**_flow(256, 2, "recirculating", v), "kind": "disc"} for v in (1e2, 1e3, 1e4)]
    others += [{**_flow(128, 2, "recirculating", v), "kind": "central"} for v in (1e2, 1e3)]
    walks = [{"kind": "walk", "n": 30_000, "alpha": alpha} for alpha in (0.85, 0.99, 0.999)]
    files = sorted(COLLECTION.rglob("*.mtx.gz")) if COLLECTION.is_dir() else []
    real = [{"kind": "file", "file": measure.from_root(f)} for f in files if _is_general(f)]
    return flows + others + walks + real


def _flow(n: int, dimensions: int, flow: str, speed: float) -> dict[str, Any]:
    return {"kind": "flow", "n": n, "dimensions": dimensions, "flow": flow, "speed": speed}


def _is_general(file: Path) -> bool:
    """Tell whether a matrix is square and not stored as a symmetric one."""
    with gzip.open(file, "rt") as stream:
        banner = stream.readline()
        sizes = next(line for line in stream if not line.startswith("%")).split()
    return banner.split()[-1:] == ["general"] and sizes[0] == sizes[1]


def run(**point: Any) -> dict[str, Any]:
    A = sp.csr_array(_matrix(**point))
    A.sort_indices()
    A.indices, A.indptr = A.indices.astype(np.int32), A.indptr.astype(np.int32)  # PETSc's
    random = problems.random_vector(A.shape[0])
    b = A @ random if point["kind"] == "file" else random
    system = System(A, b, symmetric=False, maxiter=solvers.MOST_GMRES)
    found = {name: solvers.run(name, system, LIMIT_S) for name in solvers.GENERAL}
    solution = pympf.solve(A, system.b, maxiter=solvers.MOST_GMRES)
    report = solution.operator.report() if solution.operator else None
    bicgstab = pympf.solve(
        A, system.b, method="bicgstab", preconditioner=solution.operator or "none", maxiter=1000
    )
    work = report and (report.setup_work + solution.iterations * (report.work + A.nnz)) / A.nnz
    return {
        "unknowns": A.shape[0],
        "nnz": A.nnz,
        "solvers": found,
        "work": work,
        "operator_complexity": report and report.operator_complexity,
        "choice": solution.choice,
        "bicgstab_products": bicgstab.iterations if bicgstab.converged else None,
    }


def _matrix(kind: str, **point: Any) -> Any:
    if kind == "file":
        return io.read_matrix(measure.ROOT / point["file"])
    if kind == "walk":
        P = gallery.directed_neighbours(point["n"])
        return sp.eye_array(point["n"]) - point["alpha"] * P.T
    n, speed = point["n"], point["speed"]
    options = {"flow": point["flow"], "dimensions": point["dimensions"]}
    if kind == "central":
        options["differences"] = "central"
    A = gallery.convection_diffusion(n, speed, **options)
    if kind == "disc":
        diffusion = gallery.convection_diffusion(n, 0.0)
        A = gallery.disc(n) * (n + 1.0) ** 2 + (A - diffusion)
    return A


def render(rows: list[tables.Row]) -> str:
    header = ["matrix", "rows", "choice", "iterations", "BiCGStab", "WU", "complexity", "seconds"]
    peers = [name for name in solvers.GENERAL if name != solvers.PYMPF]
    return tables.markdown([*header, *peers], [_line(row, peers) for row in rows])


def _line(row: tables.Row, peers: list[str]) -> list[Any]:
    ours = row["solvers"][solvers.PYMPF]
    return [
        _name(row),
        row["unknowns"],
        row["choice"].split(":")[0],
        ours.get("failure") or ours["iterations"],
        row["bicgstab_products"],
        row["work"],
        row["operator_complexity"],
        ours.get("total_s"),
        *(_peer(row["solvers"][name]) for name in peers),
    ]


def _name(row: tables.Row) -> str:
    if row["kind"] == "file":
        return Path(row["file"]).name.removesuffix(".mtx.gz")
    if row["kind"] == "walk":
        return f"walk, α = {row['alpha']}"
    kind = "" if row["kind"] == "flow" else f", {row['kind']}"
    return f"{row['flow']}{kind}, {row['n']}^{row['dimensions']}, {row['speed']:g}"


def _peer(found: dict[str, Any]) -> str:
    if "failure" in found:
        return "×"
    return f"{found['iterations']} ({tables.text(float(found['total_s']))} s)"
