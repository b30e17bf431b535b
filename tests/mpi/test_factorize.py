"""Every rank factors the same matrix: all get the same bits, and share them through files."""

import hashlib

import numpy as np
import pytest

import pympf
from pympf import gallery

from ..helpers import flat_state, same_bits

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD


def digest(arrays):
    """Give a checksum of arrays by name: equal on two ranks when all bits are."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode())
        total.update(np.ascontiguousarray(arrays[name]).tobytes())
    return total.hexdigest()


def on_all_ranks_equal(arrays):
    return len(set(COMM.allgather(digest(arrays)))) == 1


@pytest.fixture
def shared_folder(tmp_path):
    """The folder of rank 0, for all ranks."""
    return COMM.bcast(tmp_path)


def test_every_rank_has_temporary_folders_of_its_own(tmp_path_factory):
    """Or else pytest's cleaning up on one rank meets that on another."""
    root = tmp_path_factory.getbasetemp().parent
    assert len(set(COMM.allgather(str(root)))) == COMM.size


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"order": 4, "eliminate": 2, "seed": 5},
        {"prenormalize": True, "selection": "random"},
        {"clustering": "inner_product", "clusters": 7},
        {"tolerance": 0.3},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_rank_gets_the_same_bits(params, dtype):
    before = pympf.get_num_threads()
    pympf.set_num_threads(1 + COMM.rank)  # not even the number of threads matters
    try:
        A = gallery.laplacian(gallery.random_geometric_graph(3000, seed=2), shift=0.1)
        F = pympf.factorize(A.astype(dtype), max_cluster_size=200, core_size=200, **params)
        x = np.random.default_rng(0).standard_normal((3000, 12)).astype(dtype)
        results = {
            "F x": F @ x,
            "Q x": F.transform(x),
            "M x": F.preconditioner() @ x,
            "error": np.array([F.error(A), F.trace(), *F.slogdet()]),
        }
        solution = pympf.solve(A.astype(dtype), x[:, 0], preconditioner=F, rtol=1e-5)
    finally:
        pympf.set_num_threads(before)
    assert on_all_ranks_equal(flat_state(F))
    assert on_all_ranks_equal(results)
    assert solution.converged
    assert on_all_ranks_equal({"x": solution.x, "history": solution.history})


def test_ranks_work_on_their_own():
    """Other matrices and other numbers of calls on each rank: nothing here is collective."""
    for shape in range(10, 12 + COMM.rank):
        A = gallery.poisson((shape, shape))
        F = pympf.factorize(A, core_size=30)
        assert F.error(A) < 1
        assert pympf.solve(A, np.ones(shape**2), preconditioner=F).converged
    assert COMM.allreduce(1) == COMM.size


def test_saved_on_one_rank_and_loaded_on_all(shared_folder):
    A = gallery.poisson((40, 40))
    F = pympf.factorize(A, core_size=50, order=3)
    path = shared_folder / "F.h5"
    if COMM.rank == 0:
        F.save(path)
    COMM.Barrier()
    G = pympf.load(path)
    assert same_bits(F, G)
    assert on_all_ranks_equal({"y": G @ np.arange(1600.0)})


def test_every_rank_saves_the_same_file(shared_folder):
    """The last one wins, whole: no rank ever sees half a file."""
    path = shared_folder / "F.h5"
    F = pympf.factorize(gallery.poisson((40, 40)), core_size=50)
    if COMM.rank == 0:
        F.save(path)
    COMM.Barrier()
    for _ in range(5):
        F.save(path)
        assert same_bits(F, pympf.load(path))
    COMM.Barrier()
    if COMM.rank == 0:
        assert [entry.name for entry in shared_folder.iterdir()] == ["F.h5"]
