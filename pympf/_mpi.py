"""The gate for communicators: checks across the ranks of an MPI job, and its end on a failure."""

from __future__ import annotations

import functools
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf import _core

__all__ = [
    "LauncherError",
    "check_communicator",
    "check_on_all",
    "end_unless_all_fail",
    "first_row",
    "from_first",
    "gather_rows",
    "handle",
    "is_parallel",
    "launched",
    "on_all",
    "own",
    "same_on_all",
    "scatter_rows",
    "spread",
    "together",
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


def on_all(comm: Any) -> AbstractContextManager[None]:
    """Do something that is not collective, but may fail: if it does on one rank, all raise.

    Collective, unless `comm` is None or has one rank. What is raised is of the kind of the first
    failing rank's error, or else a RuntimeError, and begins with the names of all that failed.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    return _together(comm) if is_parallel(comm) else _ALONE


_ALONE = nullcontext()


@contextmanager
def _together(comm: Any) -> Iterator[None]:
    caught: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below, on all ranks
        caught = error
    kind = next((kind.__name__ for kind in KINDS if isinstance(caught, kind)), "")
    try:
        check_on_all(comm, f"{kind}\n{_words(caught)}" if caught is not None else "")
    except RuntimeError as failure:
        if isinstance(caught, KeyboardInterrupt):
            raise caught from None
        ranks, _, error_of_first = str(failure).partition(": ")
        name, _, text = error_of_first.partition("\n")
        raise _kind(name)(f"{ranks}: {text}") from caught


def _words(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


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


def spread(comm: Any, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Apply a function to items, each on one rank, and give all results to all ranks, in order.

    Collective, unless `comm` is None or has one rank.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    function : callable
        Not collective.
    items : sequence
        The same on all ranks; rank r takes every size-th from the r-th on.
    """
    if not is_parallel(comm):
        return [function(item) for item in items]
    with on_all(comm):
        mine = [function(item) for item in items[comm.rank :: comm.size]]
    parts = comm.allgather(mine)
    return [parts[i % comm.size][i // comm.size] for i in range(len(items))]


def from_first(comm: Any, value: Any) -> Any:
    """Give all ranks the value of rank 0.

    Collective, unless `comm` is None or has one rank.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    value : object
        Anything that can be pickled.
    """
    return comm.bcast(value) if is_parallel(comm) else value


def is_parallel(comm: Any) -> bool:
    """Tell whether there are other ranks.

    Not collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    return comm is not None and comm.size > 1


def own(comm: Any) -> Any:
    """Give a communicator of the same ranks that its owner cannot free under an object that has it.

    Collective at the first use of a communicator. What nobody may free, and None, comes back as it
    is; another is kept by what is returned, and freed with the last that has it.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    if comm is None:
        return None
    from mpi4py import MPI

    if comm in (MPI.COMM_WORLD, MPI.COMM_SELF) or isinstance(comm, _own_kind()):
        return comm
    return _own_kind()(comm) if comm.size > 1 else MPI.COMM_SELF


@functools.cache
def _own_kind() -> Any:
    from mpi4py import MPI

    class OwnCommunicator(MPI.Intracomm):
        """A duplicate that lives in the core."""

        kept: Any

        def __new__(cls, comm: Any) -> Any:
            kept = _core.KeptCommunicator(_handle(comm))
            made = super().__new__(cls, MPI.Comm.f2py(kept.handle))
            made.kept = kept
            return made

    return OwnCommunicator


def handle(comm: Any) -> int | None:
    """Give the handle by which a communicator enters the core; None for one process.

    Collective at the first use of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """
    return None if comm is None else _handle(comm)


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


def first_row(rows: int, rank: int, ranks: int) -> int:
    """Return where the rows of a rank begin when they are cut as evenly as possible, as PETSc does.

    Not collective.

    Parameters
    ----------
    rows, rank, ranks : int
        `rank` may be `ranks`: then the result is `rows`.
    """
    return rank * (rows // ranks) + min(rank, rows % ranks)


def scatter_rows(comm: Any, block: NDArray[Any] | None, rows: int) -> NDArray[Any]:
    """Give each rank its rows of an array that rank 0 has.

    Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    block : numpy.ndarray, shape (n,) or (n, k)
        On rank 0.
    rows : int
        How many this rank gets; those of all ranks are n.

    Raises
    ------
    ValueError
        If the array has another number of rows.
    """
    counts = comm.gather(rows)
    with on_all(comm):
        if block is not None and len(block) != sum(counts):
            raise ValueError(f"expected {sum(counts)} rows, got {len(block)}")
    shape, dtype = comm.bcast(None if block is None else (block.shape[1:], block.dtype))
    out = np.empty((rows, *shape), dtype)
    sending = None
    if block is not None:
        sending = [np.ascontiguousarray(block), [count * math.prod(shape) for count in counts]]
    comm.Scatterv(sending, out)
    return out


def gather_rows(comm: Any, block: NDArray[Any]) -> NDArray[Any] | None:
    """Give rank 0 the rows of all ranks, and the others None.

    Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    block : numpy.ndarray, shape (n_local,) or (n_local, k)
    """
    counts = comm.gather(block.size)
    out = receiving = None
    if comm.rank == 0:
        out = np.empty(
            (sum(counts) // max(1, math.prod(block.shape[1:])), *block.shape[1:]), block.dtype
        )
        receiving = [out, counts]
    comm.Gatherv(np.ascontiguousarray(block), receiving)
    return out


class LauncherError(RuntimeError):
    """The processes of a job do not find each other, or cannot use MPI."""


@contextmanager
def together(comm: Any) -> Iterator[None]:
    """Do something collective: where it fails on some ranks only, the job ends instead of hanging.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        end_unless_all_fail(comm, _words(error))
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
    ValueError
        If it is ``MPI.COMM_NULL``: it may have been freed.
    LauncherError
        After the accident, or if pympf was built without MPI.
    """
    if not hasattr(comm, "py2f") or not hasattr(comm, "allgather"):
        raise TypeError(f"comm: expected an mpi4py communicator, got a {type(comm).__name__}")
    if not _core.have_mpi:
        raise LauncherError("comm: this pympf was built without MPI and runs on one process only")
    if not comm:
        raise ValueError("comm: expected a communicator, got MPI.COMM_NULL; has it been freed?")
    if comm.size > 1:
        return
    from mpi4py import MPI

    place = launched()
    if place is not None and place[1] > 1 and MPI.COMM_WORLD.size == 1:
        library = MPI.Get_library_version().partition(",")[0].strip()
        raise LauncherError(
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
