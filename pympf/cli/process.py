"""Several processes: the commands run on all, and the first one speaks."""

from __future__ import annotations

import argparse
import contextlib
import io as stdio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf import io
from pympf.la import LauncherError, Ranks, launched

PARALLEL = ("factor", "solve", "apply")
"""Commands that mpirun may start on several processes."""


def ranks_of(args: argparse.Namespace) -> Ranks:
    """Return the processes that a launcher has started, or this one alone."""
    place = launched()
    if not args.mpi and (place is None or place[1] == 1):
        return Ranks(None)
    ranks = Ranks.world()
    if ranks.size == 1:
        return Ranks(None)
    if args.command not in PARALLEL:
        raise LauncherError(
            f"{args.command} runs on one process, this is a job of {ranks.size}; commands "
            f"for several: {', '.join(PARALLEL)}"
        )
    return ranks


@contextmanager
def silence() -> Iterator[None]:
    """Print nothing: the first process says it for all."""
    nowhere = stdio.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def give_up_stdout() -> None:
    """Drop what stdout cannot take (a closed pipe, a full disk): Python would try again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def scattered(args: argparse.Namespace, x: Any, places: list[slice]) -> NDArray[Any]:
    """Give each rank its part of the vector of rank 0, where that lies in these places of its own.

    What all ranks have in the first place comes first in the vector, and so on.
    """
    ranks = args.ranks
    if ranks.size == 1:
        return x  # what it goes to says what is wrong with it
    parts = []
    first = 0
    for place in places:
        own = place.stop - place.start
        total = ranks.sum(own)
        parts.append(ranks.scatter_rows(None if x is None else x[first : first + total], own))
        first += total
    with ranks.guard():
        if x is not None and len(x) != first:
            raise ValueError(f"x: expected {first} rows, got {len(x)}")
    return np.concatenate(parts)


def gathered(args: argparse.Namespace, y: NDArray[Any], places: list[slice]) -> Any:
    """Do the inverse of `scattered`: the vector on rank 0, None on the others."""
    parts = [args.ranks.gather_rows(np.ascontiguousarray(y[place])) for place in places]
    return np.concatenate([part for part in parts if part is not None]) if args.first else None


def read_vector(args: argparse.Namespace, path: str, key: str | None = None) -> Any:
    """Read a vector on rank 0; None on the others."""
    with args.ranks.guard():
        return io.read_vector(path, key=key) if args.first else None


def check_is_not_read(args: argparse.Namespace, path: str) -> None:
    """Refuse to write over the system itself."""
    inputs: list[str | None] = [args.matrix, getattr(args, "b", None)]
    for given in inputs:
        if (
            given
            and os.path.exists(given)
            and os.path.exists(path)
            and os.path.samefile(given, path)
        ):
            raise OSError(f"{path}: this command reads it; expected another file to write to")
