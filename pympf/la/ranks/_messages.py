"""Messages between two ranks, as between a server and its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Messages:
    """Arrays that travel by themselves."""

    __slots__ = ()

    comm: Any
    size: int

    def fill(self, buffer: NDArray[Any], root: int = 0) -> None:
        """Overwrite an array by that of one rank, of the same shape and dtype.

        Collective.

        Parameters
        ----------
        buffer : numpy.ndarray
            C-contiguous.
        root : int
            That one.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Ranks
        >>> Ranks(None).fill(np.ones(3))
        """
        if self.size > 1:
            self.comm.Bcast(buffer, root=root)

    def send(self, array: NDArray[Any], rank: int, tag: int = 0) -> Callable[[], bool]:
        """Begin to send an array to a rank, which receives it.

        Not collective.

        Parameters
        ----------
        array : numpy.ndarray
            Nobody may change it until it has gone.
        rank, tag : int

        Returns
        -------
        callable
            Whether it has gone. It must be asked until it says so: messages are on their way only
            while both ranks call something of MPI.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.la import Ranks
        >>> ranks = Ranks.world()  # doctest: +SKIP
        >>> if ranks.rank == 0:  # doctest: +SKIP
        ...     gone = ranks.send(np.ones(3), 1, tag=7)
        ...     while not gone():
        ...         pass
        ... elif ranks.rank == 1 and ranks.probe(0) == (0, 7):
        ...     ranks.receive(np.empty(3), 0, 7)
        """
        request = self.comm.Isend(np.ascontiguousarray(array), dest=rank, tag=tag)
        return request.Test

    def probe(self, rank: int | None = None) -> tuple[int, int] | None:
        """Return rank and tag of a message that has come, or None.

        Not collective.

        Parameters
        ----------
        rank : int, optional
            Of the sender; by default any.

        Examples
        --------
        See `send`.
        """
        from mpi4py import MPI

        status = MPI.Status()
        source = MPI.ANY_SOURCE if rank is None else rank
        if not self.comm.Iprobe(source=source, status=status):
            return None
        return status.Get_source(), status.Get_tag()

    def receive(self, buffer: NDArray[Any], rank: int, tag: int) -> None:
        """Receive an array.

        Not collective.

        Parameters
        ----------
        buffer : numpy.ndarray
            Of the length and dtype of what is sent, or longer; C-contiguous.
        rank, tag : int

        Examples
        --------
        See `send`.
        """
        self.comm.Recv(buffer, source=rank, tag=tag)
