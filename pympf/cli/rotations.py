"""What the commands do with approximations of nonsymmetric matrices and of inverses."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import pympf
from pympf import approx, io
from pympf.approx.compression import Trial, least_bytes, table_of_trials
from pympf.approx.factorize import SPARSIFY
from pympf.approx.spai import SOLVERS
from pympf.cli.output import print_report, table_of
from pympf.cli.process import check_is_not_read
from pympf.io.tree import value_of
from pympf.matching import checked

INVERSES = ("wspai", "iwspai")
FRACTIONS = (0.05, 0.1, 0.25, 0.5, 0.75)
"""Of the bytes of a matrix, what `compress` tries unless it is told."""
KINDS = ("mmf", "direct", "skew", "additive", *INVERSES)
CHOICES = {"sparsify": SPARSIFY, "solver": SOLVERS}
FLAGS: dict[str, tuple[tuple[str, ...], type, str]] = {
    "rotations": (("direct", "skew", "additive"), int, "how many"),
    "blocks": (("additive",), int, "4 x 4 blocks of the skew part"),
    "sparsify": (("direct",), str, "what H keeps outside the core"),
    "entries": (("direct",), int, "how many of them at most"),
    "drop": (("direct", "skew", "additive"), float, "norm that may be dropped, relative"),
    "max_fill": (("direct", "skew", "additive"), float, "entries for each of A that end the run"),
    "grid": (INVERSES, int, "points on each of 1 to 3 axes; all rows on one, if not given"),
    "wavelet_order": (INVERSES, int, "1 (Haar) to 10"),
    "wavelet_levels": (INVERSES, int, "on each axis"),
    "block": (("wspai",), int, "rows of a block of M"),
    "solver": (("iwspai",), str, "of the least squares"),
}
"""Parameters besides the core's size: for which kinds, of which type, and what they are."""
FUNCTIONS = ("solve", "multiply", "transform", "inverse_transform")


def factor(args: argparse.Namespace, A: sp.csr_array, params: dict[str, Any]) -> int:
    """Factor a matrix by rotations and save the factorization."""
    others = sorted(params.keys() - {"core_size"})
    if others:
        args.usage_error(f"{', '.join(map(_flag, others))}: only --kind mmf takes that")
    refuse_flags(args)
    given = {name: getattr(args, name) for name in FLAGS if hasattr(args, name)}
    F: Any
    if args.kind in INVERSES:
        if params:
            args.usage_error("--core-size: a factorization takes that, an approximate inverse not")
        F = _inverse(args, A, given)
    else:
        F = getattr(pympf, f"factorize_{args.kind}")(A, comm=args.ranks, **params, **given)
    F.save(args.output)
    report = F.report()
    print_report(args, {"matrix": args.matrix, "output": args.output, **report.as_dict()}, report)
    return 0


def _inverse(args: argparse.Namespace, A: sp.csr_array, given: dict[str, Any]) -> Any:
    _alone(args, args.kind)
    names = {"order": "wavelet_order", "levels": "wavelet_levels"}
    basis = {name: given.pop(flag) for name, flag in names.items() if flag in given}
    W = pympf.wavelets(given.pop("grid", A.shape[0]), **basis)
    return getattr(pympf, args.kind)(A, W, **given)


def preconditioner(args: argparse.Namespace) -> approx.SparseInverse:
    """Read a saved approximate inverse."""
    _alone(args, "solve")
    F = approx.load(args.factorization)
    if not isinstance(F, approx.SparseInverse):
        raise OSError(
            f"{args.factorization}: expected type 'mmf', {' or '.join(map(repr, INVERSES))}, "
            f"got type {F.kind!r}"
        )
    return F


def refuse_flags(args: argparse.Namespace) -> None:
    """Refuse a parameter that the kind asked for does not have."""
    for name, (kinds, _, _) in FLAGS.items():
        if hasattr(args, name) and args.kind not in kinds:
            args.usage_error(f"{_flag(name)}: only --kind {' or '.join(kinds)} takes that")


def compress(args: argparse.Namespace) -> int:
    """Approximate a matrix by numbers of bytes, and show what each kind reaches."""
    _alone(args, "compress")
    for path in (args.output, args.plot):
        if path is not None:
            io.check_output(path)
            check_is_not_read(args, path)
    options = {"key": args.key, "laplacian": args.laplacian, "shift": args.shift}
    A = checked(io.read_matrix(args.matrix, **options))
    full = min(12 * A.nnz + 4 * (A.shape[0] + 1), 8 * A.shape[0] * A.shape[1])
    sizes = _sizes(args, full, least_bytes(A))
    trials = approx.compression_curve(A, sizes)
    if args.output is not None:
        approx.compress(A, max(sizes)).save(args.output)
    if args.plot is not None:
        _plot(args.plot, trials, full)
    parts = []
    for limit in sorted({t.limit for t in trials}):
        best = sorted((t for t in trials if t.limit == limit), key=lambda t: (t.error, t.nbytes))
        parts.append(f"{limit} bytes ({limit / full:.3g} of the matrix)\n{table_of_trials(best)}")
    report = {"matrix": args.matrix, "matrix_bytes": full, "trials": [asdict(t) for t in trials]}
    print_report(args, report, "\n".join(parts))
    return 0


def is_file(path: str) -> bool:
    """Tell whether a file is a saved approximation."""
    if not path.lower().endswith((".h5", ".hdf5")):
        return False
    with io.open_hdf5(path) as file:
        return value_of(file.attrs.get("type", b"")) in approx._TYPES


def info(args: argparse.Namespace) -> None:
    """Describe a saved approximation."""
    F = approx.load(args.file)
    if isinstance(F, approx.Compressed):
        report = {"trial": asdict(F.trial), "trials": [asdict(t) for t in F.trials]}
        print_report(args, {"file": args.file, "type": F.kind, **report}, F.report())
    elif isinstance(F, approx.Wavelets):
        basis = {"grid": F.grid, "order": F.order, "levels": F.levels}
        print_report(args, {"file": args.file, "type": F.kind, **basis}, F)
    else:
        print_report(args, {"file": args.file, "type": F.kind, **F.report().as_dict()}, F.report())


def apply(args: argparse.Namespace) -> int:
    """Apply a saved approximation to a vector."""
    _alone(args, "apply")
    io.check_output(args.output, "vector")
    F = approx.load(args.factorization)
    names = {"solve": "solve", "multiply": "apply"}
    function: Any = getattr(F, names.get(args.function, ""), None)
    if not callable(function):
        allowed = [name for name, method in names.items() if hasattr(F, method)]
        args.usage_error(
            f"--function {args.function}: {args.factorization} is of kind {F.kind}; "
            f"allowed: {', '.join(allowed)}"
        )
    x = io.read_vector(args.vector, key=args.key)
    y = function(x)
    io.write_vector(args.output, y)
    report = {
        "factorization": args.factorization,
        "function": args.function,
        "norm_in": float(np.linalg.norm(x)),
        "norm_out": float(np.linalg.norm(y)),
        "output": args.output,
    }
    print_report(args, report, table_of(report))
    return 0


def _alone(args: argparse.Namespace, what: str) -> None:
    args.ranks.refuse_many(
        f"{what} of a nonsymmetric matrix, or of an inverse, works on one process",
        "start one process",
    )


def _sizes(args: argparse.Namespace, full: int, least: int) -> list[int]:
    """Return the numbers of bytes that are asked for, or those of FRACTIONS that hold an entry."""
    given = args.nbytes or [int(_share(args, f) * full) for f in args.fraction or ()]
    known = (int(fraction * full) for fraction in FRACTIONS)
    return given or [size for size in known if size >= least] or [max(least, full)]


def _share(args: argparse.Namespace, fraction: float) -> float:
    if not 0 < fraction <= 1:
        args.usage_error(f"--fraction {fraction}: expected numbers above 0 and up to 1")
    return fraction


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _plot(path: str, trials: list[Trial], full: int) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("--plot needs matplotlib: pip install 'pmmf[plot]'") from error
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="bytes, of those of the matrix", ylabel="‖A − F‖ / ‖A‖")
    for kind in sorted({t.kind for t in trials}):
        own = [t for t in trials if t.kind == kind]
        axes.plot([t.limit / full for t in own], [t.error for t in own], marker="o", label=kind)
    axes.set(xscale="log", ylim=(0, None))
    axes.legend()
    with io.atomic_write(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix.lower().lstrip("."))
