"""Errors on some ranks: all ranks learn of them, and a job never hangs."""

import sys

import pytest

import pympf
from pympf import gallery
from pympf._mpi import check_on_all

from .jobs import run_job, starts_a_job

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


def check(error, comm=COMM):
    check_on_all(comm, error)


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
    with pytest.raises(ValueError, match="MPI_COMM_NULL"):
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


# Jobs that end early


@starts_a_job
def test_a_job_of_three_ranks_runs(tmp_path):
    code, printed = run_job(
        tmp_path,
        """
        from mpi4py import MPI
        import pympf
        from pympf._mpi import check_on_all
        F = pympf.factorize(pympf.gallery.poisson((10, 10)), core_size=20)
        check_on_all(MPI.COMM_WORLD, "")
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
        from pympf._mpi import check_on_all
        comm = MPI.COMM_WORLD
        check_on_all(comm, "no disk" if comm.rank == 2 else "")
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
        ([], "check_on_all(comm, '')"),  # pympf does, once it has communicated
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
        from pympf._mpi import check_on_all

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
