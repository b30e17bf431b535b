"""The ranks of a communicator, or one process alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf._engine import core
from pympf.la.launcher import LauncherError
from pympf.la.ranks._communicator import abort_on_uncaught_errors, check_communicator, own_kind
from pympf.la.ranks._errors import NOTHING, guarded, require_same, together
from pympf.la.ranks._messages import Messages

__all__ = ["Ranks", "first_row"]


class Ranks(Messages):
    """The processes that work together.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, Ranks or None
        None: this process alone.

    Attributes
    ----------
    comm : mpi4py.MPI.Comm or None
    rank, size : int
        The number of this process, and how many there are.

    Raises
    ------
    TypeError
        If `comm` is something else.
    ValueError
        If it is ``MPI.COMM_NULL``: it may have been freed.
    LauncherError
        If the launcher started several processes, but MPI tells each that it is alone, because
        `mpiexec` and the MPI library of mpi4py differ; or if pympf was built without MPI.

    Notes
    -----
    Methods are collective unless they say otherwise: all ranks call them in the same order. On one
    process they cost next to nothing.

    Examples
    --------
    >>> from pympf.la import Ranks
    >>> ranks = Ranks(None)
    >>> ranks.size, ranks.sum(3), ranks.gather("a")
    (1, 3, ['a'])
    """

    __slots__ = ("comm", "rank", "size")

    def __init__(self, comm: Any = None) -> None:
        if isinstance(comm, Ranks):
            comm = comm.comm
        elif comm is not None:
            check_communicator(comm)
        self.comm: Any = comm
        self.rank: int = 0 if comm is None else comm.rank
        self.size: int = 1 if comm is None else comm.size

    def __repr__(self) -> str:
        return "Ranks(None)" if self.comm is None else f"<Ranks: {self.rank} of {self.size}>"

    @staticmethod
    def world() -> Ranks:
        """Return all processes that the launcher has started.

        Not collective.

        Raises
        ------
        LauncherError
            If there is no mpi4py, or the accident of mpiexec has happened.

        Examples
        --------
        >>> Ranks.world().size  # doctest: +SKIP
        4
        """
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise LauncherError(
                "started as one of several processes, but there is no mpi4py: pip install mpi4py"
            ) from error
        return Ranks(MPI.COMM_WORLD)

    @property
    def handle(self) -> int | None:
        """The handle by which the communicator enters the core; None for one process.

        A rank that dies in a job that communicates leaves the others waiting. So from the first use
        on, an uncaught error on one ends them all.
        """
        if self.comm is None:
            return None
        if self.size > 1:
            abort_on_uncaught_errors()
        return self.comm.py2f()

    def own(self) -> Ranks:
        """Return the same ranks with a communicator that its owner cannot free under an object.

        Collective: at the first use of a communicator. What nobody may free, and None, comes back
        as it is; another is kept by what is returned, and freed with the last that has it.

        Examples
        --------
        >>> Ranks(None).own().comm is None
        True
        """
        if self.comm is None:
            return self
        from mpi4py import MPI

        kept: Any = self.comm
        if not (kept in (MPI.COMM_WORLD, MPI.COMM_SELF) or isinstance(kept, own_kind())):
            kept = own_kind()(self) if self.size > 1 else MPI.COMM_SELF
        return Ranks(kept)

    def are(self, comm: Any) -> bool:
        """Tell whether another communicator has the same ranks in the same order.

        Not collective.

        Parameters
        ----------
        comm : mpi4py.MPI.Comm

        Examples
        --------
        >>> from mpi4py import MPI  # doctest: +SKIP
        >>> Ranks(None).are(MPI.COMM_SELF)  # doctest: +SKIP
        True
        """
        if self.comm is None:
            return comm.size == 1
        from mpi4py import MPI

        return MPI.Comm.Compare(comm, self.comm) in (MPI.IDENT, MPI.CONGRUENT)

    # ---- checks ----------------------------------------------------------------------------------
    def guard(self) -> AbstractContextManager[Any]:
        """Do something that is not collective, but may fail: if it does on one rank, all raise.

        Collective. What is raised is of the kind of the first failing rank's error, or else a
        RuntimeError, and begins with the names of all that failed.

        Examples
        --------
        >>> with Ranks(None).guard():
        ...     number = int("12")
        """
        return guarded(self) if self.size > 1 else NOTHING

    def together(self) -> AbstractContextManager[Any]:
        """Do something collective: what fails on some ranks only ends the job.

        Collective.

        Examples
        --------
        >>> ranks = Ranks(None)
        >>> with ranks.together():
        ...     total = ranks.sum(1)
        """
        return together(self) if self.size > 1 else NOTHING

    def same(self, value: Any, what: str) -> None:
        """Raise ValueError on every rank unless all bring the same value.

        Collective.

        Parameters
        ----------
        value : object
            Compared by its repr.
        what : str
            What the error message calls it.

        Examples
        --------
        >>> Ranks(None).same(30, "restart")
        """
        if self.size == 1:
            return
        require_same(self.gather(repr(value)), what)

    def check(self, error: str) -> None:
        """Raise RuntimeError on every rank if any rank has an error.

        Collective.

        Parameters
        ----------
        error : str
            What went wrong on this rank; empty: nothing.

        Examples
        --------
        >>> Ranks(None).check("no disk")
        Traceback (most recent call last):
        ...
        RuntimeError: no disk
        """
        if self.comm is not None:
            core.check_on_all(self.handle, error)
        elif error:
            raise RuntimeError(error)

    def end_unless_all_fail(self, reason: str) -> None:
        """End the job unless all ranks call this within ten seconds.

        Collective.

        For a rank on which something collective has raised.

        Parameters
        ----------
        reason : str
            What is printed when the job ends.

        Examples
        --------
        >>> Ranks(None).end_unless_all_fail("no disk")  # alone, nobody waits
        """
        if self.size > 1:
            core.end_unless_all_fail(self.handle, reason)

    def refuse_many(self, what: str, instead: str, kind: type[Exception] = ValueError) -> None:
        """Raise an error where there is more than one rank.

        Not collective.

        Parameters
        ----------
        what : str
            What needs all on one process.
        instead : str
            What to do.
        kind : type
            Of the error.

        Examples
        --------
        >>> Ranks(None).refuse_many("basis() needs the whole factorization", "take transform()")
        """
        if self.size > 1:
            raise kind(f"{what}, and this one lies on {self.size} ranks: {instead}")

    # ---- exchange --------------------------------------------------------------------------------
    def gather(self, value: Any) -> list[Any]:
        """Give all ranks the values of all, in their order.

        Collective.

        Parameters
        ----------
        value : object
            Anything that can be pickled.

        Examples
        --------
        >>> Ranks(None).gather(3)
        [3]
        """
        return self.comm.allgather(value) if self.size > 1 else [value]

    def broadcast(self, value: Any, root: int = 0) -> Any:
        """Give all ranks the value of one.

        Collective.

        Parameters
        ----------
        value : object
            Anything that can be pickled.
        root : int
            That one.

        Examples
        --------
        >>> Ranks(None).broadcast("head")
        'head'
        """
        return self.comm.bcast(value, root=root) if self.size > 1 else value

    def exchange(self, parts: Sequence[Any]) -> list[Any]:
        """Give each rank the part that is for it, and return what the others have for this one.

        Collective.

        Parameters
        ----------
        parts : sequence
            One for each rank, which can be pickled.

        Examples
        --------
        >>> Ranks(None).exchange(["all"])
        ['all']
        """
        return self.comm.alltoall(list(parts)) if self.size > 1 else list(parts)

    def sum(self, value: Any) -> Any:
        """Add the numbers, or arrays of one shape, of all ranks.

        Collective.

        Parameters
        ----------
        value : number or numpy.ndarray

        Examples
        --------
        >>> Ranks(None).sum(3)
        3
        """
        if self.size == 1:
            return value
        if not isinstance(value, np.ndarray):
            return self.comm.allreduce(value)
        total = np.empty_like(value, order="C")
        self.comm.Allreduce(np.ascontiguousarray(value), total)
        return total

    def max(self, value: Any) -> Any:
        """Return the largest of all ranks' numbers, for arrays of one shape place by place.

        Collective.

        Parameters
        ----------
        value : number or numpy.ndarray

        Examples
        --------
        >>> Ranks(None).max(3)
        3
        """
        return value if self.size == 1 else np.max(self.gather(value), axis=0)

    def before(self, value: Any) -> Any:
        """Add the numbers, or arrays of one shape, of the ranks before this one.

        Collective.

        Parameters
        ----------
        value : number or numpy.ndarray

        Examples
        --------
        >>> Ranks(None).before(3)
        0
        """
        return sum(self.gather(value)[: self.rank], 0 * value)

    def spread(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Apply a function to items, each on one rank, and give all results to all, in order.

        Collective.

        Parameters
        ----------
        function : callable
            Not collective.
        items : sequence
            The same on all ranks; rank r takes every size-th from the r-th on.

        Examples
        --------
        >>> Ranks(None).spread(abs, [-1, 2])
        [1, 2]
        """
        if self.size == 1:
            return [function(item) for item in items]
        with self.guard():
            mine = [function(item) for item in items[self.rank :: self.size]]
        parts = self.gather(mine)
        return [parts[i % self.size][i // self.size] for i in range(len(items))]

    # ---- rows ------------------------------------------------------------------------------------
    def cut(self, rows: int) -> range:
        """Return the rows of this rank when they are cut as evenly as possible.

        Not collective.

        Parameters
        ----------
        rows : int
            Of all ranks.

        Examples
        --------
        >>> Ranks(None).cut(10)
        range(0, 10)
        """
        first, last = (first_row(rows, rank, self.size) for rank in (self.rank, self.rank + 1))
        return range(first, last)

    def scatter_rows(self, block: NDArray[Any] | None, rows: int) -> Any:
        """Give each rank its rows of an array that rank 0 has.

        Collective.

        Parameters
        ----------
        block : numpy.ndarray, shape (n,) or (n, k)
            On rank 0.
        rows : int
            How many this rank gets; those of all ranks are n.

        Raises
        ------
        ValueError
            If the array has another number of rows.

        Examples
        --------
        >>> import numpy as np
        >>> Ranks(None).scatter_rows(np.ones(3), 3)
        array([1., 1., 1.])
        """
        counts = self.gather(rows)
        with self.guard():
            if block is not None and len(block) != sum(counts):
                raise ValueError(f"expected {sum(counts)} rows, got {len(block)}")
        if self.size == 1:
            return block
        shape, dtype = self.broadcast(None if block is None else (block.shape[1:], block.dtype))
        out = np.empty((rows, *shape), dtype)
        sending = None
        if block is not None:
            sending = [np.ascontiguousarray(block), [count * math.prod(shape) for count in counts]]
        self.comm.Scatterv(sending, out)
        return out

    def gather_rows(self, block: NDArray[Any]) -> NDArray[Any] | None:
        """Give rank 0 the rows of all ranks, and the others None.

        Collective.

        Parameters
        ----------
        block : numpy.ndarray, shape (n_local,) or (n_local, k)

        Examples
        --------
        >>> import numpy as np
        >>> Ranks(None).gather_rows(np.ones(3))
        array([1., 1., 1.])
        """
        if self.size == 1:
            return block
        counts = self.comm.gather(block.size)
        out = receiving = None
        if self.rank == 0:
            width = max(1, math.prod(block.shape[1:]))
            out = np.empty((sum(counts) // width, *block.shape[1:]), block.dtype)
            receiving = [out, counts]
        self.comm.Gatherv(np.ascontiguousarray(block), receiving)
        return out


def first_row(rows: int, rank: int, ranks: int) -> int:
    """Return where the rows of a rank begin when they are cut as evenly as possible, as PETSc does.

    Not collective. `rank` may be `ranks`: then the result is `rows`.
    """
    return rank * (rows // ranks) + min(rank, rows % ranks)
