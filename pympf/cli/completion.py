"""The command ``pympf completion``: what a shell needs to complete commands, flags and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")
FILES = ("A", "FILE", "F.h5", "X", "OUT")
"""What arguments that name files are called in the usage."""


def completion(args: argparse.Namespace) -> int:
    """Print the script for a shell."""
    try:
        import shtab
    except ImportError as error:
        raise ImportError("completion needs shtab: pip install shtab") from error
    from pympf.cli.parser import make_parser

    parser = make_parser(("explain", "sketch"))  # with all commands of these two
    for action in _actions(parser):
        if action.choices is None and action.metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Go through the arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
