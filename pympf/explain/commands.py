"""The analyses of `pympf explain`: each has arguments, and gives a table.

To add one: a function that takes the parsed arguments and returns a `ResultTable`, another that
declares the arguments, and an `Analysis` in `ANALYSES`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pympf.explain.alignments.commands import (
    declare_align,
    declare_translator,
    run_align,
    run_translator,
)
from pympf.explain.integrated_gradients import METHODS, IntegratedGradients
from pympf.explain.result_table import ResultTable
from pympf.explain.tables.commands import TABLE_COMMANDS
from pympf.nets import BoundedNetwork
from pympf.nets.graph import network

__all__ = ["ANALYSES", "Analysis"]


class Analysis(NamedTuple):
    """A command of `pympf explain`.

    Parameters
    ----------
    name : str
        As it is typed.
    text : str
        One line for the help.
    declare : callable
        Adds its arguments to a parser.
    run : callable
        Maps the parsed arguments to a table.

    Examples
    --------
    >>> from pympf.explain.commands import ANALYSES
    >>> ANALYSES[0].name
    'attribute'
    """

    name: str
    text: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], ResultTable]


def _declare_attribute(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="F.h5", help="a network that BoundedNetwork.save wrote")
    parser.add_argument("input", metavar="X.npy", help="one input, or the rows of several")
    parser.add_argument("--baseline", metavar="FILE", help="an input of its shape (default: zeros)")
    parser.add_argument("--target", type=int, metavar="K", help="which output, from 0")
    parser.add_argument("--method", choices=METHODS, default="kinks", help="(default: kinks)")
    parser.add_argument("--n-steps", type=int, default=50, help="points of a fixed rule")
    parser.add_argument("--tol", type=float, default=1e-3, help="largest delta without a warning")
    parser.add_argument("--strict", action="store_true", help="a larger delta is an error")
    parser.add_argument("--top", type=int, default=10, help="inputs to list of each row")


def _run_attribute(args: argparse.Namespace) -> ResultTable:
    explain = IntegratedGradients(network(BoundedNetwork.load(args.network)))
    inputs = np.atleast_2d(np.load(args.input))
    baseline = None if args.baseline is None else np.load(args.baseline)
    rows = []
    for place, x in enumerate(inputs):
        result = explain.attribute(
            x,
            baseline,
            target=args.target,
            method=args.method,
            n_steps=args.n_steps,
            tol=args.tol,
            strict=args.strict,
        )
        largest = np.argsort(-np.abs(result.attributions), kind="stable")[: args.top]
        for k in largest:
            rows.append([place, int(k), float(x[k]), float(result.attributions[k]), result.delta])
    columns = ["row", "input", "value", "attribution", "delta"]
    return ResultTable("Integrated gradients", columns, rows)


ANALYSES: tuple[Analysis, ...] = (
    Analysis(
        "attribute",
        "attribute the output of a saved network to its inputs",
        _declare_attribute,
        _run_attribute,
    ),
    *(Analysis(*command) for command in TABLE_COMMANDS),
    Analysis(
        "translator",
        "train an encoder-decoder on a text in two languages",
        declare_translator,
        run_translator,
    ),
    Analysis("align", "link the words of a text in two languages", declare_align, run_align),
)
"""All analyses, in the order of the help."""
