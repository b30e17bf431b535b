"""Errors of some ranks, raised on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pympf.la.ranks._ranks import Ranks

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

NOTHING = nullcontext()


def require_same(values: Sequence[Any], what: str) -> None:
    """Raise ValueError unless the values, one of each rank, are the same. Not collective."""
    for rank, other in enumerate(values):
        if other != values[0]:
            raise ValueError(
                f"{what}: expected the same on every rank, got {values[0]} on rank 0 and {other} "
                f"on rank {rank}"
            )


@contextmanager
def guarded(ranks: Ranks) -> Iterator[None]:
    """Raise on all ranks what is raised on some. Collective."""
    caught: BaseException | None = None
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below, on all ranks
        caught = error
    kind = next((kind.__name__ for kind in KINDS if isinstance(caught, kind)), "")
    try:
        ranks.check(f"{kind}\n{_words(caught)}" if caught is not None else "")
    except RuntimeError as failure:
        if isinstance(caught, KeyboardInterrupt):
            raise caught from None
        failed, _, error_of_first = str(failure).partition(": ")
        name, _, text = error_of_first.partition("\n")
        raise _kind(name)(f"{failed}: {text}") from caught


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """End the job where something collective has raised on some ranks only. Collective."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        ranks.end_unless_all_fail(_words(error))
        raise


def _words(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


def _kind(name: str) -> type[Exception]:
    return next((kind for kind in KINDS if kind.__name__ == name), RuntimeError)
