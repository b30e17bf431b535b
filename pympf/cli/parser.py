"""The flags of the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pympf
from pympf._options_of_solve import METHODS, PRECONDITIONERS, SIDES
from pympf.cli import commands as run
from pympf.cli import comparison, rotations
from pympf.cli.codes import EXIT_CODES
from pympf.cli.completion import SHELLS, completion
from pympf.la import checks
from pympf.precond import CLASSIC

FUNCTIONS = ("solve", "multiply", "sqrt", "inv_sqrt", "transform", "inverse_transform")


class Parser(argparse.ArgumentParser):
    """A parser that tells which command or word was meant, perhaps."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += checks.hint(value, map(str, action.choices or ()))
            raise


class _Version(argparse.Action):
    """Print what is there, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(pympf.show_config())
        parser.exit()


def make_parser(arguments: Sequence[str] | None) -> argparse.ArgumentParser:
    """Make the parser of all commands; of the analyses only where the arguments ask for one."""
    parser = Parser(
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
    for add in (
        _add_factor,
        _add_solve,
        _add_compare,
        _add_apply,
        _add_info,
        _add_convert,
        _add_compress,
        _add_demo,
        _add_completion,
    ):
        add(commands)
    given = sys.argv[1:] if arguments is None else arguments
    others = [*_add_explain(commands, given), *_add_sketch(commands, given)]
    for command in (*commands.choices.values(), *others):
        command.set_defaults(flags=[flag for a in command._actions for flag in a.option_strings])
    return parser


def hint(flag: str, args: argparse.Namespace) -> str:
    """Tell which flag was meant, perhaps."""
    return checks.hint(flag.partition("=")[0], args.flags)


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
    command = _add(commands, "factor", run.factor, "factor a matrix and save the factorization")
    _add_matrix(command, "matrix")
    command.add_argument(
        "-o", "--output", required=True, metavar="F.h5", help="where to save the factorization"
    )
    command.add_argument(
        "--kind",
        choices=rotations.KINDS,
        default="mmf",
        help="mmf: of a symmetric matrix; direct: P H Q^T of any; skew; additive: of both parts; "
        "wspai, iwspai: approximate inverses from wavelets",
    )
    _add_params(command, "parameters of the factorization", pympf.Params.fields())
    group = command.add_argument_group("parameters of the other kinds, besides --core-size")
    for name, (kinds, type_, text) in rotations.FLAGS.items():
        choices = rotations.CHOICES.get(name)
        group.add_argument(
            run.flag(name),
            type=type_,
            nargs="+" if name == "grid" else None,
            choices=choices,
            metavar=None if choices else "X",
            default=argparse.SUPPRESS,
            help=f"{text} ({', '.join(kinds)})",
        )


def _add_solve(commands: Any) -> None:
    command = _add(commands, "solve", run.solve, "solve A x = b by a preconditioned Krylov method")
    _add_matrix(command, "matrix")
    side = command.add_mutually_exclusive_group()
    side.add_argument("-b", metavar="FILE", help="the right-hand side, or a block of k columns")
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
    _add_method(command)
    _add_params(command, "parameters of the preconditioner", run.fields_of_solve("", "levels"))
    classic = run.fields_of_solve(CLASSIC)
    _add_params(command, "parameters of --preconditioner classic", classic)


def _add_method(command: argparse.ArgumentParser) -> None:
    command.add_argument("--method", choices=METHODS, default="auto")
    preconditioner = command.add_mutually_exclusive_group()
    preconditioner.add_argument(
        "--preconditioner",
        choices=PRECONDITIONERS,
        default="mmf",
        help="mmf: whichever promises less work; classic: that of 'factor'",
    )
    preconditioner.add_argument(
        "--factorization", metavar="F.h5", help="precondition by a saved factorization"
    )
    command.add_argument(
        "--plan",
        metavar="FILE",
        help="build what this plan says: the output of an earlier --json, and choose nothing",
    )
    command.add_argument(
        "--near-nullspace",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="vectors that the coarse levels keep, as columns",
    )
    command.add_argument(
        "--left-near-nullspace",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the same of the transpose, for a matrix that is not symmetric",
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
        "--side", choices=SIDES, default="right", help="of the preconditioner in GMRES"
    )


def _add_compare(commands: Any) -> None:
    text = "run every solver that is installed on A x = b, and say which one to take"
    command = _add(commands, "compare", comparison.run, text)
    _add_matrix(command, "matrix")
    comparison.declare(command, _positive, _plot_file)


def _add_apply(commands: Any) -> None:
    command = _add(commands, "apply", run.apply, "apply a saved factorization to a vector")
    command.add_argument("factorization", metavar="F.h5")
    command.add_argument("vector", metavar="X", help="the vector, or a block of vectors")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write it")
    command.add_argument("--function", choices=FUNCTIONS, default="solve")
    command.add_argument("--key", help="which vector of an HDF5 file")


def _add_info(commands: Any) -> None:
    command = _add(commands, "info", run.info, "describe a matrix or a saved factorization")
    _add_matrix(command, "file")


def _add_convert(commands: Any) -> None:
    command = _add(commands, "convert", run.convert, "convert a matrix or vector to another format")
    _add_matrix(command, "file")
    command.add_argument("output", metavar="OUT", help="the suffix names the format")
    command.add_argument(
        "--vector", action="store_true", help="convert a vector (the default for .npy)"
    )
    command.add_argument(
        "--index-bits", type=int, choices=(32, 64), default=32, help="integers of PETSc files"
    )
    command.add_argument(
        "--drop-to-power",
        type=int,
        metavar="SEED",
        help="drop rows and columns at random until a power of two is left, for wavelets",
    )


def _add_compress(commands: Any) -> None:
    text = "tell how well a matrix can be approximated by how many bytes"
    command = _add(commands, "compress", rotations.compress, text)
    _add_matrix(command, "matrix")
    size = command.add_mutually_exclusive_group()
    size.add_argument("--nbytes", type=_positive, nargs="+", metavar="N", help="numbers of bytes")
    size.add_argument(
        "--fraction",
        type=float,
        nargs="+",
        metavar="F",
        help="of the bytes of the matrix, by rows or dense, whichever is less (5, 10, 25, 50 and "
        "75 %%, as far as they hold an entry)",
    )
    command.add_argument(
        "-o", "--output", metavar="F.h5", help="where to save the best one of the last size"
    )
    command.add_argument(
        "--plot", type=_plot_file, metavar="FILE", help="where to draw it (.png, .svg or .pdf)"
    )


def _add_demo(commands: Any) -> None:
    command = _add(commands, "demo", run.demo, "segment a photograph by solving a large system")
    command.add_argument("--large", action="store_true", help="about two million unknowns")
    command.add_argument("--output", type=Path, metavar="DIR", help="where to write the pictures")


def _add_completion(commands: Any) -> None:
    text = "print what a shell needs to complete commands, flags and files"
    command = _add(commands, "completion", completion, text)
    command.add_argument("shell", choices=SHELLS, help="source <(pympf completion bash)")


def _add_explain(commands: Any, arguments: Sequence[str]) -> list[argparse.ArgumentParser]:
    text = "show what a network looked at"
    command = commands.add_parser("explain", help=text, description=f"{text.capitalize()}.")
    if "explain" not in arguments:
        return []
    from pympf.explain.commands import ANALYSES  # whose imports the other commands do without

    choices = command.add_subparsers(dest="analysis", required=True, metavar="ANALYSIS")
    for analysis in ANALYSES:
        parser = _add(choices, analysis.name, run.explain, analysis.text)
        parser.set_defaults(analyse=analysis.run)
        analysis.declare(parser)
    return list(choices.choices.values())


def _add_sketch(commands: Any, arguments: Sequence[str]) -> list[argparse.ArgumentParser]:
    text = "plan, keep and search sketches"
    command = commands.add_parser("sketch", help=text, description=f"{text.capitalize()}.")
    if "sketch" not in arguments:
        return []
    from pympf.cli import repository, sketch  # whose imports the other commands do without

    choices = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for made in (*sketch.COMMANDS, *repository.COMMANDS):
        parser = _add(choices, made.name, sketch.run, made.text)
        parser.set_defaults(sketch=made.run)
        made.declare(parser)
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
        group.add_argument(run.flag(field["name"]), **options)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {number}")
    return number


def _plot_file(text: str) -> str:
    if not text.lower().endswith((".png", ".svg", ".pdf")):
        raise argparse.ArgumentTypeError(f"expected a .png, .svg or .pdf file, got {text}")
    return text


def _history_file(text: str) -> str:
    if not text.lower().endswith((".csv", ".json")):
        raise argparse.ArgumentTypeError(f"expected a .csv or .json file, got {text}")
    return text
