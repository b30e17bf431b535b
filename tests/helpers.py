"""What the tests of the engine share: tolerances, matrices, and comparisons bit for bit."""

import os
import resource
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

from pympf import Params, gallery
from pympf._engine import core


def has_sparse_factors():
    """Tell whether pympf was built with a library that factors every symmetric matrix."""
    return bool(core.factor_backends()["symmetric"])


needs_sparse_factors = pytest.mark.skipif(
    not has_sparse_factors(), reason="pympf was built without a library of sparse direct factors"
)


def rounding(multiple, dtype=np.float64):
    """Give a tolerance: a multiple of the machine epsilon of a dtype."""
    return multiple * float(np.finfo(dtype).eps)


def assert_close(actual, expected, multiple=100, dtype=np.float64, scale=0.0):
    """Compare in the Euclidean norm, relative to the larger of the expected norm and `scale`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    size = max(np.linalg.norm(expected), scale)
    difference = np.linalg.norm(actual.astype(np.float64) - expected)
    assert difference <= rounding(multiple, dtype) * size, f"{difference / size:.3g} relative"


def same_bits(*factorizations):
    """Tell whether factorizations hold the same numbers, bit for bit."""
    states = [flat_state(F) for F in factorizations]
    return all(
        state.keys() == states[0].keys()
        and all(np.array_equal(state[name], states[0][name]) for name in state)
        for state in states[1:]
    )


def flat_state(F):
    """Give all arrays that make up a factorization, by name."""
    arrays, stages = F._factors.state()
    for level, stage in enumerate(stages, 1):
        arrays |= {f"{name} of stage {level}": array for name, array in stage.items()}
    return arrays


def random_symmetric(n, rng, density=0.2, dtype=np.float64):
    """Give a sparse matrix with eigenvalues of both signs; some rows may be empty."""
    half = np.triu(rng.standard_normal((n, n)) * (rng.random((n, n)) < density))
    return sp.csr_array((half + half.T).astype(dtype))


def random_graph_laplacian(n, rng, degree=4):
    """Give the Laplacian of a random weighted graph, which need not be connected."""
    i, j = rng.integers(0, n, (2, n * degree // 2))
    keep = i != j
    W = sp.coo_array((rng.random(keep.sum()), (i[keep], j[keep])), shape=(n, n)).tocsr()
    return gallery.laplacian(W + W.T)


def random_spd(n, rng):
    """Give a positive definite matrix: a graph Laplacian with a positive diagonal added."""
    return sp.csr_array(random_graph_laplacian(n, rng) + sp.diags_array(0.01 + rng.random(n)))


def nested_pairs(levels, rng, core_size=2, angles=None):
    """Give a full matrix that pairs factor exactly: A = Qᵀ H Q with 2^levels core_size rows.

    Each function splits into two at a random angle (or the given one); rows come shuffled.
    """
    A = rng.standard_normal((core_size, core_size))
    A = A + A.T
    for _ in range(levels):
        n = len(A)
        angle = rng.uniform(0.2, 1.3, n) if angles is None else np.full(n, angles)
        c, s = np.diag(np.cos(angle)), np.diag(np.sin(angle))
        up, down = np.vstack([c, s]), np.vstack([-s, c])
        A = up @ A @ up.T + down @ np.diag(rng.standard_normal(n)) @ down.T
    shuffle = rng.permutation(len(A))
    A = A[shuffle][:, shuffle]
    return (A + A.T) / 2


@st.composite
def matrices(draw, max_rows=40):
    """Draw a symmetric float64 matrix of some kind, singular and disconnected ones among them."""
    n = draw(st.integers(1, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    A = draw(
        st.sampled_from(
            [
                lambda: random_symmetric(n, rng),
                lambda: random_symmetric(n, rng, density=1),
                lambda: random_graph_laplacian(n, rng),
                lambda: random_spd(n, rng),
                lambda: gallery.poisson(n),
                lambda: sp.csr_array(np.ones((n, n))),
                lambda: sp.csr_array(sp.diags_array(rng.integers(-2, 3, n).astype(float))),
                lambda: sp.csr_array(sp.block_diag([random_spd(n, rng), random_symmetric(3, rng)])),
            ]
        )
    )()
    return sp.csr_array(A * draw(st.sampled_from([1.0, 1e-30, 1e30])))


@st.composite
def rectangular(draw, most=9):
    """Draw a small sparse matrix with ties, zero rows and zero columns among its kinds."""
    m, n = draw(st.integers(1, most)), draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = draw(st.sampled_from(["real", "ties", "wide"]))
    A = {
        "real": lambda: rng.standard_normal((m, n)),
        "ties": lambda: rng.integers(1, 3, (m, n)).astype(float),
        "wide": lambda: 10.0 ** rng.uniform(-100, 100, (m, n)),
    }[values]()
    A[rng.random((m, n)) > draw(st.sampled_from([0.2, 0.4, 1.0]))] = 0
    return A


@st.composite
def parameters(draw):
    """Draw parameters of the factorization, with what suits matrices of a few dozen rows."""
    small = {
        "order": (2, 5),
        "eliminate": (1, 4),
        "core_size": (1, 30),
        "max_stages": (0, 8),
        "clusters": (0, 5),
        "min_cluster_size": (1, 5),
        "max_cluster_size": (5, 40),
        "max_clustering_depth": (1, 4),
        "max_clustering_iterations": (1, 8),
        "seed": (0, 2**31 - 1),
        "rows_per_rank": (1, 100),
        "rotation_fraction": (0.05, 1.0),
        "hub_factor": (1.0, 10.0),
        "tolerance": (0.0, 1.0),
    }
    params = {}
    for field in Params.fields():
        if not draw(st.booleans()):
            continue
        if field["kind"] == "choice":
            value = st.sampled_from(field["choices"])
        elif field["kind"] == "bool":
            value = st.booleans()
        else:
            make = st.integers if field["kind"] == "int" else st.floats
            value = make(*small[field["name"]])
        params[field["name"]] = draw(value)
    params["order"] = max(params.get("order", 2), params.get("eliminate", 1) + 1)
    return params


@contextmanager
def file_size_limit(size):
    """Let no file grow beyond a size, as a disk that is full then would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wikitablequestions():
    """Give the folder of the data set's files, or skip: nothing is shipped."""
    shared = Path(os.environ.get("PYMPF_SHARED", Path(__file__).parents[2] / "shared"))
    archive = shared / "data" / "attribution" / "wikitablequestions.tar.xz"
    if not archive.exists():
        pytest.skip(f"no questions at {archive}: set PYMPF_SHARED")
    folder = Path(tempfile.gettempdir()) / f"pympf_wtq_{os.getuid()}"
    if not (folder / "LICENSE").exists():
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
    return folder
