"""Long work shows itself: a bar on a terminal, lines of the logger ``pympf`` for whoever listens.

Whatever may take seconds stands in ``with working("what") as work:`` and calls ``work.step(done)``
where it knows how far it is. A thread of its own draws, so that the work itself pays nothing. One
call into the compiled core says by `tell` which level, iteration or point it has come to.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from pympf.la.launcher import launched

__all__ = ["Work", "each", "is_watched", "logger", "set_progress", "tell", "through", "working"]

Item = TypeVar("Item")

logger = logging.getLogger("pympf")
logger.addHandler(logging.NullHandler())

PATIENCE_S = 1.0  # work that ends sooner shows nothing
REDRAW_S = 0.2
LOG_S = 1.0  # between two lines of the same work
BAR = 24  # characters

_threads = threading.local()
_wanted = os.environ.get("PYMPF_PROGRESS", "").lower() not in ("0", "no", "off", "false")


def set_progress(on: bool) -> bool:
    """Switch the bars of long work on or off, for this process.

    Not collective. They are on at first, unless the environment has ``PYMPF_PROGRESS=off``, and
    show on terminals only, after a second. ``logging.getLogger("pympf")`` has a line of level INFO
    a second, and one at the end, whatever the output.

    Parameters
    ----------
    on : bool

    Returns
    -------
    bool
        Whether they were on before.

    Raises
    ------
    TypeError
        If `on` is not a bool.

    Examples
    --------
    >>> import pympf
    >>> before = pympf.set_progress(False)
    >>> pympf.set_progress(before)
    False
    """
    global _wanted
    if not isinstance(on, bool):
        raise TypeError(f"on: expected True or False, got a {type(on).__name__}")
    before, _wanted = _wanted, on
    return before


class Work:
    """A piece of work: what it is, and how far."""

    def __init__(self, what: str, total: float | None = None) -> None:
        self.what, self.total = what, total
        self.done, self.text = 0.0, ""
        self.begin = time.monotonic()
        self._logged = self.begin

    def step(self, done: float, text: str = "") -> None:
        """Say how much is done, of the total; and in words."""
        self.done, self.text = done, text
        if logger.isEnabledFor(logging.INFO):
            now = time.monotonic()
            if now >= self._logged + LOG_S:
                self._logged = now
                _screen.clear()  # a handler may write to the same terminal
                logger.info("%s", self.line(now), extra={"seconds": now - self.begin})

    def line(self, now: float, bar: int = 0) -> str:
        """Describe it, with a bar of so many characters where the total is known."""
        parts = [self.what if bar else f"{self.what}:"]
        if self.total:
            share = min(max(self.done / self.total, 0.0), 1.0)
            full = int(share * bar)
            parts += [f"[{'#' * full}{'.' * (bar - full)}]"] if bar else []
            parts.append(f"{100 * share:.0f} %")
        parts += [self.text] if self.text else []
        return "  ".join([*parts, f"{now - self.begin:.1f} s"])


@contextmanager
def working(what: str, total: float | None = None) -> Iterator[Work]:
    """Show what happens inside; of works inside each other the outermost has the bar."""
    work = Work(what, total)
    works = _own_works()
    works.append(work)
    shown = _wanted and _is_terminal()
    if shown:
        _screen.add(work)
    try:
        yield work
    finally:
        works.remove(work)
        if shown:
            _screen.remove(work)
        if logger.isEnabledFor(logging.INFO):
            ended = "ended by an error after" if sys.exc_info()[0] else "done in"
            text = f"{work.text}, " if work.text else ""
            seconds = time.monotonic() - work.begin
            _screen.clear()
            logger.info("%s: %s%s %.2f s", what, text, ended, seconds, extra={"seconds": seconds})


def through(what: str, unit: str, items: Sequence[Item]) -> Iterator[Item]:
    """Give items one by one, and say how many are done."""
    with working(what, len(items)) as work:
        for number, item in enumerate(items, 1):
            yield item
            work.step(number, f"{unit} {number} of {len(items)}")


def tell(unit: str, number: int, share: float) -> None:
    """Take what the compiled core says of the innermost work of this thread."""
    for work in _own_works()[-1:]:
        text = f"{unit} {number}"
        if 0 <= share <= 1:
            work.total = 1.0
            work.step(share, text)
        else:
            work.step(work.done, text)


def _own_works() -> list[Work]:
    """Return the works of the calling thread, the innermost one last."""
    if not hasattr(_threads, "works"):
        _threads.works = []
    works: list[Work] = _threads.works
    return works


def is_watched() -> bool:
    """Tell whether anything of a work would be seen: else nobody need count steps."""
    return (_wanted and _is_terminal()) or logger.isEnabledFor(logging.INFO)


@cache
def _speaks() -> bool:
    """Tell whether this process speaks for its job: the first one does."""
    place = launched()
    return place is None or place[0] == 0


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty() and _speaks()
    except ValueError:  # closed
        return False


class _Screen:
    """The last line of the terminal, and the thread that draws it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: list[Work] = []
        self._any = threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn = False

    def add(self, work: Work) -> None:
        with self._lock:
            self._works.append(work)
            self._any.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pympf", daemon=True)
                self._thread.start()

    def remove(self, work: Work) -> None:
        with self._lock:
            self._works.remove(work)
            if not self._works or self._works[0].begin > work.begin:
                self._erase()
            if not self._works:
                self._any.clear()

    def clear(self) -> None:
        """Take the bar away, until it is drawn again."""
        with self._lock:
            self._erase()

    def _run(self) -> None:
        while self._any.wait():
            time.sleep(REDRAW_S)
            with self._lock:
                now = time.monotonic()
                if self._works and now >= self._works[0].begin + PATIENCE_S:
                    room = shutil.get_terminal_size().columns - 1
                    self._write("\r\x1b[K" + self._works[0].line(now, BAR)[:room])
                    self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # nobody reads on: the work goes on
            pass


_screen = _Screen()


def _forget_works() -> None:
    """Begin anew in a process that was forked: it has neither the thread nor the works."""
    global _screen
    _screen = _Screen()


os.register_at_fork(after_in_child=_forget_works)


def each(
    work: Work, total: int, unit: str, given: Callable[..., Any] | None = None
) -> Callable[..., None]:
    """Give a callback ``(number, loss)`` for `work`, which calls the one that was given, too."""
    work.total = total

    def tell(number: int, loss: float) -> None:
        work.step(number, f"{unit} {number} of {total}, loss {loss:.4g}")
        if given is not None:
            given(number, loss)

    return tell
