"""How many training points an error needs: the paper's binary search.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity", algorithm 2, appendix E.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

from pympf.la import Ranks, checks

__all__ = ["SampleComplexity", "sample_complexities", "sample_complexity"]


@dataclass(frozen=True)
class SampleComplexity:
    """What a search finds.

    Parameters
    ----------
    n : float
        The fewest points whose error was small enough; infinite if none was.
    bracket : (float, float)
        The most points whose error was too large, 1 at first, and n.
    evaluations : dict of int to float
        The error of each number of points that was tried.

    Examples
    --------
    >>> from pympf.nets import sample_complexity
    >>> sample_complexity(lambda n: 100 / n, 0.25).evaluations[4096]
    0.0244140625
    """

    n: float
    bracket: tuple[float, float]
    evaluations: dict[int, float]


def sample_complexity(
    train: Callable[[int], float],
    error: float,
    *,
    start: float = 12,
    most: float = 22,
    tolerance: float = 0.3,
    iterations: int = 18,
) -> SampleComplexity:
    """Search for the number of training points that an error needs.

    A bracket of powers of two, [0, ∞) at first: steps up by a factor of 4 until the error is
    small enough, then halves. Errors should be relative to the variance of the task: the paper's
    1.5 is the loss of predicting zero.

    Not collective.

    Parameters
    ----------
    train : callable
        Maps a number of points to the test error of a model that learned from them. What it says
        of one number is not asked twice.
    error : float
        What is small enough.
    start : float
        log₂ of the first number of points.
    most : float
        log₂ of the largest; where it is too few, n is infinite.
    tolerance : float
        Ends the search when the bracket is shorter, in log₂ n.
    iterations : int
        Ends the search, too.

    Returns
    -------
    SampleComplexity
        n, the bracket and all evaluations.

    References
    ----------
    .. [1] Algorithm 2. It returns the last number that it would try, not one that was.

    Examples
    --------
    >>> from pympf.nets import sample_complexity
    >>> found = sample_complexity(lambda n: 100 / n, 0.25)
    >>> found.n, found.bracket
    (450, (395, 450))
    """
    error, tolerance = checks.positive(error, "error"), checks.positive(tolerance, "tolerance")
    start, most = checks.positive(start, "start"), checks.positive(most, "most")
    if start > most:
        raise ValueError(f"expected start at most {most:g}, got {start:g}")
    low, high, now = 0.0, inf, start
    found: dict[int, float] = {}
    for _ in range(checks.integer(iterations, "iterations")):
        n = round(2**now)
        if n not in found:
            found[n] = float(train(n))
        if found[n] > error or isnan(found[n]):
            low = now
            if low >= most:
                break
            now = min(now + 2, most) if high == inf else (low + high) / 2
        else:
            high, now = now, (low + now) / 2
        if high - low < tolerance:
            break
    n_high = inf if high == inf else round(2**high)
    return SampleComplexity(n_high, (round(2**low), n_high), found)


def sample_complexities(
    trains: Sequence[Callable[[int], float]], error: float, *, comm: Any = None, **options: Any
) -> list[SampleComplexity]:
    """Search for several learners, such as seeds and architectures, spread over ranks.

    Collective over `comm`: all ranks give the same learners and get all results.

    Parameters
    ----------
    trains : sequence of callable
        As of `sample_complexity`.
    error : float
        What is small enough.
    comm : mpi4py.MPI.Comm, optional
        Who shares the searches.
    **options : float or int
        Of `sample_complexity`.

    Returns
    -------
    list of SampleComplexity
        One for each learner.

    Examples
    --------
    >>> from pympf.nets import sample_complexities
    >>> [one.n for one in sample_complexities([lambda n: 1 / n, lambda n: 9 / n], 0.01)]
    [108, 981]
    """
    ranks = Ranks(comm)

    def search(train: Callable[[int], float]) -> SampleComplexity:
        return sample_complexity(train, error, **options)

    return ranks.spread(search, trains)
