"""The commands of `pympf sketch`: each has arguments, and gives a report.

To add one: a function that maps the parsed arguments to a dictionary, another that declares the
arguments, and a `Command` in `COMMANDS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from pympf.cli.output import print_report, table_of
from pympf.sketch import plan
from pympf.sketch.recovery import NOISE

__all__ = ["COMMANDS", "Command", "run"]


class Command(NamedTuple):
    """A command of `pympf sketch`: its name, a line for the help, its arguments, what it does."""

    name: str
    text: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], dict[str, Any]]


def run(args: argparse.Namespace) -> int:
    """Run the command that was asked for and print its report."""
    report = args.sketch(args)
    print_report(args, report, table_of(report))
    return 0


def _declare_plan(parser: argparse.ArgumentParser) -> None:
    number: dict[str, Any] = {"type": float, "metavar": "X"}
    count: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--error", required=True, **number, help="largest error of an attribute")
    parser.add_argument("--probability", default=0.99, **number, help="with which it is kept")
    parser.add_argument("--objects", default=4, **count, help="of equal weight, in one sketch")
    parser.add_argument(
        "--depth", default=2, **count, help="of the objects; 2: inputs of the output"
    )
    parser.add_argument("--attributes", default=64, **count, help="of an object")
    parser.add_argument("--modules", **count, help="by default as many as objects")
    parser.add_argument("--estimator", choices=tuple(NOISE["block"]), help="by default own")
    parser.add_argument("--family", choices=tuple(NOISE), default="block", help="of the matrices")


def _plan(args: argparse.Namespace) -> dict[str, Any]:
    names = ("attributes", "modules", "estimator", "family")
    how = {name: getattr(args, name) for name in names}
    return plan(args.error, args.probability, args.objects, args.depth, **how).as_dict()


COMMANDS = (
    Command("plan", "choose the sizes of a sketch and say what they cost", _declare_plan, _plan),
)
