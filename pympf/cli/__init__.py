"""The command ``pympf``: factor, solve, compare, apply, info, convert, demo, explain, ...."""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from collections.abc import Sequence

import numpy as np

import pympf
from pympf.cli.codes import (
    BAD_INPUT,
    FILE_ERROR,
    INTERRUPTED,
    NO_MEMORY,
    NUMERICAL_FAILURE,
    PIPE_CLOSED,
    USAGE,
)
from pympf.cli.output import long_work
from pympf.cli.parser import hint, make_parser
from pympf.cli.process import give_up_stdout, ranks_of, silence
from pympf.la import LauncherError, Ranks, launched

__all__ = ["main"]


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
        give_up_stdout()
        return PIPE_CLOSED


def _main(arguments: Sequence[str] | None) -> int:
    place = launched()
    first = place is None or place[0] == 0
    with contextlib.nullcontext() if first else silence():
        args, unknown = make_parser(arguments).parse_known_args(arguments)
        if unknown:
            args.usage_error(f"unrecognized arguments: {' '.join(unknown)}{hint(unknown[0], args)}")
    args.ranks, args.first = Ranks(None), first
    try:
        args.ranks = ranks_of(args)
        args.first = args.first if args.ranks.comm is None else args.ranks.rank == 0
        if args.threads is not None:
            pympf.set_num_threads(args.threads)
        with long_work(args):
            code = int(args.run(args))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _failed(args, INTERRUPTED, "interrupted")
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up_stdout()
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
        if args.ranks.comm is None:
            raise
        return _failed(args, BAD_INPUT, error)  # of the core, on some rank


def _failed(args: argparse.Namespace, code: int, reason: object) -> int:
    if args.verbose >= 2:
        traceback.print_exc()
    args.ranks.end_unless_all_fail(f"pympf {args.command}: {reason}")
    if args.first:
        print(f"pympf {args.command}: {reason}", file=sys.stderr)
    return code
