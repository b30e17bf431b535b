"""Who may read and whose gradient comes next when workers do not wait for each other."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

__all__ = ["APPLY", "SEND", "Turns"]

SEND, APPLY = 0, 1
"""A worker gets the values; its gradient is applied."""


class Turns:
    """The order of asynchronous updates, in which no gradient is staler than a bound.

    The staleness of a gradient is the number of updates between the reading of the values that it
    was computed at and its own update. With a bound s, at most s + 1 workers compute at a time, and
    an update waits if after it the outstanding gradients, the oldest first, could not all be
    applied in time: the j-th oldest (from 0) of those read at version v needs v + s >= version + j.
    The oldest one always may, so nobody waits for ever.

    Parameters
    ----------
    counts : sequence of int
        How many gradients each worker computes.
    bound : int, optional
        s; None: no bound.

    Attributes
    ----------
    version : int
        Updates so far.
    staleness : Counter
        How many updates had which.
    """

    def __init__(self, counts: Sequence[int], bound: int | None) -> None:
        self.remaining = list(counts)
        self.bound = bound
        self.version = 0
        self.staleness: Counter[int] = Counter()
        self.read: dict[int, int] = {}  # worker -> version, of those whose gradient is to come
        self.arrived: deque[int] = deque()  # those of them whose gradient is here
        self.waiting = deque(w for w, count in enumerate(counts) if count)  # want to read

    def next(self) -> tuple[int, int] | None:
        """Give what to do, (SEND or APPLY, worker); None: wait for a gradient, or all is done."""
        worker = next((worker for worker in self.arrived if self._may_apply(worker)), None)
        if worker is not None:
            self.arrived.remove(worker)
            self.staleness[self.version - self.read.pop(worker)] += 1
            self.version += 1
            self.remaining[worker] -= 1
            if self.remaining[worker]:
                self.waiting.append(worker)
            return APPLY, worker
        if self.waiting and (self.bound is None or len(self.read) <= self.bound):
            worker = self.waiting.popleft()
            self.read[worker] = self.version
            return SEND, worker
        return None

    def arrive(self, worker: int) -> None:
        """Note that a worker's gradient is here."""
        self.arrived.append(worker)

    @property
    def done(self) -> bool:
        """Whether all gradients have been applied."""
        return not any(self.remaining)

    def _may_apply(self, worker: int) -> bool:
        if self.bound is None:
            return True
        others = sorted(version for other, version in self.read.items() if other != worker)
        after = self.version + 1
        return all(version + self.bound >= after + j for j, version in enumerate(others))
