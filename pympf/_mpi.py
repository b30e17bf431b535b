"""Old names of `pympf.la.Ranks`, for work under way; to be deleted."""

from __future__ import annotations

from typing import Any

from pympf.la import LauncherError, Ranks, launched
from pympf.la.ranks import first_row

__all__ = ["LauncherError", "first_row", "is_parallel", "launched", "on_all", "same_on_all"]


def check_communicator(comm: Any) -> None:
    Ranks(comm)


def is_parallel(comm: Any) -> bool:
    return Ranks(comm).size > 1


def on_all(comm: Any) -> Any:
    return Ranks(comm).guard()


def same_on_all(comm: Any, value: Any, what: str) -> None:
    Ranks(comm).same(value, what)


def own(comm: Any) -> Any:
    return Ranks(comm).own().comm


def handle(comm: Any) -> int | None:
    return Ranks(comm).handle
