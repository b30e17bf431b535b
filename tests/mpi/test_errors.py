"""Errors on some ranks: all ranks learn of them, and a job never hangs."""

import sys

import numpy as np
import pytest

import pympf
from pympf import gallery
from pympf.la import Ranks
from pympf.lsh import DistributedTable, HyperplaneHash

from .jobs import run_job, starts_a_job

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


def check(error, comm=COMM):
    Ranks(comm).check(error)


def test_the_package_was_built_with_mpi():
    assert pympf._core.have_mpi


def test_no_error_passes():
    for _ in range(100):
        check("")


@pytest.mark.parametrize("failing", [0, -1])
def test_an_error_on_one_rank_raises_on_all(failing):
    failing %= COMM.size
    with pytest.raises(RuntimeError, match=rf"^rank {failing} of {COMM.size}: no disk \(here\)$"):
        check("no disk (here)" if COMM.rank == failing else "")
    check("")  # and the communicator still works


def test_errors_on_all_ranks_name_all():
    ranks = ", ".join(map(str, range(min(COMM.size, 5))))
    with pytest.raises(RuntimeError, match=f"^rank {ranks}.* of {COMM.size}: bad row 0$"):
        check(f"bad row {COMM.rank}")


@pytest.mark.parametrize("text", ["ε = 1e-16 · ‖A‖", "\udcff", "x" * 100_000], ids=ascii)
def test_any_text_travels(text):
    with pytest.raises(RuntimeError) as caught:
        check(text if COMM.rank == COMM.size - 1 else "")
    shown = text.encode(errors="backslashreplace").decode()
    assert str(caught.value) == f"rank {COMM.size - 1} of {COMM.size}: {shown}"


def test_other_communicators():
    check("", MPI.COMM_SELF)
    with pytest.raises(RuntimeError, match=r"^rank 0 of 1: mine$"):
        check("mine", MPI.COMM_SELF)
    for comm in (COMM.Dup(), COMM.Split(COMM.rank % 2, -COMM.rank)):
        for _ in range(3):
            check("", comm)
        with pytest.raises(RuntimeError, match=f"^rank 0 of {comm.size}: first$"):
            check("first" if comm.rank == 0 else "", comm)
        comm.Free()
    with pytest.raises(ValueError, match=r"MPI.COMM_NULL"):
        check("", MPI.COMM_NULL)


def test_own_messages_stay_apart():
    """The checks travel on a communicator of their own, so pending messages do not meet them."""
    right, left = (COMM.rank + 1) % COMM.size, (COMM.rank - 1) % COMM.size
    request = COMM.isend(COMM.rank, right)
    check("")
    assert COMM.recv(source=left) == left
    request.wait()


@pytest.mark.parametrize(
    "fail",
    [
        lambda: pympf.factorize([[1.0, 2.0], [3.0, 4.0]]),
        lambda: pympf.factorize(gallery.poisson(5), order=99),
        lambda: pympf.load("/no/such/file.h5"),
    ],
)
def test_what_fails_on_one_rank_can_be_told_to_all(fail):
    message = ""
    if COMM.rank == 0:
        try:
            fail()
        except (ValueError, OSError) as error:
            message = str(error)
    assert COMM.rank != 0 or message
    with pytest.raises(RuntimeError, match=f"^rank 0 of {COMM.size}: ") as caught:
        check(message)
    assert len(set(COMM.allgather(str(caught.value)))) == 1


# What users' functions raise


class OwnError(Exception):
    """Known to nobody else."""


def raises_on_the_last_rank(at):
    """Make a function that raises on the last rank, in its call number `at`."""
    calls = []

    def function(*arguments):
        calls.append(arguments)
        if COMM.rank == COMM.size - 1 and len(calls) == at:
            raise OwnError("disk 7 is full: ε")
        return arguments[0]

    return function


WITH_FUNCTIONS = {
    "the callback": lambda A, f: pympf.solve(
        A, np.ones(A.shape[0]), comm=COMM, callback=lambda *given: bool(f(*given)) and False
    ),
    "the preconditioner": lambda A, f: pympf.solve(
        A, np.ones(A.shape[0]), comm=COMM, preconditioner=f
    ),
    "the progress callback": lambda A, f: pympf.factorize(A, comm=COMM, progress=f, core_size=9),
}


def rows_of_this_rank(n=20):
    first, last = n * n * COMM.rank // COMM.size, n * n * (COMM.rank + 1) // COMM.size
    return gallery.poisson((n, n)).tocsr()[first:last]


@pytest.mark.parametrize("name", WITH_FUNCTIONS)
def test_what_a_users_function_raises_on_one_rank(name):
    A, call = rows_of_this_rank(), WITH_FUNCTIONS[name]
    last = COMM.size - 1
    if COMM.rank == last:
        with pytest.raises(OwnError, match=r"^disk 7 is full: ε$"):
            call(A, raises_on_the_last_rank(2))
    else:
        words = f"rank {last} of {COMM.size}: {name} raised OwnError: disk 7 is full: ε"
        with pytest.raises(RuntimeError, match=f"^{words}$"):
            call(A, raises_on_the_last_rank(2))
    call(A, raises_on_the_last_rank(10**6))  # and the communicator still works


# Communicators that come and go


def test_objects_outlive_the_communicator_that_they_were_made_with(tmp_path):
    A, comm = rows_of_this_rank(), COMM.Dup()
    path = COMM.bcast(str(tmp_path / "F.h5"))
    M, F = pympf.as_preconditioner(A, comm=comm), pympf.factorize(A, comm=comm)
    classic = pympf.as_preconditioner(A, comm=comm, method="classic")
    F.save(path)
    loaded = pympf.load(path, comm)
    table = DistributedTable(HyperplaneHash(2, n_functions=4), comm)
    x, y = np.linspace(1, 2, A.shape[0]), np.ones(len(loaded.rows))  # dealt out anew
    expected = [F @ x, F.solve(x), M @ x, classic @ x, loaded @ y]
    comm.Free()
    assert comm == MPI.COMM_NULL
    found = [F @ x, F.solve(x), M @ x, classic @ x, loaded @ y]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    M.update(2 * A)
    np.testing.assert_allclose(F.refactorize(2 * A) @ x, 2 * expected[0])
    assert F.sqrt().logdet() == pytest.approx(F.logdet() / 2)
    table.add([[1.0, float(COMM.rank)]])
    assert len(table) == COMM.size
    assert F.comm.size == M.comm.size == COMM.size
    assert F.comm.allreduce(1) == COMM.size
    assert pympf.solve(A, x, comm=F.comm, preconditioner=F).converged


def test_duplicates_do_not_pile_up():
    """Of one communicator there is one duplicate, and none stays behind."""
    A = rows_of_this_rank(8)
    for _ in range(40):
        comm = COMM.Dup()
        F = pympf.factorize(A, comm=comm, core_size=9)
        again = pympf.factorize(A, comm=F.comm, core_size=9)
        if COMM.size > 1:
            assert again.comm == F.comm
        comm.Free()
        F @ np.ones(A.shape[0])
        del F, again


def test_communicators_that_are_none():
    A, freed = rows_of_this_rank(), COMM.Dup()
    freed.Free()
    for comm in (MPI.COMM_NULL, freed):
        for call in (
            lambda comm: pympf.factorize(A, comm=comm),
            lambda comm: pympf.as_preconditioner(A, comm=comm),
            lambda comm: pympf.solve(A, np.ones(A.shape[0]), comm=comm),
            lambda comm: pympf.load("F.h5", comm),
            lambda comm: DistributedTable(HyperplaneHash(2, n_functions=4), comm),
        ):
            with pytest.raises(ValueError, match=r"got MPI\.COMM_NULL; has it been freed"):
                call(comm)


# Jobs that end early


@starts_a_job
def test_ctrl_c_on_one_rank_ends_the_job(tmp_path):
    code, printed = run_job(
        tmp_path,
        """
        import os, signal, threading
        from mpi4py import MPI
        import numpy as np
        import pympf
        comm = MPI.COMM_WORLD
        A = pympf.gallery.poisson((600, 600))
        A = A.tocsr()[120000 * comm.rank : 120000 * (comm.rank + 1)]
        if comm.rank == 1:
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        while True:
            pympf.as_preconditioner(A, comm=comm)
        """,
    )
    assert code != 0
    assert "rank 1 of 3 ends the job" in printed


@starts_a_job
def test_a_job_of_three_ranks_runs(tmp_path):
    code, printed = run_job(
        tmp_path,
        """
        from mpi4py import MPI
        import pympf
        from pympf.la import Ranks
        F = pympf.factorize(pympf.gallery.poisson((10, 10)), core_size=20)
        Ranks(MPI.COMM_WORLD).check("")
        print("sum", MPI.COMM_WORLD.allreduce(F.core_size), flush=True)
        """,
    )
    assert code == 0, printed
    assert "sum 60" in printed


@starts_a_job
def test_an_uncaught_collective_error_ends_the_job(tmp_path):
    code, printed = run_job(
        tmp_path,
        """
        from mpi4py import MPI
        from pympf.la import Ranks
        comm = MPI.COMM_WORLD
        Ranks(comm).check("no disk" if comm.rank == 2 else "")
        print("went on")
        """,
    )
    assert code != 0
    assert "RuntimeError: rank 2 of 3: no disk" in printed
    assert "went on" not in printed


@starts_a_job
@pytest.mark.parametrize(
    ("launcher", "first"),
    [
        (["-m", "mpi4py"], "pass"),  # mpi4py ends the job, whoever communicates
        ([], "Ranks(comm).check('')"),  # pympf does, once it has communicated
    ],
    ids=["mpi4py", "plain"],
)
def test_an_uncaught_error_on_one_rank_ends_the_job(tmp_path, launcher, first):
    code, printed = run_job(
        tmp_path,
        f"""
        import sys
        from mpi4py import MPI
        import pympf
        from pympf.la import Ranks

        def show(*error, shown=sys.excepthook):
            print("the hook that was there", file=sys.stderr)
            shown(*error)

        sys.excepthook = show
        comm = MPI.COMM_WORLD
        {first}
        pympf.factorize([[1.0]] if comm.rank != 1 else [[1.0, 2.0], [3.0, 4.0]])
        comm.Barrier()
        print("went on")
        """,
        *launcher,
    )
    assert code not in (0, 124), printed  # 124: hung until the time limit
    assert "expected a symmetric matrix" in printed
    assert "the hook that was there" in printed
    assert ("rank 1 of 3 ends the job by an uncaught error:" in printed) == (not launcher)
    assert "went on" not in printed


def test_one_process_keeps_its_hook():
    before = sys.excepthook
    check("", MPI.COMM_SELF)
    assert sys.excepthook is before
