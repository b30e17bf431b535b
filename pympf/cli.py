"""The command ``pympf``: factor, solve, apply, info, convert, demo, explain."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io as stdio
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

import pympf
from pympf import io
from pympf._mpi import (
    LauncherError,
    check_communicator,
    end_unless_all_fail,
    gather_rows,
    is_parallel,
    launched,
    on_all,
    scatter_rows,
)

NOT_CONVERGED, USAGE, BAD_INPUT, FILE_ERROR, NUMERICAL_FAILURE = 1, 2, 3, 4, 5
NO_MEMORY, INTERRUPTED, PIPE_CLOSED = 6, 130, 141

EXIT_CODES = """\
exit codes:
  0    success
  1    solve: stopped before the residual was small enough (results are written)
  2    wrong usage of the command line, or an optional package is missing
  3    bad input: a matrix, vector or parameter that cannot be used
  4    a file that cannot be read or written
  5    numerical failure: singular or not definite where it has to be
  6    not enough memory
  130  interrupted
  141  nobody reads standard output any more, as in `pympf info A.mtx | head -1`
"""

PARALLEL = ("factor", "solve", "apply")
"""Commands that mpirun may start on several processes."""

FUNCTIONS = ("solve", "multiply", "sqrt", "inv_sqrt", "transform", "inverse_transform")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Not collective.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the name of the command; by default the arguments of the process.

    Returns
    -------
    int
        The exit code; ``pympf --help`` lists them.

    Raises
    ------
    SystemExit
        After ``--help``, or with code 2 for wrong usage.

    Examples
    --------
    >>> from pympf.cli import main
    >>> main(["info", "no such file.mtx"])
    4
    """
    try:
        try:
            return _main(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _give_up_stdout()
        return PIPE_CLOSED


def _main(arguments: Sequence[str] | None) -> int:
    place = launched()
    first = place is None or place[0] == 0
    with contextlib.nullcontext() if first else _silence():
        args, unknown = _parser(arguments).parse_known_args(arguments)
        if unknown:
            args.usage_error(
                f"unrecognized arguments: {' '.join(unknown)}{_hint(unknown[0], args)}"
            )
    args.comm, args.first = None, first
    try:
        args.comm = _communicator(args)
        if args.comm is not None:
            args.first = args.comm.rank == 0
        if args.threads is not None:
            pympf.set_num_threads(args.threads)
        code = int(args.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _failed(args, INTERRUPTED, "interrupted")
    except BrokenPipeError:
        raise
    except OSError as error:
        _give_up_stdout()
        return _failed(args, FILE_ERROR, error)
    except np.linalg.LinAlgError as error:
        return _failed(args, NUMERICAL_FAILURE, error)
    except (ValueError, TypeError) as error:
        return _failed(args, BAD_INPUT, error)
    except MemoryError as error:
        return _failed(args, NO_MEMORY, f"not enough memory: {str(error) or 'nothing is written'}")
    except (ImportError, LauncherError) as error:  # says what to install
        return _failed(args, USAGE, error)
    except RuntimeError as error:
        if args.comm is None:
            raise
        return _failed(args, BAD_INPUT, error)  # of the core, on some rank


def _failed(args: argparse.Namespace, code: int, reason: object) -> int:
    if args.verbose >= 2:
        traceback.print_exc()
    if is_parallel(args.comm):
        end_unless_all_fail(args.comm, f"pympf {args.command}: {reason}")
    if args.first:
        print(f"pympf {args.command}: {reason}", file=sys.stderr)
    return code


# Several processes: the commands run on all, and the first one speaks.


def _communicator(args: argparse.Namespace) -> Any:
    """Return the communicator of the processes that a launcher has started; None for one."""
    place = launched()
    if not args.mpi and (place is None or place[1] == 1):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise LauncherError(
            "started as one of several processes, but there is no mpi4py: pip install mpi4py"
        ) from error
    check_communicator(MPI.COMM_WORLD)
    if MPI.COMM_WORLD.size == 1:
        return None
    if args.command not in PARALLEL:
        raise LauncherError(
            f"{args.command} runs on one process, this is a job of {MPI.COMM_WORLD.size}; commands "
            f"for several: {', '.join(PARALLEL)}"
        )
    return MPI.COMM_WORLD


@contextmanager
def _silence() -> Iterator[None]:
    """Print nothing: the first process says it for all."""
    nowhere = stdio.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def _give_up_stdout() -> None:
    """Drop what stdout cannot take (a closed pipe, a full disk): Python would try again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# The commands


def _factor(args: argparse.Namespace) -> int:
    with on_all(args.comm):
        io.check_output(args.output)
        if not _is_hdf5(args.output):
            raise OSError(f"{args.output}: a factorization is saved as HDF5; allowed: .h5 .hdf5")
    A = _read_matrix(args)
    params = _given_params(args, pympf.Params.fields())
    with _stages(args) as progress:
        F = pympf.factorize(A, progress=progress, **_ranks(args), **params)
    F.save(args.output)
    _report(
        args, {"matrix": args.matrix, "output": args.output, **F.report().as_dict()}, F.report()
    )
    return 0


def _solve(args: argparse.Namespace) -> int:
    params = _params_of_solve(args)
    with on_all(args.comm):
        if args.output is not None:
            io.check_output(args.output, "vector")
        if args.history is not None:
            io.check_output(args.history)
    A = _read_matrix(args)
    rows = [slice(0, A.shape[0])]
    given = args.preconditioner
    if args.factorization:
        wanted = A.shape[0] if is_parallel(args.comm) else None
        given = pympf.load(args.factorization, args.comm, rows=wanted)
    if "near_nullspace" in params:
        vectors = _read_vector(args, params["near_nullspace"])
        params["near_nullspace"] = _scattered(args, vectors, rows)
    with _stages(args) as progress, _iterations(args) as callback:
        solution = pympf.solve(
            A,
            _scattered(args, _right_hand_side(args, A.shape[1]), rows),
            **_ranks(args),
            method=args.method,
            preconditioner=given,
            rtol=args.rtol,
            atol=args.atol,
            maxiter=args.maxiter,
            restart=args.restart,
            side=args.side,
            callback=callback,
            progress=progress,
            **params,
        )
    if args.first and args.verbose and not args.quiet and solution.operator is not None:
        print(solution.operator.report(), file=sys.stderr)
    x = None if args.output is None else _gathered(args, solution.x, rows)
    with on_all(args.comm):
        if x is not None:
            labels = _labels(args) if io.is_table(args.output) else None
            io.write_vector(args.output, x, labels=labels)
        if args.first and args.history is not None:
            _write_history(args.history, solution.history)
    names = ("method", "preconditioner", "choice", "converged", "reason", "iterations")
    report = {
        "matrix": args.matrix,
        "rows": A.shape[1],
        "nnz": args.comm.allreduce(A.nnz) if is_parallel(args.comm) else A.nnz,
        **{
            name: getattr(solution, name)
            for name in (*names, "true_residual", "norm", "setup_s", "solve_s")
        },
    }
    _report(args, {**report, "history": solution.history}, _table(report))
    return 0 if solution.converged else NOT_CONVERGED


def _apply(args: argparse.Namespace) -> int:
    with on_all(args.comm):
        io.check_output(args.output, "vector")
    F = pympf.load(args.factorization, args.comm)
    x = _read_vector(args, args.vector, args.key)
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
    y = _gathered(args, function(_scattered(args, x, places)), places_out)
    with on_all(args.comm):
        if x is not None and y is not None:
            io.write_vector(args.output, y)
    report = {
        "factorization": args.factorization,
        "function": args.function,
        "norm_in": _norm(x),
        "norm_out": _norm(y),
        "output": args.output,
    }
    _report(args, report, _table(report))
    return 0


def _scattered(args: argparse.Namespace, x: Any, places: list[slice]) -> NDArray[Any]:
    """Give each rank its part of the vector of rank 0, where that lies in these places of its own.

    What all ranks have in the first place comes first in the vector, and so on.
    """
    if not is_parallel(args.comm):
        return x
    parts = []
    first = 0
    for place in places:
        own = place.stop - place.start
        total = args.comm.allreduce(own)
        part = None if x is None else x[first : first + total]
        parts.append(scatter_rows(args.comm, part, own))
        first += total
    with on_all(args.comm):
        if x is not None and len(x) != first:
            raise ValueError(f"x: expected {first} rows, got {len(x)}")
    return np.concatenate(parts)


def _gathered(args: argparse.Namespace, y: NDArray[Any], places: list[slice]) -> Any:
    """Do the inverse of `_scattered`: the vector on rank 0, None on the others."""
    if not is_parallel(args.comm):
        return y
    parts = [gather_rows(args.comm, y[place]) for place in places]
    return np.concatenate([part for part in parts if part is not None]) if args.first else None


def _read_vector(args: argparse.Namespace, path: str, key: str | None = None) -> Any:
    """Read a vector on rank 0; None on the others."""
    with on_all(args.comm):
        return io.read_vector(path, key=key) if args.first else None


def _labels(args: argparse.Namespace) -> NDArray[Any] | None:
    """Return the labels of the rows: those of the nodes, where the matrix is an edge list."""
    return io.read_labels(args.matrix) if io.has_labels(args.matrix) else None


def _norm(x: NDArray[Any] | None) -> float:
    return 0.0 if x is None else float(np.linalg.norm(x))


def _info(args: argparse.Namespace) -> int:
    if _is_factorization(args.file):
        report = pympf.load(args.file).report()
        _report(args, {"file": args.file, "type": "mmf", **report.as_dict()}, report)
    else:
        description = {"file": args.file, "type": "matrix", **_describe(_read_matrix(args))}
        _report(args, description, _table(description))
    return 0


def _convert(args: argparse.Namespace) -> int:
    vector = args.vector or any(name.lower().endswith(".npy") for name in (args.file, args.output))
    io.check_output(args.output, "vector" if vector else "matrix")
    if vector:
        x = io.read_vector(args.file, key=args.key)
        io.write_vector(args.output, x, index_bits=args.index_bits)
        report = {"file": args.file, "output": args.output, "shape": x.shape}
    else:
        A = _read_matrix(args)
        io.write_matrix(args.output, A, index_bits=args.index_bits)
        report = {"file": args.file, "output": args.output, "shape": A.shape, "nnz": A.nnz}
    _report(args, report, _table(report))
    return 0


def _demo(args: argparse.Namespace) -> int:
    from pympf import demo

    return demo.run(large=args.large, output=args.output, json=args.json, quiet=args.quiet)


# What they have in common


def _read_matrix(args: argparse.Namespace) -> sp.csr_array:
    path = getattr(args, "matrix", None) or args.file
    options = {"key": args.key, "laplacian": args.laplacian, "shift": args.shift}
    if is_parallel(args.comm):
        return io.read_rows(path, args.comm, **options)
    return io.read_matrix(path, **options)


def _ranks(args: argparse.Namespace) -> dict[str, Any]:
    return {} if args.comm is None else {"comm": args.comm}


def _given_params(args: argparse.Namespace, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters on the command line; the others keep the defaults of the core."""
    names = (field["name"] for field in fields)
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def _params_of_solve(args: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters for the preconditioner; wrong usage when it does not take them."""
    taker = None if args.factorization else args.preconditioner
    classic = _given_params(args, pympf.Params.fields())
    multilevel = _given_params(args, _fields_of_solve())
    for name in classic.keys() & multilevel.keys():  # both have it
        del (multilevel if taker == "classic" else classic)[name]
    for name in ("near_nullspace", "block_size"):
        if hasattr(args, name):
            multilevel[name] = getattr(args, name)
    if classic and taker != "classic":
        args.usage_error(f"{_flags(classic)}: only --preconditioner classic takes that")
    if multilevel and taker not in ("mmf", "multilevel", "ict"):
        args.usage_error(f"{_flags(multilevel)}: only --preconditioner mmf takes that")
    return classic | multilevel


def _fields_of_solve() -> list[dict[str, Any]]:
    """List the parameters of the preconditioner; --preconditioner stands for its method."""
    return [field for field in pympf.Preconditioner.fields() if field["name"] != "method"]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _flags(names: Iterable[str]) -> str:
    return ", ".join(map(_flag, names))


def _right_hand_side(args: argparse.Namespace, n: int) -> Any:
    """Return all of it on rank 0; None on the others."""
    if args.b is not None:
        with on_all(args.comm):
            labels = _labels(args) if args.first and io.is_table(args.b) else None
            return io.read_vector(args.b, labels=labels) if args.first else None
    if not args.first:
        return None
    return np.ones(n) if args.rhs == "ones" else np.random.default_rng(0).standard_normal(n)


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


def _write_history(path: str, history: Iterable[float]) -> None:
    residuals = [float(norm) for norm in history]
    text = stdio.StringIO()
    if path.lower().endswith(".json"):
        json.dump(residuals, text)
    else:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("iteration", "residual"))
        rows.writerows(enumerate(residuals))
    with io.atomic_write(path) as temporary:
        temporary.write_text(text.getvalue())


def _report(args: argparse.Namespace, report: dict[str, Any], table: object) -> None:
    """Print a report for machines if asked for, else for people unless they want quiet."""
    if not args.first:
        return
    if args.json:
        print(json.dumps(_plain(report), allow_nan=False))
    elif not args.quiet:
        # The name of a file may be any bytes, and a terminal takes some characters only.
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(str(table).encode(encoding, "backslashreplace").decode(encoding))


def _plain(value: Any) -> Any:
    """Turn NumPy's types into Python's, and numbers that JSON does not have into null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(report: dict[str, Any]) -> str:
    width = max(map(len, report))
    return "\n".join(f"{name.replace('_', ' '):{width}}  {_text(report[name])}" for name in report)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# Progress


@contextmanager
def _stages(args: argparse.Namespace) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a callback that prints the stages of a factorization."""
    with _lines(args.quiet or not args.first) as show:
        yield lambda stage: show(
            f"stage {stage['level']}: {stage['rows']} rows, {stage['nnz']} entries, "
            f"{stage['rotations']} rotations, {stage['seconds']:.2f} s"
        )


@contextmanager
def _iterations(args: argparse.Namespace) -> Iterator[Callable[..., None]]:
    """Give a callback that prints the iterations of a solver."""
    with _lines(args.quiet or args.verbose < 1 or not args.first) as show:
        yield lambda iteration, residual: show(f"iteration {iteration}: residual {residual:.3e}")


@contextmanager
def _lines(silent: bool) -> Iterator[Callable[[str], None]]:
    """Print lines on stderr; on a terminal each over the one before."""
    terminal, shown = sys.stderr.isatty(), False

    def show(line: str) -> None:
        nonlocal shown, silent
        if not silent:
            shown = True
            text = f"\r\x1b[K{line}" if terminal else f"{line}\n"
            try:
                print(text, end="", file=sys.stderr, flush=True)
            except BrokenPipeError:  # nobody reads on: the work goes on
                silent = True

    try:
        yield show
    finally:
        if shown and terminal:
            print(file=sys.stderr)


# What networks looked at


def _explain(args: argparse.Namespace) -> int:
    table = args.analyse(args)
    _report(args, {"title": table.title, "rows": table.records(), "notes": table.notes}, table)
    return 0


# The parser


class _Version(argparse.Action):
    """Print what is there, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(pympf.show_config())
        parser.exit()


def _parser(arguments: Sequence[str] | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pympf",
        description="Multiresolution factorization of sparse symmetric matrices, "
        "and what follows from it: solving, preconditioning, functions of a matrix.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the version and what it was built with"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_factor, _add_solve, _add_apply, _add_info, _add_convert, _add_demo):
        add(commands)
    analyses = _add_explain(commands, sys.argv[1:] if arguments is None else arguments)
    for command in (*commands.choices.values(), *analyses):
        command.set_defaults(flags=[flag for a in command._actions for flag in a.option_strings])
    return parser


def _hint(flag: str, args: argparse.Namespace) -> str:
    near = get_close_matches(flag.partition("=")[0], args.flags, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _add(commands: Any, name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run, usage_error=command.error)
    command.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    command.add_argument("--quiet", action="store_true", help="print no report and no progress")
    command.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="print every iteration; twice: also the traceback of an error",
    )
    command.add_argument(
        "--mpi",
        action="store_true",
        help="run on all processes of a launcher that does not show itself (mpirun does)",
    )
    command.add_argument(
        "--threads", type=_positive, metavar="N", help="number of threads (default: all cores)"
    )
    return command


def _add_factor(commands: Any) -> None:
    command = _add(commands, "factor", _factor, "factor a matrix and save the factorization")
    _add_matrix(command, "matrix")
    command.add_argument(
        "-o", "--output", required=True, metavar="F.h5", help="where to save the factorization"
    )
    _add_params(command, "parameters of the factorization", pympf.Params.fields())


def _add_solve(commands: Any) -> None:
    command = _add(commands, "solve", _solve, "solve A x = b by a preconditioned Krylov method")
    _add_matrix(command, "matrix")
    side = command.add_mutually_exclusive_group()
    side.add_argument("-b", metavar="FILE", help="the right-hand side")
    side.add_argument(
        "--rhs", choices=("ones", "random"), default="ones", help="a made right-hand side"
    )
    command.add_argument("-o", "--output", metavar="FILE", help="where to write x")
    command.add_argument(
        "--history",
        type=_history_file,
        metavar="FILE",
        help="where to write the residual norms (.csv or .json)",
    )
    command.add_argument(
        "--method", choices=("auto", "cg", "fcg", "minres", "gmres", "fgmres"), default="auto"
    )
    preconditioner = command.add_mutually_exclusive_group()
    preconditioner.add_argument(
        "--preconditioner",
        choices=("mmf", "multilevel", "ict", "classic", "jacobi", "none"),
        default="mmf",
        help="mmf: multilevel or ict, whichever promises less work; classic: that of 'factor'",
    )
    preconditioner.add_argument(
        "--factorization", metavar="F.h5", help="precondition by a saved factorization"
    )
    command.add_argument(
        "--near-nullspace",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="vectors that the coarse levels keep, as columns",
    )
    command.add_argument(
        "--block-size",
        type=_positive,
        default=argparse.SUPPRESS,
        help="unknowns of a node, next to each other",
    )
    command.add_argument(
        "--rtol", type=float, help="relative tolerance of the residual (1e-8; float32: 1e-5)"
    )
    command.add_argument(
        "--atol", type=float, default=0.0, help="absolute tolerance of the residual"
    )
    command.add_argument("--maxiter", type=_positive, help="largest number of iterations")
    command.add_argument("--restart", type=int, default=30, help="m of GMRES(m); 0: no restart")
    command.add_argument(
        "--side", choices=("right", "left"), default="right", help="of the preconditioner in GMRES"
    )
    _add_params(command, "parameters of the preconditioner", _fields_of_solve())
    there = {field["name"] for field in _fields_of_solve()}
    classic = [field for field in pympf.Params.fields() if field["name"] not in there]
    _add_params(command, "parameters of --preconditioner classic", classic)


def _add_apply(commands: Any) -> None:
    command = _add(commands, "apply", _apply, "apply a saved factorization to a vector")
    command.add_argument("factorization", metavar="F.h5")
    command.add_argument("vector", metavar="X", help="the vector, or a block of vectors")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    command.add_argument("--function", choices=FUNCTIONS, default="solve")
    command.add_argument("--key", help="which vector of an HDF5 file")


def _add_info(commands: Any) -> None:
    command = _add(commands, "info", _info, "describe a matrix or a saved factorization")
    _add_matrix(command, "file")


def _add_convert(commands: Any) -> None:
    command = _add(commands, "convert", _convert, "convert a matrix or vector to another format")
    _add_matrix(command, "file")
    command.add_argument("output", metavar="OUT", help="the suffix names the format")
    command.add_argument(
        "--vector", action="store_true", help="convert a vector (the default for .npy)"
    )
    command.add_argument(
        "--index-bits", type=int, choices=(32, 64), default=32, help="integers of PETSc files"
    )


def _add_demo(commands: Any) -> None:
    command = _add(commands, "demo", _demo, "segment a photograph by solving a large system")
    command.add_argument("--large", action="store_true", help="about two million unknowns")
    command.add_argument("--output", type=Path, metavar="DIR", help="where to write the pictures")


def _add_explain(commands: Any, arguments: Sequence[str]) -> list[argparse.ArgumentParser]:
    text = "show what a network looked at"
    command = commands.add_parser("explain", help=text, description=f"{text.capitalize()}.")
    if "explain" not in arguments:
        return []
    from pympf.explain.commands import ANALYSES  # whose imports the other commands do without

    choices = command.add_subparsers(dest="analysis", required=True, metavar="ANALYSIS")
    for analysis in ANALYSES:
        parser = _add(choices, analysis.name, _explain, analysis.text)
        parser.set_defaults(analyse=analysis.run)
        analysis.declare(parser)
    return list(choices.choices.values())


def _add_matrix(command: argparse.ArgumentParser, name: str) -> None:
    command.add_argument(name, metavar="A", help="the suffix names the format")
    command.add_argument("--key", help="which matrix of a .mat or HDF5 file")
    command.add_argument(
        "--laplacian", action="store_true", help="take D - W of the adjacency matrix W"
    )
    command.add_argument("--shift", type=float, default=0.0, help="added to the diagonal")


def _add_params(command: argparse.ArgumentParser, title: str, fields: list[dict[str, Any]]) -> None:
    group = command.add_argument_group(title)
    for field in fields:
        options: dict[str, Any] = {
            "dest": field["name"],
            "default": argparse.SUPPRESS,
            "help": f"{field['doc']} (default: {field['default']})".replace("%", "%%"),
        }
        if field["kind"] == "bool":
            options["action"] = argparse.BooleanOptionalAction
        elif field["kind"] == "choice":
            options["choices"] = field["choices"]
        else:
            options |= {"type": int if field["kind"] == "int" else float, "metavar": "X"}
        group.add_argument(_flag(field["name"]), **options)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {number}")
    return number


def _history_file(text: str) -> str:
    if not text.lower().endswith((".csv", ".json")):
        raise argparse.ArgumentTypeError(f"expected a .csv or .json file, got {text}")
    return text
