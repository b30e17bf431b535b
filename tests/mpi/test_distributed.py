"""Factorizations over ranks: the same as on one, errors on all, files for any number of ranks."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery, io
from pympf.io import tree
from pympf.la import launched

from ..helpers import assert_close, random_symmetric, rounding
from .jobs import run_command, run_job, starts_a_job

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
SHAPE = (24, 20)
N = 480


def even(n, comm):
    return [rank * (n // comm.size) + min(rank, n % comm.size) for rank in range(comm.size + 1)]


def uneven(n, comm):
    """Rank r has about r + 1 shares, the second of several none."""
    shares = [0 if r == 1 and comm.size > 2 else r + 1 for r in range(comm.size)]
    return [n * int(before) // sum(shares) for before in np.cumsum([0, *shares])]


def all_on_last(n, comm):
    return [0] * comm.size + [n]


LAYOUTS = [even, uneven, all_on_last]


def own(array, comm=COMM, layout=even, axis=0):
    """Give this rank's part of what all ranks know."""
    starts = layout(array.shape[axis], comm)
    places = slice(starts[comm.rank], starts[comm.rank + 1])
    return array[places] if axis == 0 else array[:, places]


def squares(shape=SHAPE, side=5):
    """Label squares of a grid, and squares of those."""
    i, j = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return np.array([i // s * 1000 + j // s for s in (side, 2 * side)])


def vectors(n=N, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((n, 3)).astype(dtype)


@pytest.fixture
def shared_folder(tmp_path):
    """The folder of rank 0, for all ranks."""
    return COMM.bcast(tmp_path)


def matrix(kind):
    if kind == "grid":
        return gallery.poisson(SHAPE)
    return random_symmetric(N, np.random.default_rng(1), density=0.01)


# The same as on one rank


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows_per_rank", [1, 100, 10**6])
@pytest.mark.parametrize(
    ("kind", "dtype", "params"),
    [
        ("grid", np.float64, {}),
        ("grid", np.float32, {}),
        ("random", np.float64, {"order": 4, "eliminate": 2, "prenormalize": True}),
        ("random", np.float64, {"order": 3, "selection": "random", "hub_factor": 1.0}),
    ],
)
def test_same_bits_as_alone_for_given_clusters(layout, rows_per_rank, kind, dtype, params):
    A = matrix(kind).astype(dtype)
    labels, x = squares(), vectors(dtype=dtype)
    params = params | {"core_size": 30, "rows_per_rank": rows_per_rank}
    alone = pympf.factorize(A, labels=labels, **params)
    F = pympf.factorize(
        own(A, layout=layout), comm=COMM, labels=own(labels, layout=layout, axis=1), **params
    )
    starts = layout(N, COMM)
    assert F.rows == range(starts[COMM.rank], starts[COMM.rank + 1])
    assert (F.shape, F.levels, F.core_size) == (alone.shape, alone.levels, alone.core_size)
    for key in ("rows", "nnz", "clusters", "rotations", "retired"):
        assert [s[key] for s in F.report().stages] == [s[key] for s in alone.report().stages]
    assert np.array_equal(F @ own(x, layout=layout), own(alone @ x, layout=layout))
    assert np.array_equal(F.core().toarray(), alone.core().toarray())
    one = own(x[:, 0], layout=layout)
    assert np.array_equal(F @ one, own(alone @ x[:, 0], layout=layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows_per_rank", [1, 200])
def test_functions_of_a_factorization_with_clusters_of_its_own(layout, rows_per_rank):
    A = gallery.poisson(SHAPE)
    A_own = own(A, layout=layout)
    F, twin = (
        pympf.factorize(A_own, comm=COMM, core_size=40, rows_per_rank=rows_per_rank)
        for _ in range(2)
    )
    x = own(vectors(), layout=layout)
    assert np.array_equal(F @ x, twin @ x)  # the same bits in every run
    assert_close(F.solve(F @ x), x, 1e5)
    assert_close(F.sqrt() @ (F.sqrt() @ x), F @ x, 1e5, scale=1.0)
    assert_close(F.function(lambda v: 1 / v) @ x, F.solve(x), 1e5, scale=1.0)
    c = F.transform(x)
    assert COMM.allreduce(len(c)) == N
    assert_close(F.inverse_transform(c), x, 1000)
    assert F.trace() == pytest.approx(A.trace())
    spectrum = np.concatenate(COMM.allgather(F.spectrum()))
    assert F.logdet() == pytest.approx(np.log(spectrum).sum())
    report = F.report()
    assert F.error(A_own) == pytest.approx(report.relative_error, rel=1e-6)
    again = F.refactorize(2 * A_own)
    assert_close(again @ x, 2 * (F @ x), 1000)
    assert len(set(COMM.allgather(str([s["bytes"] for s in report.stages])))) == 1
    # Wavelets: orthonormal, each level where it says.
    for level in range(1, F.levels + 1):
        w, v = (F.wavelet(level, i).toarray()[:, 0] for i in (0, 1))
        assert COMM.allreduce(w @ w) == pytest.approx(1)
        assert abs(COMM.allreduce(w @ v)) <= rounding(100)
        coefficients = F.transform(w)
        place = F.level_slice(level)
        inside = COMM.allreduce(np.abs(coefficients[place]).sum())
        assert inside == pytest.approx(COMM.allreduce(np.abs(coefficients).sum()))
        assert inside == pytest.approx(1)
    f = F.scaling_function(F.levels, F.core_size - 1).toarray()
    assert COMM.allreduce((f**2).sum()) == pytest.approx(1)
    with pytest.raises(IndexError):
        F.scaling_function(F.levels, F.core_size)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_more_ranks_than_rows(n):
    A = gallery.poisson(n) if n > 1 else sp.csr_array([[3.0]])
    F = pympf.factorize(own(A), comm=COMM, core_size=1)
    x = own(np.arange(1.0, n + 1))
    assert F.shape == (n, n)
    assert_close(F.solve(F @ x), x, 1000, scale=1.0)


def test_other_formats_and_a_communicator_of_one():
    A = gallery.poisson(SHAPE)
    x = own(vectors())
    expected = pympf.factorize(own(A), comm=COMM, core_size=40) @ x
    for form in ("csc", "coo", "lil"):
        assert np.array_equal(
            pympf.factorize(own(A).asformat(form), comm=COMM, core_size=40) @ x, expected
        )
    wide = own(A)
    wide = sp.csr_array((wide.data, wide.indices.astype(np.int64), wide.indptr), shape=wide.shape)
    assert np.array_equal(pympf.factorize(wide, comm=COMM, core_size=40) @ x, expected)
    F = pympf.factorize(A, comm=MPI.COMM_SELF, core_size=40)
    assert np.array_equal(F @ vectors(), pympf.factorize(A, core_size=40) @ vectors())
    assert F.comm == MPI.COMM_SELF


@pytest.mark.parametrize("mat_type", ["aij", "sbaij", "baij"])
def test_petsc_matrices(mat_type):
    PETSc = pytest.importorskip("petsc4py.PETSc")
    A = gallery.poisson(SHAPE)
    part = own(A)
    local = (part.indptr.astype(PETSc.IntType), part.indices.astype(PETSc.IntType), part.data)
    mat = PETSc.Mat().createAIJ(((part.shape[0], N), (part.shape[0], N)), csr=local, comm=COMM)
    mat.setOption(PETSc.Mat.Option.SYMMETRIC, True)  # or there is no sbaij of it
    mat = mat.convert(mat_type)
    expected = pympf.factorize(part, comm=COMM, core_size=40) @ own(vectors())
    for comm in (COMM, None):
        F = pympf.factorize(mat, comm=comm, core_size=40)
        assert np.array_equal(F @ own(vectors()), expected)
    if COMM.size > 1:
        with pytest.raises(ValueError, match="ranks of comm, got one on"):
            pympf.la.as_rows(mat, MPI.COMM_SELF)


def test_traffic_is_counted():
    A = gallery.poisson((60, 60))
    F = pympf.factorize(own(A), comm=COMM, core_size=40, rows_per_rank=1)
    lines = F.report().stages
    x = np.ones(len(F.rows))
    before = F.traffic()
    F @ x
    after = F.traffic()
    sent = COMM.allreduce(after["messages"] - before["messages"])
    if COMM.size == 1:
        assert sent == 0
        assert all(line["message_bytes"] == 0 for line in lines)
    else:
        assert sent > 0
        assert all(line["messages"] > 0 and line["message_bytes"] > 0 for line in lines)
        assert all(line["ranks"] == COMM.size for line in lines)
        assert lines[0]["message_bytes"] < 40 * A.nnz  # the borders, not the matrix


# What is refused, on all ranks


def raises_on_all(kind, match, call):
    """Every rank gets an error of this kind and text, and the communicator still works."""
    with pytest.raises(kind, match=match) as caught:
        call()
    if COMM.size > 1:
        assert len(set(COMM.allgather(str(caught.value)))) == 1
    COMM.Barrier()


@pytest.mark.parametrize("failing", [0, -1])
def test_errors_on_one_rank_raise_on_all(failing):
    failing %= COMM.size
    here = COMM.rank == failing
    who = f"rank {failing} of {COMM.size}: " if COMM.size > 1 else ""
    good = own(gallery.poisson(SHAPE))

    def factorize(bad, **options):
        return lambda: pympf.factorize(bad if here else good, comm=COMM, **options)

    nan = good.copy()
    nan.data[0] = np.nan
    raises_on_all(ValueError, f"{who}expected finite entries, got nan", factorize(nan))
    raises_on_all(TypeError, f"{who}.*complex128", factorize(good * 1j))
    text = good.toarray().astype(object)
    raises_on_all(TypeError, f"{who}.*object", factorize(text))
    F = pympf.factorize(good, comm=COMM, core_size=40)
    x = np.full(len(F.rows), np.inf if here else 1.0)
    raises_on_all(ValueError, f"{who}x: expected finite values", lambda: F @ x)
    raises_on_all(ValueError, f"{who}x: expected shape", lambda: F @ np.ones(1 if here else len(x)))

    def fail(*_):
        raise KeyError("tired")

    with pytest.raises(KeyError if here else RuntimeError):
        pympf.factorize(good, comm=COMM, core_size=40, progress=fail if here else None)
    assert np.array_equal(F @ np.ones(len(x)), F @ np.ones(len(x)))
    labels = own(squares(), axis=1)
    raises_on_all(
        TypeError,
        f"{who}labels: expected integers",
        lambda: pympf.factorize(good, comm=COMM, labels=labels * (0.5 if here else 1)),
    )
    raises_on_all(
        ValueError,
        f"{who}labels: expected shape",
        lambda: pympf.factorize(good, comm=COMM, labels=labels[:, 1:] if here else labels),
    )


def test_what_all_ranks_see_is_refused():
    A = gallery.poisson(SHAPE)
    corner = sp.coo_array(([1.0], ([0], [N - 1])), shape=A.shape)  # of two ranks
    skew = sp.csr_array(A + corner)
    raises_on_all(
        ValueError,
        r"symmetric matrix, got max\|a_ij - a_ji\| = 1 ",
        lambda: pympf.factorize(own(skew), comm=COMM),
    )
    half = own(A)[:, :-1]
    raises_on_all(ValueError, "expected a square matrix", lambda: pympf.factorize(half, comm=COMM))
    raises_on_all(
        ValueError,
        "expected a square matrix|at least one row",
        lambda: pympf.factorize(sp.csr_array((0, 0)), comm=COMM),
    )
    raises_on_all(
        ValueError, "unknown parameter", lambda: pympf.factorize(own(A), comm=COMM, speed=1)
    )
    crossing = own(np.roll(squares(), 1, axis=1), axis=1)
    crossing[0] = own(squares(), axis=1)[0]
    raises_on_all(
        ValueError,
        "every cluster must lie in one cluster",
        lambda: pympf.factorize(own(A), comm=COMM, labels=crossing),
    )
    with pytest.raises(TypeError, match="expected an mpi4py communicator"):
        pympf.factorize(own(A), comm=3)


@pytest.mark.skipif(COMM.size == 1, reason="one rank agrees with itself")
def test_what_ranks_must_agree_on():
    A = own(gallery.poisson(SHAPE))
    first = COMM.rank == 0
    raises_on_all(
        ValueError,
        "dtype of the matrix: expected the same on every rank",
        lambda: pympf.factorize(A.astype(np.float32) if first else A, comm=COMM),
    )
    raises_on_all(
        ValueError,
        "parameters: expected the same on every rank",
        lambda: pympf.factorize(A, comm=COMM, seed=int(first)),
    )
    raises_on_all(
        ValueError,
        "columns of the matrix",
        lambda: pympf.factorize(A[:, :-1] if first else A, comm=COMM),
    )
    labels = own(squares(), axis=1)
    raises_on_all(
        ValueError,
        "depths of labels",
        lambda: pympf.factorize(A, comm=COMM, labels=labels[0] if first else labels),
    )
    F = pympf.factorize(A, comm=COMM, core_size=40)
    raises_on_all(
        ValueError,
        "x: shape without the rows",
        lambda: F @ np.ones((len(F.rows), 2 if first else 3)),
    )


@pytest.mark.skipif(COMM.size == 1, reason="one rank has all of it")
def test_what_needs_one_process_says_so():
    A = gallery.poisson(SHAPE)
    F = pympf.factorize(own(A), comm=COMM, core_size=40)
    for call in (F.basis, F.to_csr, F.aslinearoperator, lambda: F.error(own(A), norm=2)):
        with pytest.raises(ValueError, match="whole factorization on one process"):
            call()
    with pytest.raises(
        ValueError, match=r"ranks cannot precondition a system on 1|the preconditioner is"
    ):
        pympf.solve(A, np.ones(N), preconditioner=F)


# Files


def groups():
    """Give communicators of the first ranks, from one to all; None where this rank is not in."""
    for size in range(1, COMM.size + 1):
        comm = COMM.Split(0 if COMM.rank < size else MPI.UNDEFINED)
        yield size, (comm if comm != MPI.COMM_NULL else None)
        COMM.Barrier()


@pytest.mark.parametrize(
    ("layout", "params"),
    [
        (even, {"rows_per_rank": 1}),
        (uneven, {"rows_per_rank": 100, "labels": True}),
        (uneven, {"rows_per_rank": 1, "order": 4, "eliminate": 2, "prenormalize": True}),
        (even, {"rows_per_rank": 60, "tolerance": 0.1}),
        (even, {"max_stages": 0}),
        (uneven, {"max_stages": 0, "labels": True}),
        (even, {"max_stages": 1, "core_size": 1}),
    ],
)
def test_saved_and_loaded_on_any_number_of_ranks(params, layout, shared_folder):
    A, x = matrix("random"), vectors()
    params = {"core_size": 30} | params
    labels = squares() if params.pop("labels", False) else None
    path = shared_folder / "F.h5"
    for writers, writing in groups():
        if writing is not None:
            given = None if labels is None else own(labels, writing, layout, axis=1)
            F = pympf.factorize(own(A, writing, layout), comm=writing, labels=given, **params)
            y = np.concatenate(writing.allgather(F @ own(x, writing, layout)))
            solved = np.concatenate(writing.allgather(F.inverse(1e-12) @ own(x, writing, layout)))
            F.save(path)
        y, solved = COMM.bcast((y, solved) if COMM.rank == 0 else None)
        for readers, reading in groups():
            if reading is None:
                continue
            starts = layout(N, reading)
            rows = starts[reading.rank + 1] - starts[reading.rank]
            G = pympf.load(path, reading, rows=rows)
            assert G.rows == range(starts[reading.rank], starts[reading.rank + 1])
            assert np.array_equal(G @ own(x, reading, layout), own(y, reading, layout))
            inverse = G.inverse(1e-12) @ own(x, reading, layout)
            assert np.array_equal(inverse, own(solved, reading, layout))
            if readers == writers and labels is None and "tolerance" not in params:
                # Each rank has what it had, so nothing moves between ranks that did not before.
                assert [G._factors.kept(p) for p in range(G.levels + 1)] == [
                    F._factors.kept(p) for p in range(F.levels + 1)
                ]
            default = pympf.load(path, reading)
            assert_close(default.trace(), G.trace(), 1000, scale=1.0)
            assert default.report().stages == G.report().stages
    COMM.Barrier()
    assert COMM.rank != 0 or [entry.name for entry in shared_folder.iterdir()] == ["F.h5"]


def test_a_large_core_is_saved_sparse(shared_folder):
    A = gallery.poisson((40, 40))
    F = pympf.factorize(own(A), comm=COMM, core_size=700, rows_per_rank=1)
    F.save(shared_folder / "F.h5")
    x = vectors(1600)
    assert np.array_equal(pympf.load(shared_folder / "F.h5", COMM) @ own(x), F @ own(x))
    alone = pympf.load(shared_folder / "F.h5")
    assert "core_data" in alone._factors.state()[0]
    assert np.array_equal(own(alone @ x), F @ own(x))


def test_rows_that_do_not_add_up(shared_folder):
    path = shared_folder / "F.h5"
    pympf.factorize(own(gallery.poisson(SHAPE)), comm=COMM, core_size=40).save(path)
    raises_on_all(ValueError, f"how many of the {N} rows", lambda: pympf.load(path, COMM, rows=7))


def test_damaged_files_are_refused_on_all_ranks(shared_folder):
    h5py = pytest.importorskip("h5py")
    path = shared_folder / "F.h5"
    F = pympf.factorize(own(gallery.poisson(SHAPE)), comm=COMM, core_size=40, rows_per_rank=1)
    for name, where, value in [
        ("stage_1/destination", -1, 0),
        ("stage_1/index", -1, 10**6),
        ("stage_2/rotation_ptr", -1, 10**6),
        ("stage_1/cluster_ptr", -1, 0),
        ("order", 3, 4),
        ("order", -1, N),
        ("diagonal", -1, np.nan),
    ]:
        F.save(path)
        if COMM.rank == 0:
            with h5py.File(path, "a") as file:
                file[name][where] = value
        COMM.Barrier()
        with pytest.raises(OSError, match=r"F\.h5"):
            pympf.load(path, COMM)
        COMM.Barrier()
    raises_on_all(OSError, r"nothing\.h5", lambda: pympf.load(shared_folder / "nothing.h5", COMM))


@pytest.mark.parametrize("failing", [0, -1])
def test_a_rank_that_cannot_write_leaves_the_old_file(failing, shared_folder, monkeypatch):
    path = shared_folder / "F.h5"
    pympf.factorize(own(gallery.poisson(SHAPE)), comm=COMM, core_size=40).save(path)
    before = path.read_bytes()
    G = pympf.factorize(own(gallery.poisson(SHAPE)), comm=COMM, core_size=80)
    raises_on_all(OSError, "there is no directory", lambda: G.save(shared_folder / "no" / "F.h5"))

    def full(*_):
        raise OSError(28, "No space left on device")

    # With an h5py that has MPI all ranks write at once, and a full disk is full for all.
    monkeypatch.setattr(tree, "_fill_together", full)
    if COMM.rank == failing % COMM.size:
        monkeypatch.setattr(tree, "_fill", full)
    raises_on_all(OSError, "No space left", lambda: G.save(path))
    assert path.read_bytes() == before
    assert [entry.name for entry in shared_folder.iterdir()] == ["F.h5"]


@pytest.mark.parametrize("suffix", ["petsc", "h5", "mtx.gz", "npz"])
def test_matrices_are_read_by_rows(suffix, shared_folder):
    A = abs(matrix("random"))
    path = shared_folder / f"A.{suffix}"
    if COMM.rank == 0:
        io.write_matrix(path, A)
    COMM.Barrier()
    for options in ({}, {"shift": 0.5}, {"laplacian": True, "shift": 1e-3}):
        part, whole = io.read_rows(path, COMM, **options), io.read_matrix(path, **options)
        assert part.shape == own(whole).shape
        assert (part != own(whole)).nnz == 0
    A_own = io.read_rows(path, COMM, laplacian=True, shift=1.0)
    assert pympf.factorize(A_own, comm=COMM, core_size=40).shape == (N, N)
    assert pympf.factorize(path, comm=COMM, core_size=40).shape == (N, N)
    raises_on_all(ValueError, "finite shift", lambda: io.read_rows(path, COMM, shift=np.nan))
    if COMM.rank == 0:
        path.write_bytes(path.read_bytes()[:-100])
    COMM.Barrier()
    raises_on_all(OSError, path.name, lambda: io.read_rows(path, COMM))
    raises_on_all(OSError, "No such file", lambda: io.read_rows(shared_folder / "B.petsc", COMM))


# Jobs that end early, and the command line


@starts_a_job
def test_a_killed_rank_leaves_the_old_file(tmp_path):
    F = pympf.factorize(gallery.poisson(SHAPE), core_size=40)
    F.save(tmp_path / "F.h5")
    before = (tmp_path / "F.h5").read_bytes()
    code, printed = run_job(
        tmp_path,
        """
        import os, signal
        from mpi4py import MPI
        import pympf
        from pympf.io import tree

        comm = MPI.COMM_WORLD
        A = pympf.gallery.poisson((30, 30))[300 * comm.rank : 300 * (comm.rank + 1)]
        F = pympf.factorize(A, comm=comm, core_size=50)
        if comm.rank == 1:
            tree._fill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            tree._fill_together = tree._fill
        F.save("F.h5")
        print("went on")
        """,
    )
    assert code not in (0, 124), printed
    assert "went on" not in printed
    assert (tmp_path / "F.h5").read_bytes() == before
    assert pympf.load(tmp_path / "F.h5").shape == (N, N)


@starts_a_job
def test_an_error_in_a_collective_call_on_one_rank_ends_the_job(tmp_path):
    code, printed = run_job(
        tmp_path,
        """
        from mpi4py import MPI
        import pympf
        from pympf.la import Ranks

        comm = MPI.COMM_WORLD
        A = pympf.gallery.poisson((30, 30))[300 * comm.rank : 300 * (comm.rank + 1)]
        F = pympf.factorize(A, comm=comm, core_size=50)
        try:
            with Ranks(comm).together():
                if comm.rank == 1:
                    raise MemoryError("no room for the rows")
                F @ [1.0] * 300
                F @ [1.0] * 300
        except MemoryError:
            pass
        comm.Barrier()
        print("went on")
        """,
    )
    assert code not in (0, 124), printed
    assert "rank 1 of 3 ends the job" in printed
    assert "no room for the rows" in printed
    assert "went on" not in printed


@starts_a_job
def test_command_line(tmp_path):
    A = gallery.laplacian(gallery.random_geometric_graph(2000, seed=2), shift=0.1)
    io.write_matrix(tmp_path / "A.petsc", A)
    io.write_vector(tmp_path / "x.npy", vectors(2000))
    pympf_command = str(Path(sys.executable).parent / "pympf")

    def run(*arguments):
        code, printed = run_command(tmp_path, pympf_command, *arguments)
        return code, printed

    code, printed = run("factor", "A.petsc", "-o", "F.h5", "--rows-per-rank", "100", "--json")
    assert code == 0, printed
    report = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    assert report["rows"] == 2000
    assert report["stages"][0]["ranks"] == 3
    assert printed.count("stage 1:") == 1
    F = pympf.load(tmp_path / "F.h5")
    x = vectors(2000)
    for function, expected in (
        ("transform", F.transform(x)),
        ("inverse_transform", F.inverse_transform(x)),
    ):
        code, printed = run("apply", "F.h5", "x.npy", "-o", "y.npy", "--function", function)
        assert code == 0, printed
        assert printed.count("norm out") == 1
        assert_close(np.load(tmp_path / "y.npy"), expected, 1000)
    A = gallery.laplacian(gallery.random_geometric_graph(2000, seed=2), shift=0.1)
    code, printed = run(
        *("solve", "A.petsc", "--rhs", "random", "-o", "y.npy", "--factorization", "F.h5")
    )
    assert code == 0, printed
    assert printed.count("iterations ") == 1
    b = np.random.default_rng(0).standard_normal(2000)
    assert np.linalg.norm(b - A @ np.load(tmp_path / "y.npy")) <= 2e-8 * np.linalg.norm(b)
    for arguments, expected, message in (
        (("factor", "none.petsc", "-o", "G.h5"), 4, "No such file"),
        (("info", "F.h5"), 2, "info runs on one process"),
    ):
        code, printed = run(*arguments)
        assert code == expected, printed
        assert printed.partition("==>")[0].count(message) == 1
    assert not (tmp_path / "G.h5").exists()


@starts_a_job
def test_ranks_that_do_not_find_each_other_get_one_message(tmp_path):
    io.write_matrix(tmp_path / "A.petsc", gallery.poisson(30))
    printed = []
    for rank in (0, 1):
        # What mpirun of MPICH sets, for a process of Open MPI's world of one.
        code, text = run_alone(
            tmp_path,
            {"PMI_RANK": str(rank), "PMI_SIZE": "2"},
            "-m",
            "pympf",
            "factor",
            "A.petsc",
            "-o",
            "F.h5",
        )
        assert code == 2, text
        printed.append(text)
    assert "the launcher started 2 processes, but MPI tells each that it is alone" in printed[0]
    assert printed[1] == ""
    code, text = run_alone(
        tmp_path,
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
        "-c",
        "from mpi4py import MPI; import pympf; pympf.factorize([[1.0]], comm=MPI.COMM_WORLD)",
    )
    assert code != 0
    assert "mpiexec and the MPI library that mpi4py found" in text


def run_alone(folder, variables, *arguments):
    """Run Python as one process that believes in these variables."""
    import subprocess

    inherited = ("OMPI_", "PMIX_", "PMI_", "HYDRA_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=own | variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}, (2, 3)),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, (1, 4)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # in an allocation, without srun
        ({"PMIX_RANK": "3", "SLURM_NTASKS": "8", "SLURM_PROCID": "3"}, (3, 8)),
        ({"PMI_RANK": "0", "PMI_SIZE": "many"}, None),
    ],
)
def test_launchers_are_known_by_their_variables(variables, place):
    assert launched(variables) == place
