"""MMF beside the sparse approximate inverses of the thesis's Tables 2.1 and 2.3: GMRES without
restarts to 10⁻⁸ in at most 1000 iterations, random b, residual b − Ax. A cell of iterations has
those of the thesis in brackets. WSPAI has blocks of 8 rows, filters of 8 taps, 6 levels in 1-D and
4 in 2-D and 3-D (3 on 8³); IWSPAI says its taps and levels, and solves its columns by QR, but for
the 2-D problems of 4096 rows by LSQR. "M/A" counts the entries of M for one of A. "classic" is
the thesis's preconditioner QᵀH⁻¹Q, "ours" `pympf.as_preconditioner(A)`; "bytes" are theirs for one
of A. Seconds are of the processor, one thread, setup + solve; in brackets both together as the
thesis has them, wall clock on 28 cores.

Figure 2.6: submatrices of a network (cond-mat-2005 in place of amazon0302: Laplacian + 1, rows at
random), wavelets on one axis of 4 taps and 6 levels; seconds as above, to set up. "two threads" is
how many times less wall time they take, the least of five runs each.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import problems
import scipy.sparse as sp
import tables

import pympf
from pympf import gallery, io

TITLE = "Wavelets beside MMF: tables 2.1 and 2.3, figures 2.5 and 2.6"

COLLECTION = measure.ROOT.parent / "shared/data/matrices"
MOST = 1000
NAMES = ("none", "WSPAI", "IWSPAI", "classic", "ours")
# Problem, rows: order and levels of IWSPAI; the thesis's iterations (none, WSPAI, IWSPAI, MMF), and
# its seconds (none; setup, solve of the others).
PUBLISHED: dict[tuple[str, int], tuple[tuple[int, int], tuple[Any, ...], tuple[Any, ...]]] = {
    ("1D Laplacian", 256): ((4, 6), (256, 46, 13, 10), (0.3, 0.78, 0.80, 0.02)),
    ("1D Laplacian", 512): ((4, 6), (512, 64, 13, 10), (1.35, 1.73, 1.73, 0.05)),
    ("1D Laplacian", 1024): ((4, 7), (1001, 93, 17, 13), (5.18, 5.45, 3.79, 0.09)),
    ("1D Laplacian", 2048): ((4, 8), (1001, 131, 17, 2), (7.80, 24.4, 9.9, 0.17)),
    ("2D Laplacian", 256): ((4, 4), (45, 33, 28, 8), (0.54, 21.0, 0.26, 0.09)),
    ("2D Laplacian", 1024): ((2, 3), (91, 41, 28, 8), (0.08, 3.90, 0.32, 0.12)),
    ("2D Laplacian", 4096): ((2, 4), (180, 59, 30, 13), (1.65, 371.0, 6.43, 0.47)),
    ("3D Laplacian", 512): ((2, 2), (28, 26, 28, 8), (0.01, 0.17, 0.16, 0.05)),
    ("3D Laplacian", 4096): ((1, 3), (55, 41, 30, 11), (0.17, 950.0, 6.13, 0.66)),
    ("2D Disc", 256): ((4, 4), (240, 256, 37, 13), (0.23, 0.48, 0.20, 0.03)),
    ("2D Disc", 1024): ((2, 3), (868, None, 24, 13), (2.67, None, 0.31, 0.14)),
    ("2D Disc", 4096): ((2, 4), (None, None, None, 13), (3.96, None, 3.27, 0.41)),
}
HISTORIES = (("2D Laplacian", 1024), ("2D Disc", 1024))
NETWORKS = (1024, 2048, 4096, 8192, 16384)


def points(tiny: bool) -> list[dict[str, Any]]:
    grids = [{"problem": p, "rows": n} for p, n in PUBLISHED if not tiny or n <= 256]
    return grids + [{"problem": "network", "rows": n} for n in ((256,) if tiny else NETWORKS)]


def run(problem: str, rows: int) -> dict[str, Any]:
    pympf.set_num_threads(1)
    return _network(rows) if problem == "network" else _grid(problem, rows)


def _grid(problem: str, rows: int) -> dict[str, Any]:
    A, _ = gallery.thesis_problem(problem, rows)
    axes = {"1": 1, "2": 2, "3": 3}[problem[0]]
    grid = (round(rows ** (1 / axes)),) * axes
    order, levels = PUBLISHED[problem, rows][0]
    W = pympf.wavelets(grid, order=order, levels=levels)
    most = 6 if axes == 1 else min(4, grid[0].bit_length() - 1)
    makers: dict[str, Callable[[], Any]] = {
        "none": lambda: "none",
        "WSPAI": lambda: pympf.wspai(A, pympf.wavelets(grid, order=4, levels=most), block=8),
        "IWSPAI": lambda: pympf.iwspai(A, W, solver="lsqr" if (axes, rows) == (2, 4096) else "qr"),
        "classic": lambda: pympf.factorize(A, **problems.PARAMS["defaults"]),
        "ours": lambda: pympf.as_preconditioner(A),
    }
    keep = (problem, rows) in HISTORIES
    return {"nnz": A.nnz, "found": {name: _found(A, make, keep) for name, make in makers.items()}}


def _found(A: Any, make: Callable[[], Any], keep: bool) -> dict[str, Any]:
    M, setup_s = _cpu_s(make)
    b = problems.random_vector(A.shape[0])
    options = {"method": "gmres", "restart": 0, "rtol": 1e-8, "maxiter": MOST}
    solution, solve_s = _cpu_s(lambda: pympf.solve(A, b, preconditioner=M, **options))
    fill = M.report().fill if isinstance(M, pympf.approx.SparseInverse) else None
    row = {
        "iterations": solution.iterations if solution.converged else None,
        "setup_s": setup_s,
        "solve_s": solve_s,
        "fill": fill,
        "bytes": _bytes(M) / (12 * A.nnz + 4 * (A.shape[0] + 1)),
    }
    if keep:
        residuals = np.asarray(solution.history)
        row["history"] = [float(f"{r:.3g}") for r in residuals / residuals[0]]
    return row


def _bytes(M: Any) -> int:
    if isinstance(M, str):
        return 0
    return M.nbytes if isinstance(M, pympf.Mmf) else M.report().as_dict().get("bytes", 0)


def _cpu_s(call: Callable[[], Any], samples: int = 3, budget_s: float = 3.0) -> tuple[Any, float]:
    """The result, and the least seconds of the processor of up to three calls."""
    taken: list[float] = []
    while len(taken) < samples and sum(taken) < budget_s:
        start = time.process_time()
        result = call()
        taken.append(time.process_time() - start)
    return result, min(taken)


def network(rows: int) -> sp.csr_array:
    """Laplacian + 1 of a part of a network, rows at random."""
    file = next(Path(COLLECTION).rglob("cond-mat-2005.mtx.gz"), None)
    G = gallery.barabasi_albert(2 * rows, m=4) if file is None else io.read_matrix(file)
    kept = np.sort(np.random.default_rng(0).permutation(G.shape[0])[:rows])
    W = sp.csr_array(G[kept][:, kept])
    L = sp.csr_array(sp.diags_array(abs(W).sum(axis=1) + 1) - W)
    L.eliminate_zeros()
    return L


def _network(rows: int) -> dict[str, Any]:
    A = network(rows)
    W = pympf.wavelets(rows, order=2, levels=6)
    makers: dict[str, Callable[[], Any]] = {
        "none": lambda: "none",
        "IWSPAI": lambda: pympf.iwspai(A, W),
        "IWSPAI, LSQR": lambda: pympf.iwspai(A, W, solver="lsqr"),
        "classic": lambda: pympf.factorize(A),
        "ours": lambda: pympf.as_preconditioner(A),
    }
    row = {"nnz": A.nnz, "found": {name: _found(A, make, False) for name, make in makers.items()}}
    for threads, name in ((1, "one_thread_s"), (2, "two_threads_s")):
        pympf.set_num_threads(threads)
        row[name] = min(pympf.iwspai(A, W).report().seconds for _ in range(5))
    return row


# ---- the page ------------------------------------------------------------------------------------


def render(rows: list[tables.Row]) -> str:
    grids = [row for row in rows if row["problem"] != "network"]
    networks = tables.only(rows, problem="network")
    parts = [("Table 2.1: iterations", _iterations(grids)), ("Table 2.3: seconds", _times(grids))]
    parts.append(("Figure 2.6: a network", _networks(networks)))
    return "\n\n".join(f"**{title}**\n\n{page}" for title, page in parts)


def _count(iterations: int | None) -> str:
    return "×" if iterations is None else str(iterations)


def _iterations(rows: list[tables.Row]) -> str:
    header = ("problem", "rows", "none", "WSPAI", "M/A", "IWSPAI", "taps, levels", "M/A")
    lines = []
    for row in rows:
        (order, levels), published, _ = PUBLISHED[row["problem"], row["rows"]]
        found = row["found"]
        counts = [
            f"{_count(found[name]['iterations'])} ({_count(thesis)})"
            for name, thesis in zip(NAMES, (*published, published[-1]), strict=True)
        ]
        size = [f"{found[name]['fill']:.1f}" for name in ("WSPAI", "IWSPAI")]
        line = [row["problem"], row["rows"], *counts[:2], size[0], counts[2]]
        line += [f"{2 * order}, {levels}", size[1]]
        for name, count in zip(NAMES[3:], counts[3:], strict=True):
            line += [count, f"{found[name]['bytes']:.1f}"]
        lines.append(line)
    return tables.markdown((*header, "classic", "bytes", "ours", "bytes"), lines)


def _times(rows: list[tables.Row]) -> str:
    lines = []
    for row in rows:
        _, _, thesis = PUBLISHED[row["problem"], row["rows"]]
        cells = [
            f"{row['found'][name]['setup_s']:.4f} + {row['found'][name]['solve_s']:.4f} "
            f"({tables.text(seconds)})"
            for name, seconds in zip(NAMES, (*thesis, thesis[-1]), strict=True)
        ]
        lines.append([row["problem"], row["rows"], *cells])
    return tables.markdown(("problem", "rows", *NAMES), lines)


def _networks(rows: list[tables.Row]) -> str:
    header = ("rows", "nnz", "none", "IWSPAI", "M/A", "setup, QR", "LSQR", "two threads, QR")
    lines = []
    for row in rows:
        found = row["found"]
        line = [row["rows"], row["nnz"], *(found[n]["iterations"] for n in ("none", "IWSPAI"))]
        line += [
            found["IWSPAI"]["fill"],
            *(found[n]["setup_s"] for n in ("IWSPAI", "IWSPAI, LSQR")),
        ]
        line.append(f"{row['one_thread_s'] / row['two_threads_s']:.2f} ×")
        for name in ("classic", "ours"):
            line += [found[name]["iterations"], found[name]["setup_s"]]
        lines.append(line)
    return tables.markdown((*header, "classic", "setup", "ours", "setup"), lines)


def draw(rows: list[tables.Row], folder: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    histories = [row for row in rows if (row["problem"], row["rows"]) in HISTORIES]
    figure = Figure(figsize=(5 * max(1, len(histories)), 3.5), layout="constrained")
    for k, row in enumerate(histories, 1):
        axes = figure.add_subplot(1, len(histories), k, yscale="log", xlabel="iteration")
        axes.set(title=f"{row['problem']}, {row['rows']} rows", ylabel="‖b − Ax‖ / ‖b‖")
        for name in NAMES:
            axes.plot(row["found"][name]["history"], label=name)
        axes.set_xlim(0, 120)
        axes.legend()
    figure.savefig(folder / "wavelets_residuals.png", dpi=100)

    networks = tables.only(rows, problem="network")
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    for k, (name, label) in enumerate((("rows", "rows"), ("nnz", "entries of A")), 1):
        axes = figure.add_subplot(1, 2, k, xscale="log", yscale="log", xlabel=label)
        axes.set_ylabel("setup, s of one core")
        for kind in ("IWSPAI", "IWSPAI, LSQR", "classic", "ours"):
            seconds = [row["found"][kind]["setup_s"] for row in networks]
            axes.plot([row[name] for row in networks], seconds, marker="o", label=kind)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(fontsize="small", loc="upper left", ncols=2)
        axes.set_ylim(top=20)
    figure.savefig(folder / "wavelets_time.png", dpi=100)
