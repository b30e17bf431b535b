"""Long work shows itself: a bar on terminals, log lines elsewhere, nothing where nobody looks."""

import io
import logging
import os
import re
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import pympf
import pympf._progress as progress
from pympf.explain.alignments import align_text
from pympf.explain.tables import NeuralProgrammer, generate_questions
from pympf.lsh import HyperplaneHash, Table
from pympf.nets import SGD, descend
from pympf.nets.seq2seq import Seq2Seq


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal as stderr, on which work shows at once."""
    screen = Terminal()
    # pytest puts its own stderr back between a fixture and its test
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen, exc_info=sys.exc_info))
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "REDRAW_S", 0.005)
    return screen


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="pympf")
    return lambda: [record.getMessage() for record in caplog.records]


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_terminal_shows_a_bar_and_is_clean_afterwards(terminal):
    with progress.working("train", 4) as work:
        work.step(2, "epoch 2 of 4")
        wait_for(lambda: "50 %" in terminal.getvalue())
    shown = terminal.getvalue()
    bar = "#" * (progress.BAR // 2) + "." * (progress.BAR // 2)
    assert f"\r\x1b[Ktrain  [{bar}]  50 %  epoch 2 of 4" in shown
    assert shown.endswith("\r\x1b[K")


def test_a_log_line_on_the_same_terminal_begins_where_the_bar_was(terminal, monkeypatch):
    monkeypatch.setattr(progress, "LOG_S", 0.0)
    handler = logging.StreamHandler(terminal)
    level = progress.logger.level
    progress.logger.addHandler(handler)
    progress.logger.setLevel(logging.INFO)
    try:
        with progress.working("train", 4) as work:

            def logged():
                work.step(2, "epoch 2 of 4")
                return "\r\x1b[Ktrain:  50 %  epoch 2 of 4" in terminal.getvalue()

            wait_for(logged)
    finally:
        progress.logger.removeHandler(handler)
        progress.logger.setLevel(level)


def test_of_works_inside_each_other_the_outermost_is_shown(terminal):
    with progress.working("outer"), progress.working("inner"):
        wait_for(lambda: "outer" in terminal.getvalue())
    assert "inner" not in terminal.getvalue()


def test_it_can_be_switched_off(terminal):
    before = pympf.set_progress(False)
    try:
        with progress.working("train"):
            time.sleep(0.05)
    finally:
        assert pympf.set_progress(before) is False
    assert terminal.getvalue() == ""


def test_short_work_and_files_show_nothing(capsys):
    pympf.solve(pympf.gallery.poisson((16, 16)), np.ones(256))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_the_switch_is_a_bool(value):
    with pytest.raises(TypeError, match="expected True or False"):
        pympf.set_progress(value)


def test_the_log_has_lines_of_everything_that_may_take_long(lines):
    A, rng = pympf.gallery.poisson((40, 40)), np.random.default_rng(0)
    pympf.factorize(A)
    pympf.solve(A, np.ones(1600), preconditioner="multilevel")
    Table(HyperplaneHash(4, n_functions=4)).fit(rng.standard_normal((50, 4)))
    w = np.array([1.0])
    descend(lambda batch: (w[0] ** 2, [2 * w]), [w], 4, SGD(0.1), epochs=3, batch=2)
    text = "\n".join(lines())
    for expected in (
        r"factorize: stage \d+, 100 rows left, done in",
        "setup: .*, done in",
        "solve: cg, 1 right-hand sides, done in",
        r"Table.fit of 50 points: (point 50, )?done in",
        "train: epoch 3 of 3, loss 0.*, done in",
    ):
        assert re.search(expected, text), (expected, text)


def test_analyses_and_compression_say_how_far_they_are(lines):
    net = Seq2Seq(epochs=1, hidden=4).fit([["un"]], [["one"]])
    align_text(net, [(["un"], ["one"])] * 2)
    questions = generate_questions(20, seed=1, vague=0.0)
    NeuralProgrammer(8, epochs=1, least=2).fit(questions).attribute(questions[:3])
    pympf.compress(pympf.gallery.poisson((12, 12)), 4000)
    text = "\n".join(lines())
    for expected in (
        "align: pair 2 of 2",
        "attribute: question 3 of 3",
        r"compress: trial \d+, .*",
    ):
        assert re.search(expected + ", done in", text), (expected, text)


def test_the_log_says_that_an_error_ended_the_work(lines):
    with pytest.raises(ZeroDivisionError), progress.working("train"):
        raise ZeroDivisionError
    assert "ended by an error after" in lines()[-1]


def test_the_log_has_a_line_a_second_of_the_same_work(lines, monkeypatch):
    monkeypatch.setattr(progress, "LOG_S", 0.02)
    with progress.working("train", 3) as work:
        for k in range(3):
            time.sleep(0.03)
            work.step(k + 1, f"epoch {k + 1}")
            work.step(k + 1, "at once")
    assert [line.split("  ")[2] for line in lines()[:3]] == ["epoch 1", "epoch 2", "epoch 3"]
    assert len(lines()) == 4


def test_progress_that_is_given_is_told_of_every_step(lines):
    stages, epochs = [], []
    pympf.factorize(pympf.gallery.poisson((16, 16)), progress=stages.append)
    w = np.array([1.0])
    tell = lambda epoch, loss: epochs.append(epoch)  # noqa: E731
    descend(lambda b: (w[0] ** 2, [2 * w]), [w], 4, SGD(0.1), epochs=3, batch=2, progress=tell)
    assert [stage["level"] for stage in stages] == [1, 2]
    assert epochs == [1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_begins_anew(terminal):
    with progress.working("outer"):
        child = os.fork()
        if child == 0:
            os._exit(len(progress._screen._works))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- what the compiled core says -----------------------------------------------------------------


def test_a_solve_says_its_iterations_and_how_many_digits_are_there(lines, monkeypatch):
    monkeypatch.setattr(progress, "LOG_S", 0.0)
    A = pympf.gallery.poisson((300, 300))
    solution = pympf.solve(A, np.ones(A.shape[0]), preconditioner="jacobi", rtol=1e-10)
    told = [re.match(r"solve: +(\d+) % +iteration (\d+) ", line) for line in lines()]
    shares, iterations = zip(*[map(int, found.groups()) for found in told if found], strict=True)
    assert iterations[-1] > 0
    assert iterations[-1] <= solution.iterations
    assert list(iterations) == sorted(set(iterations))
    assert max(shares) <= 100


def test_a_setup_says_its_levels(lines, monkeypatch):
    monkeypatch.setattr(progress, "LOG_S", 0.0)
    A = pympf.gallery.poisson((500, 500))
    pympf.as_preconditioner(A[:100, :100], method="multilevel")  # the clock of this thread starts
    time.sleep(0.11)
    pympf.as_preconditioner(A, method="multilevel")
    assert any(re.match(r"setup: +level \d", line) for line in lines())


def test_a_table_says_its_points(lines, monkeypatch):
    monkeypatch.setattr(progress, "LOG_S", 0.0)
    X = np.random.default_rng(0).standard_normal((150_000, 32)).astype(np.float32)
    table = Table(HyperplaneHash(32, n_functions=512)).fit(X[:10])
    time.sleep(0.11)
    table.fit(X)
    told = [re.match(r"Table.fit of 150000 points: +(\d+) % +point (\d+) ", x) for x in lines()]
    pairs = [tuple(map(int, found.groups())) for found in told if found]
    assert pairs
    assert all(round(point / 1500) == share for share, point in pairs)


def test_what_the_core_says_goes_to_the_innermost_work_of_its_thread():
    progress.tell("iteration", 1, 0.5)  # nobody works: nothing
    with progress.working("outer") as outer, progress.working("inner") as inner:
        progress.tell("iteration", 7, 0.25)
        assert (inner.text, inner.done, inner.total) == ("iteration 7", 0.25, 1.0)
        assert (outer.text, outer.total) == ("", None)
        other = threading.Thread(target=progress.tell, args=("level", 2, -1.0))
        other.start()
        other.join()
        assert inner.text == "iteration 7"
    with progress.working("setup", 5) as work:
        progress.tell("level", 3, -1.0)  # no share: the words alone
        assert (work.text, work.total) == ("level 3", 5)


def test_a_signal_that_comes_while_progress_is_told_ends_the_work(monkeypatch):
    """Its handler runs inside `tell`, which must not swallow what it raises."""
    told = []

    def tell(unit, number, share):
        told.append(unit)
        raise KeyboardInterrupt  # as a handler would

    monkeypatch.setattr(progress, "tell", tell)
    A, b = pympf.gallery.poisson((200, 200)), np.ones(40000)

    def solve_on_and_on():
        for _ in range(1000):
            pympf.solve(A, b, preconditioner="jacobi", rtol=0.0, maxiter=10**5)

    with pytest.raises(KeyboardInterrupt):
        solve_on_and_on()
    assert told
