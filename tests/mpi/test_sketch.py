"""Sketches over ranks: the numbers of one process, bit for bit, on any number of ranks."""

import numpy as np
import pytest

from pympf.sketch import (
    BlockSparse,
    Graph,
    Orthonormal,
    Scheme,
    StreamingSketch,
    fit_dimension,
    recover_attributes,
    recover_frequency,
    recover_jointly,
    unroll,
)

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
SIZES = {"d": 546, "b": 39, "w": 4}


def whole(R, own):
    """Put the rows of all ranks in their places."""
    out = np.empty((R.d, *own.shape[1:]), own.dtype)
    for rows, part in zip(COMM.allgather(R.own_rows), COMM.allgather(own), strict=True):
        out[rows] = part
    return out


@pytest.mark.parametrize("law", [{"w": 4}, {"q": 1.0}, {"q": 0.2}], ids=str)
@pytest.mark.parametrize("stored", [False, True])
def test_products_are_those_of_one_process(law, stored):
    R = BlockSparse(546, b=39, seed=2, name="cat", stored=stored, comm=COMM, **law)
    one = BlockSparse(546, b=39, seed=2, name="cat", **law)
    X = np.random.default_rng(0).standard_normal((R.d, 9))
    for x in (X, X[:, 0].copy(), X.astype(np.float32)):
        mine = x[R.own_rows]
        assert (whole(R, R.apply(mine)) == one.apply(x)).all()
        assert (whole(R, R.apply_transpose(mine)) == one.apply_transpose(x)).all()
    assert (whole(R, R.columns([0, 200, 545])) == one.columns([0, 200, 545])).all()


def test_hundreds_of_implicit_matrices_of_a_million_rows():
    d, b = fit_dimension(2**20 - 1000)
    kinds = [BlockSparse(d, b=b, w=8, seed=1, name=i, comm=COMM) for i in range(200)]
    assert kinds[0].nbytes == kinds[-1].nbytes < 10_000
    x = np.zeros(d)
    x[::4099] = np.random.default_rng(0).standard_normal(len(x[::4099]))
    own = kinds[0].own_rows
    for name in (0, 199):
        one = BlockSparse(d, b=b, w=8, seed=1, name=name)
        assert (kinds[name].apply(x[own]) == one.apply(x)[own]).all()


def test_a_prefix_is_dealt_out_to_all_ranks():
    R = BlockSparse(546, b=39, comm=COMM)
    prefix = COMM.allgather(int((R.own_rows < 300).sum()))
    assert max(prefix) - min(prefix) <= R.b


def test_orthonormal_products_are_those_of_one_process():
    R, one = Orthonormal(256, seed=3, comm=COMM), Orthonormal(256, seed=3)
    X = np.random.default_rng(0).standard_normal((256, 9))
    assert (whole(R, R.apply(X[R.own_rows])) == one.apply(X)).all()
    assert (whole(R, R.apply_transpose(X[R.own_rows])) == one.apply_transpose(X)).all()


def graph_of(rng):
    graph = Graph()
    graph.add("edge", "edge", rng.random(5), signature=[1, -1, 1])
    graph.add("wheel", "wheel", rng.random(6), inputs={"edge": 0.5})
    graph.add("car", "car", rng.random(8), inputs=[("wheel", 0.6), ("edge", 0.4)])
    graph.set_output({"car": 0.7, "wheel": 0.3})
    return graph


@pytest.mark.parametrize("sizes", [SIZES, {"d": 512, "family": "orthonormal"}], ids=str)
def test_sketches_and_answers_are_those_of_one_process(sizes):
    graph = graph_of(np.random.default_rng(0))
    one, all_ranks = Scheme(seed=1, **sizes), Scheme(seed=1, comm=COMM, **sizes)
    assert one.checksum == all_ranks.checksum
    sketch = one.sketch(graph)
    assert (all_ranks.sketch(graph).values == sketch.values).all()
    left = sketch.erase(400)
    for ask in (
        lambda s: recover_attributes(s, left, "car", 0.7).value,
        lambda s: recover_attributes(s, left, "wheel", 0.42, path=(1, 1), ancestors=["car"]).value,
        lambda s: recover_frequency(s, left, "wheel", 0.3).value,
        lambda s: unroll(s, left, (1,), 0.7).values,
        lambda s: recover_jointly(s, left, graph).attributes["edge"],
    ):
        assert np.array_equal(ask(one), ask(all_ranks))
    stream = StreamingSketch(all_ranks)
    stream.add("car", "car", [1.0, 2.0], into={None: 0.5})
    stream.change("car", [2.0])
    np.testing.assert_allclose(stream.sketch.values, one.sketch(stream.graph).values, atol=1e-16)


def test_what_is_wrong_on_one_rank_raises_on_all():
    R = BlockSparse(546, b=39, comm=COMM)
    X = np.zeros(len(R.own_rows))
    if COMM.rank == COMM.size - 1:
        X[0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        R.apply(X)
    if COMM.size > 1:
        with pytest.raises(ValueError, match="expected the same on every rank"):
            BlockSparse(546, b=39, seed=COMM.rank, comm=COMM)
        with pytest.raises(ValueError, match="expected the same on every rank"):
            Scheme(seed=COMM.rank, comm=COMM, **SIZES)
        graph = Graph()
        graph.add("a", "m", np.ones(547 if COMM.rank == 0 else 3))
        graph.set_output({"a": 1.0})
        scheme = Scheme(comm=COMM, **SIZES)
        with pytest.raises(ValueError, match="at most d = 546"):
            scheme.sketch(graph)
