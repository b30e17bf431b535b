"""What the commands do."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

import pympf
from pympf import approx, io
from pympf._options_of_solve import METHOD_OF
from pympf.cli import rotations
from pympf.cli.codes import NOT_CONVERGED
from pympf.cli.output import iterations, print_report, stages, table_of, write_history
from pympf.cli.process import check_is_not_read, gathered, read_vector, scattered
from pympf.precond import CLASSIC


def factor(args: argparse.Namespace) -> int:
    """Factor a matrix and save the factorization."""
    with args.ranks.guard():
        io.check_output(args.output)
        if not _is_hdf5(args.output):
            raise OSError(f"{args.output}: a factorization is saved as HDF5; allowed: .h5 .hdf5")
        check_is_not_read(args, args.output)
    A = read_matrix(args)
    params = _given_params(args, pympf.Params.fields())
    if args.kind != "mmf":
        return rotations.factor(args, A, params)
    rotations.refuse_flags(args)
    with stages(args) as progress:
        F = pympf.factorize(A, comm=args.ranks, progress=progress, **params)
    F.save(args.output)
    print_report(
        args, {"matrix": args.matrix, "output": args.output, **F.report().as_dict()}, F.report()
    )
    return 0


def solve(args: argparse.Namespace) -> int:
    """Solve a system; NOT_CONVERGED where the residual stays too large."""
    params = _params_of_solve(args)
    with args.ranks.guard():
        if args.output is not None:
            io.check_output(args.output, "vector")
            check_is_not_read(args, args.output)
        if args.history is not None:
            io.check_output(args.history)
            check_is_not_read(args, args.history)
    A = read_matrix(args)
    rows = [slice(0, A.shape[0])]
    solution = _solution(args, A, rows, params)
    if args.first and args.verbose and not args.quiet and solution.operator is not None:
        print(solution.operator.report(), file=sys.stderr)
    x = None if args.output is None else gathered(args, solution.x, rows)
    with args.ranks.guard():
        if x is not None:
            labels = _labels(args) if io.is_table(args.output) else None
            io.write_vector(args.output, x, labels=labels)
        if args.first and args.history is not None:
            write_history(args.history, _history_of(solution))
    report = {
        "matrix": args.matrix,
        "rows": A.shape[1],
        "nnz": args.ranks.sum(A.nnz),
        **_report_of(solution),
    }
    details = {"plan": _plan_of(solution), "history": _history_of(solution)}
    print_report(args, {**report, **details}, table_of(report))
    return 0 if solution.converged else NOT_CONVERGED


def _report_of(solution: pympf.Solution | pympf.Solutions) -> dict[str, Any]:
    """Return what came of a solve; of a block, a list over its columns where they may differ."""
    same = ("method", "preconditioner", "choice")
    each = ("reason", "iterations", "true_residual", "norm")
    if isinstance(solution, pympf.Solution):
        found = {name: getattr(solution, name) for name in (*same, "converged", *each)}
    else:
        found = {
            "columns": len(solution),
            **{name: getattr(solution[0], name) for name in same},
            "converged": solution.converged,
            **{name: [getattr(column, name) for column in solution] for name in each},
        }
    return {**found, "setup_s": solution.setup_s, "solve_s": solution.solve_s}


def _plan_of(solution: pympf.Solution | pympf.Solutions) -> dict[str, Any] | None:
    """Return what was chosen, as data; of a block, for its first column."""
    plan = (solution if isinstance(solution, pympf.Solution) else solution[0]).plan
    return None if plan is None else plan.as_dict()


def _given_plan(args: argparse.Namespace) -> pympf.Plan | None:
    """Read a plan, or the report of an earlier solve that has one."""
    if args.plan is None:
        return None
    with args.ranks.guard():
        try:
            return pympf.Plan.from_json(Path(args.plan).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{args.plan}: {error}") from None


def _history_of(solution: pympf.Solution | pympf.Solutions) -> Any:
    """Return the residual norms; of a block, those of each column."""
    if isinstance(solution, pympf.Solution):
        return solution.history
    return [column.history for column in solution]


def _solution(
    args: argparse.Namespace, A: sp.csr_array, rows: list[slice], params: dict[str, Any]
) -> pympf.Solution | pympf.Solutions:
    given = args.preconditioner
    if args.factorization:
        if rotations.is_file(args.factorization):
            given = rotations.preconditioner(args)
        else:
            wanted = A.shape[0] if args.ranks.size > 1 else None
            given = pympf.load(args.factorization, args.ranks, rows=wanted)
    for name in ("near_nullspace", "left_near_nullspace"):
        if name in params:
            params[name] = scattered(args, read_vector(args, params[name]), rows)
    plan = _given_plan(args)
    with stages(args) as progress, iterations(args) as callback:
        return pympf.solve(
            A,
            scattered(args, _right_hand_side(args, A.shape[1]), rows),
            comm=args.ranks,
            method=args.method,
            preconditioner=given,
            rtol=args.rtol,
            atol=args.atol,
            maxiter=args.maxiter,
            restart=args.restart,
            side=args.side,
            callback=callback,
            progress=progress,
            plan=plan,
            **params,
        )


def apply(args: argparse.Namespace) -> int:
    """Apply a saved factorization to a vector."""
    with args.ranks.guard():
        io.check_output(args.output, "vector")
    if rotations.is_file(args.factorization):
        return rotations.apply(args)
    F = pympf.load(args.factorization, args.ranks)
    x = read_vector(args, args.vector, args.key)
    rows = [slice(0, len(F.rows))]
    coefficients = [F.level_slice(level) for level in (0, *range(F.levels, 0, -1))]
    function, places, places_out = {
        "solve": (F.solve, rows, rows),
        "multiply": (F.apply, rows, rows),
        "sqrt": (lambda v: F.sqrt().apply(v), rows, rows),
        "inv_sqrt": (lambda v: F.inv_sqrt().apply(v), rows, rows),
        "transform": (F.transform, rows, coefficients),
        "inverse_transform": (F.inverse_transform, coefficients, rows),
    }[args.function]
    y = gathered(args, function(scattered(args, x, places)), places_out)
    with args.ranks.guard():
        if x is not None and y is not None:
            io.write_vector(args.output, y)
    report = {
        "factorization": args.factorization,
        "function": args.function,
        "norm_in": _norm(x),
        "norm_out": _norm(y),
        "output": args.output,
    }
    print_report(args, report, table_of(report))
    return 0


def info(args: argparse.Namespace) -> int:
    """Describe a matrix or a factorization."""
    if rotations.is_file(args.file):
        rotations.info(args)
    elif _is_factorization(args.file):
        report = pympf.load(args.file).report()
        print_report(args, {"file": args.file, "type": "mmf", **report.as_dict()}, report)
    else:
        description = {"file": args.file, "type": "matrix", **_describe(read_matrix(args))}
        print_report(args, description, table_of(description))
    return 0


def convert(args: argparse.Namespace) -> int:
    """Write a matrix or vector in another format."""
    vector = args.vector or any(name.lower().endswith(".npy") for name in (args.file, args.output))
    if vector and args.drop_to_power is not None:
        args.usage_error("--drop-to-power: rows of a matrix are dropped, not those of a vector")
    io.check_output(args.output, "vector" if vector else "matrix")
    if vector:
        x = io.read_vector(args.file, key=args.key)
        io.write_vector(args.output, x, index_bits=args.index_bits)
        report = {"file": args.file, "output": args.output, "shape": x.shape}
    else:
        A = read_matrix(args)
        if args.drop_to_power is not None:
            A, _ = approx.drop_to_power(A, args.drop_to_power)
        io.write_matrix(args.output, A, index_bits=args.index_bits)
        report = {"file": args.file, "output": args.output, "shape": A.shape, "nnz": A.nnz}
    print_report(args, report, table_of(report))
    return 0


def demo(args: argparse.Namespace) -> int:
    """Segment a photograph."""
    from pympf import demo

    return demo.run(large=args.large, output=args.output, json=args.json, quiet=args.quiet)


def explain(args: argparse.Namespace) -> int:
    """Show what a network looked at."""
    table = args.analyse(args)
    print_report(args, {"title": table.title, "rows": table.records(), "notes": table.notes}, table)
    return 0


def read_matrix(args: argparse.Namespace) -> sp.csr_array:
    """Read the matrix of a command, each rank its rows."""
    path = getattr(args, "matrix", None) or args.file
    options = {"key": args.key, "laplacian": args.laplacian, "shift": args.shift}
    return io.read_rows(path, args.ranks, **options)


def _right_hand_side(args: argparse.Namespace, n: int) -> Any:
    """Return all of it on rank 0; None on the others."""
    if args.b is not None:
        with args.ranks.guard():
            labels = _labels(args) if args.first and io.is_table(args.b) else None
            return io.read_vector(args.b, labels=labels) if args.first else None
    if not args.first:
        return None
    return np.ones(n) if args.rhs == "ones" else np.random.default_rng(0).standard_normal(n)


def _labels(args: argparse.Namespace) -> NDArray[Any] | None:
    """Return the labels of the rows: those of the nodes, where the matrix is an edge list."""
    return io.read_labels(args.matrix) if io.has_labels(args.matrix) else None


def _given_params(args: argparse.Namespace, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters on the command line; the others keep the defaults of the core."""
    names = (field["name"] for field in fields)
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def _params_of_solve(args: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters for the preconditioner; wrong usage when it does not take them."""
    taker = None if args.factorization else args.preconditioner
    given = {group: _given_params(args, fields_of_solve(group)) for group in ("levels", CLASSIC)}
    shared = _given_params(args, fields_of_solve(""))
    for name in ("near_nullspace", "left_near_nullspace", "block_size"):
        if hasattr(args, name):
            given["levels"][name] = getattr(args, name)
    if given[CLASSIC] and taker != CLASSIC:
        args.usage_error(f"{_flags(given[CLASSIC])}: only --preconditioner classic takes that")
    if taker not in METHOD_OF:
        given["levels"] |= shared
    if given["levels"] and (taker == CLASSIC or taker not in METHOD_OF):
        args.usage_error(f"{_flags(given['levels'])}: only --preconditioner mmf takes that")
    return given["levels"] | given[CLASSIC] | shared


def fields_of_solve(*groups: str) -> list[dict[str, Any]]:
    """List the parameters of the preconditioner; --preconditioner stands for its method."""
    fields = pympf.Preconditioner.fields()
    return [field for field in fields if field["name"] != "method" and field["group"] in groups]


def flag(name: str) -> str:
    """Return the flag of a parameter."""
    return f"--{name.replace('_', '-')}"


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(flag, names))


def _is_hdf5(path: str) -> bool:
    return path.lower().endswith((".h5", ".hdf5"))


def _is_factorization(path: str) -> bool:
    if not _is_hdf5(path):
        return False
    with io.open_hdf5(path) as file:
        type_ = file.attrs.get("type", b"")
        return (type_.decode() if isinstance(type_, bytes) else str(type_)) == "mmf"


def _describe(A: sp.csr_array) -> dict[str, Any]:
    row_sizes = np.diff(A.indptr)
    report: dict[str, Any] = {
        "rows": A.shape[0],
        "columns": A.shape[1],
        "nnz": A.nnz,
        "dtype": str(A.dtype),
        "nnz_per_row_min": int(row_sizes.min(initial=A.nnz)),
        "nnz_per_row_mean": A.nnz / max(A.shape[0], 1),
        "nnz_per_row_max": int(row_sizes.max(initial=0)),
        "empty_rows": int(np.count_nonzero(row_sizes == 0)),
        "largest_entry": float(abs(A.data).max(initial=0)),
        "finite": bool(np.isfinite(A.data).all()),
        "frobenius_norm": float(np.linalg.norm(A.data)),
    }
    if A.shape[0] == A.shape[1]:
        diagonal = A.diagonal()
        report |= {
            "asymmetry": float(abs((A - A.T).data).max(initial=0)),
            "diagonal_min": float(diagonal.min(initial=math.inf)),
            "diagonal_max": float(diagonal.max(initial=-math.inf)),
            "connected_components": int(sp.csgraph.connected_components(A, directed=False)[0]),
        }
    return report


def _norm(x: NDArray[Any] | None) -> float:
    return 0.0 if x is None else float(np.linalg.norm(x))
