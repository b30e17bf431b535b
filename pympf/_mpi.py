"""Checks across the processes of an MPI job, and its end when one of them fails."""

from __future__ import annotations

import functools
import sys
from types import TracebackType
from typing import Any

from pympf import _core

__all__ = ["check_on_all", "handle"]


def check_on_all(comm: Any, error: str) -> None:
    """Raise RuntimeError on every rank if any rank has an error.

    Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    error : str
        What went wrong on this rank; empty: nothing.
    """
    _core.check_on_all(handle(comm), error)


def handle(comm: Any) -> int:
    """Give the handle by which a communicator enters the core: every collective call comes here.

    A rank that dies in a job that communicates leaves the others waiting, so from now on an
    uncaught error on one ends them all.
    """
    if comm and comm.size > 1:
        _abort_on_uncaught_errors()
    return comm.py2f()


@functools.cache  # once is enough
def _abort_on_uncaught_errors() -> None:
    from mpi4py import MPI

    show = sys.excepthook

    def show_and_abort(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if MPI.Is_finalized():
            show(kind, error, trace)
            return
        world = MPI.COMM_WORLD
        try:
            print(
                f"rank {world.rank} of {world.size} ends the job by an uncaught error:",
                file=sys.stderr,
            )
            show(kind, error, trace)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            world.Abort(1)

    sys.excepthook = show_and_abort
