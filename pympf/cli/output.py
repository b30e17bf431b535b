"""What the commands print: reports for people and machines, and progress."""

from __future__ import annotations

import argparse
import csv
import io as stdio
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from pympf import io
from pympf._progress import PATIENCE_S, logger, set_progress


def print_report(args: argparse.Namespace, report: dict[str, Any], table: object) -> None:
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


def table_of(report: dict[str, Any]) -> str:
    """Lay a report out in lines."""
    width = max(map(len, report))
    return "\n".join(f"{name.replace('_', ' '):{width}}  {_text(report[name])}" for name in report)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_history(path: str, history: Any) -> None:
    """Write residual norms, or those of several columns, as JSON or CSV."""
    several = len(history) > 0 and np.ndim(history[0]) > 0
    columns = [[float(norm) for norm in norms] for norms in (history if several else [history])]
    text = stdio.StringIO()
    if path.lower().endswith(".json"):
        json.dump(columns if several else columns[0], text)
    else:
        rows = csv.writer(text, lineterminator="\n")
        names = [f"residual_{c}" for c in range(len(columns))] if several else ["residual"]
        rows.writerow(("iteration", *names))
        rows.writerows((i, *norms) for i, norms in enumerate(zip_longest(*columns, fillvalue="")))
    with io.atomic_write(path) as temporary:
        temporary.write_text(text.getvalue())


@contextmanager
def long_work(args: argparse.Namespace) -> Iterator[None]:
    """Show long work: as bars on a terminal, elsewhere as lines; all of it with -v."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("pympf %(message)s"))
    if not args.verbose:
        handler.addFilter(lambda record: getattr(record, "seconds", PATIENCE_S) >= PATIENCE_S)
    is_heard = not args.quiet and args.first and (args.verbose or not sys.stderr.isatty())
    level, before = logger.level, set_progress(not args.quiet)
    if is_heard:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        set_progress(before)


@contextmanager
def stages(args: argparse.Namespace) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a callback that prints the stages of a factorization."""
    with lines_on_stderr(args.quiet or not args.first) as show:
        yield lambda stage: show(
            f"stage {stage['level']}: {stage['rows']} rows, {stage['nnz']} entries, "
            f"{stage['rotations']} rotations, {stage['seconds']:.2f} s"
        )


@contextmanager
def iterations(args: argparse.Namespace) -> Iterator[Callable[..., None]]:
    """Give a callback that prints the iterations of a solver."""
    with lines_on_stderr(args.quiet or args.verbose < 1 or not args.first) as show:
        yield lambda iteration, residual, *column: show(
            "".join(f"column {c}, " for c in column)
            + f"iteration {iteration}: residual {residual:.3e}"
        )


@contextmanager
def lines_on_stderr(silent: bool) -> Iterator[Callable[[str], None]]:
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
