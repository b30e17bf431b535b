"""Communicators of mpi4py: which are taken, how they are kept, what ends the job."""

from __future__ import annotations

import functools
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pympf._engine import core
from pympf.la.launcher import LauncherError, launched

if TYPE_CHECKING:
    from pympf.la.ranks._ranks import Ranks


@functools.cache
def own_kind() -> Any:
    """Return the class of communicators that live as long as somebody has them."""
    from mpi4py import MPI

    class OwnCommunicator(MPI.Intracomm):
        """A duplicate that lives in the core."""

        kept: Any

        def __new__(cls, ranks: Ranks) -> Any:
            kept = core.KeptCommunicator(ranks.handle)
            made = super().__new__(cls, MPI.Comm.f2py(kept.handle))
            made.kept = kept
            return made

    return OwnCommunicator


def check_communicator(comm: Any) -> None:
    """Refuse what is no communicator, and the usual accident of MPI jobs."""
    if not hasattr(comm, "py2f") or not hasattr(comm, "allgather"):
        raise TypeError(f"comm: expected an mpi4py communicator, got a {type(comm).__name__}")
    if not core.have_mpi:
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


@functools.cache  # once is enough
def abort_on_uncaught_errors() -> None:
    """From now on, an uncaught error on one rank ends the job."""
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
