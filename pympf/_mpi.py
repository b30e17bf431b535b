"""The gate for communicators: checks across the processes of an MPI job, and its end on a failure."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from pympf import _core

__all__ = [
    "check_communicator",
    "check_on_all",
    "end_unless_all_fail",
    "handle",
    "is_parallel",
    "launched",
    "on_all",
    "same_on_all",
    "together",
    "traffic",
]

KINDS = (
    FileNotFoundError,
    PermissionError,
    OSError,
    np.linalg.LinAlgError,
    ValueError,
    TypeError,
    MemoryError,
    ImportError,
)
"""Errors that keep their kind on the way to the other ranks, the more special ones first."""


def check_on_all(comm: Any, error: str) -> None:
    """Raise RuntimeError on every rank if any rank has an error.

    Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    error : str
        What went wrong on this rank; empty: nothing.
    """
    _core.check_on_all(_handle(comm), error)


@contextmanager
def on_all(comm: Any) -> Iterator[None]:
    """Do something that is not collective, but may fail: if it does on one rank, all raise.

    Collective, unless `comm` is None or has one rank. What is raised is of the kind of the first
    failing rank's error, or else a RuntimeError, and begins with the names of all that failed.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    if not is_parallel(comm):
        yield
        return
    caught: Exception | None = None
    try:
        yield
    except Exception as error:  # raised below, on all ranks
        caught = error
    kind = next((kind.__name__ for kind in KINDS if isinstance(caught, kind)), "")
    try:
        check_on_all(comm, f"{kind}\n{caught}" if caught is not None else "")
    except RuntimeError as failure:
        ranks, _, error_of_first = str(failure).partition(": ")
        name, _, text = error_of_first.partition("\n")
        raise _kind(name)(f"{ranks}: {text}") from caught


def _kind(name: str) -> type[Exception]:
    return next((kind for kind in KINDS if kind.__name__ == name), RuntimeError)


def same_on_all(comm: Any, value: Any, what: str) -> None:
    """Raise ValueError on every rank unless all bring the same value.

    Collective, unless `comm` is None or has one rank.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    value : object
        Compared by its repr.
    what : str
        What the error message calls it.
    """
    if not is_parallel(comm):
        return
    values = comm.allgather(repr(value))
    for rank, other in enumerate(values):
        if other != values[0]:
            raise ValueError(
                f"{what}: expected the same on every rank, got {values[0]} on rank 0 and {other} "
                f"on rank {rank}"
            )


def is_parallel(comm: Any) -> bool:
    """Tell whether there are other ranks.

    Not collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    return comm is not None and comm.size > 1


def handle(comm: Any) -> int | None:
    """Give the handle by which a communicator enters the core; None for one process.

    Collective at the first use of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    return None if comm is None else _handle(comm)


def traffic(comm: Any) -> dict[str, int]:
    """Return what this rank has sent through a communicator in pympf's calls so far.

    Not collective, except at the first use of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm

    Returns
    -------
    dict
        ``messages`` and ``message_bytes`` go point to point; ``collectives`` counts reductions,
        gathers and barriers.
    """
    messages, message_bytes, collectives = _core.traffic(_handle(comm))
    return {"messages": messages, "message_bytes": message_bytes, "collectives": collectives}


def end_unless_all_fail(comm: Any, reason: str) -> None:
    """End the job unless all ranks call this within ten seconds.

    For a rank on which something collective has raised.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    reason : str
        What is printed when the job ends.
    """
    _core.end_unless_all_fail(_handle(comm), reason)


@contextmanager
def together(comm: Any) -> Iterator[None]:
    """Do something collective: where it fails on some ranks only, the job ends instead of hanging.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    """
    try:
        yield
    except Exception as error:
        end_unless_all_fail(comm, str(error))
        raise


def launched(environment: Mapping[str, str] | None = None) -> tuple[int, int] | None:
    """Return (rank, size) that an MPI launcher gave to this process; None without a launcher.

    Not collective. Knows Open MPI, MPICH and its kin, and Slurm's srun where that speaks PMI (in an
    allocation, but without srun, a process is on its own).

    Parameters
    ----------
    environment : mapping, optional
        By default the variables of this process.
    """
    environment = os.environ if environment is None else environment
    places = [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")]
    if "PMI_RANK" in environment or "PMIX_RANK" in environment:
        places += [("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"), ("SLURM_PROCID", "SLURM_NTASKS")]
    for rank, size in places:
        if re.fullmatch(r"\d+", environment.get(size, "")):
            return int(environment.get(rank, 0)), int(environment[size])
    return None


def check_communicator(comm: Any) -> None:
    """Refuse what is no communicator, and the usual accident of MPI jobs.

    Not collective. The accident: the launcher started several processes, but MPI tells each that
    it is alone, because `mpiexec` and the MPI library of mpi4py differ.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm

    Raises
    ------
    TypeError
        If it is something else.
    RuntimeError
        After the accident, or if pympf was built without MPI.
    """
    if not hasattr(comm, "py2f") or not hasattr(comm, "allgather"):
        raise TypeError(f"comm: expected an mpi4py communicator, got a {type(comm).__name__}")
    if not _core.have_mpi:
        raise RuntimeError("comm: this pympf was built without MPI and runs on one process only")
    if comm.size > 1:
        return
    from mpi4py import MPI

    place = launched()
    if place is not None and place[1] > 1 and MPI.COMM_WORLD.size == 1:
        library = MPI.Get_library_version().partition(",")[0].strip()
        raise RuntimeError(
            f"the launcher started {place[1]} processes, but MPI tells each that it is alone: "
            f"mpiexec and the MPI library that mpi4py found ({library}) differ. Start the job with "
            "the mpiexec of that library, or install mpi4py for the MPI of your mpiexec: "
            "pip install --no-binary mpi4py --force-reinstall mpi4py"
        )


def _handle(comm: Any) -> int:
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
