"""The command ``pympf compare``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import pympf
from pympf import io
from pympf.cli.codes import NOT_CONVERGED
from pympf.cli.commands import read_matrix
from pympf.cli.output import lines_on_stderr, print_report
from pympf.cli.process import check_is_not_read, read_vector
from pympf.comparison import Trial
from pympf.comparison.timing import CLOCKS


def declare(
    command: argparse.ArgumentParser, count: Callable[[str], int], picture: Callable[[str], str]
) -> None:
    """Declare its flags."""
    side = command.add_mutually_exclusive_group()
    side.add_argument("-b", metavar="FILE", help="the right-hand side")
    side.add_argument(
        "--rhs",
        choices=("solvable", "ones", "random"),
        default="solvable",
        help="a made right-hand side; solvable: A x of a random x",
    )
    command.add_argument(
        "--solvers",
        nargs="+",
        metavar="NAME",
        help="names, first words of names, or module:function of your own (default: all)",
    )
    command.add_argument(
        "--limit", type=float, default=60.0, metavar="S", help="seconds for each solver"
    )
    command.add_argument("--rtol", type=float, default=1e-8, help="relative residual to reach")
    command.add_argument("--maxiter", type=count, default=10_000, help="most iterations")
    command.add_argument("--runs", type=count, default=3, help="times are medians of so many runs")
    command.add_argument(
        "--solves", type=count, default=1, metavar="K", help="right-hand sides for each setup"
    )
    command.add_argument(
        "--near-nullspace", metavar="FILE", help="vectors for all multigrid solvers, as columns"
    )
    command.add_argument("--block-size", type=count, default=1, help="unknowns of a node")
    command.add_argument(
        "--definite",
        action=argparse.BooleanOptionalAction,
        help="whether the matrix is positive definite, if you know",
    )
    command.add_argument(
        "--clock",
        choices=tuple(CLOCKS),
        default="wall",
        help="processor: for machines with other work, with --threads 1",
    )
    command.add_argument(
        "--plot", type=picture, metavar="FILE", help="where to draw it (.png, .svg or .pdf)"
    )


def run(args: argparse.Namespace) -> int:
    """Compare the solvers; NOT_CONVERGED where nobody solves the system."""
    if args.plot is not None:
        io.check_output(args.plot)
        check_is_not_read(args, args.plot)
    A = read_matrix(args)
    vectors = args.near_nullspace and read_vector(args, args.near_nullspace)
    with lines_on_stderr(args.quiet) as show:

        def progress(trial: Trial) -> None:
            if trial.verdict != "not suited":
                detail = f": {trial.detail}" if trial.detail else ""
                seconds = "" if trial.total_s is None else f", {trial.total_s:.3g} s"
                show(f"{trial.solver}: {trial.verdict}{detail}{seconds}")

        comparison = pympf.compare(
            A,
            _right_hand_side(args, A.shape[0]),
            solvers=args.solvers,
            limit_s=args.limit,
            rtol=args.rtol,
            maxiter=args.maxiter,
            runs=args.runs,
            solves=args.solves,
            threads=args.threads,
            near_nullspace=vectors,
            block_size=args.block_size,
            definite=args.definite,
            clock=args.clock,
            progress=progress,
        )
    if args.plot is not None:
        comparison.plot(args.plot)
    print_report(args, {"file": args.matrix, **comparison.as_dict()}, comparison)
    return 0 if comparison.best else NOT_CONVERGED


def _right_hand_side(args: argparse.Namespace, n: int) -> np.ndarray | None:
    if args.b is not None:
        vector: np.ndarray = read_vector(args, args.b)
        return vector
    if args.rhs == "random":
        return np.random.default_rng(0).standard_normal(n)
    return np.ones(n) if args.rhs == "ones" else None
