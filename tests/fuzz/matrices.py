"""Matrices, right-hand sides and parameters: ordinary ones, and what a caller may do to them."""

import numpy as np
import scipy.sparse as sp

from pympf import gallery


def chance(rng, probability):
    """Tell whether something happens."""
    return rng.random() < probability


def pick(rng, things):
    """Choose one of several things."""
    return things[rng.integers(len(things))]


def size(rng, largest=300):
    """Give a number of rows: small ones are as likely as large ones."""
    return int(np.exp(rng.uniform(0, np.log(largest + 1))))


# ---- ordinary matrices ---------------------------------------------------------------------------


def grid(rng):
    return gallery.poisson((size(rng, 20), size(rng, 20)))


def jumps(rng):
    A = gallery.poisson((size(rng, 16), size(rng, 16)))
    edges = sp.triu(A, 1).tocoo()
    weights = 10.0 ** rng.uniform(-9, 9, edges.nnz)
    return laplacian(edges.row, edges.col, weights, A.shape[0], pick(rng, [0, 0, 1e-9, 1.0]))


def graph(rng):
    n = size(rng)
    i, j = rng.integers(0, n, (2, int(n * rng.uniform(0.3, 4))))
    weights = 10.0 ** rng.uniform(*pick(rng, [(0, 0), (-1, 1), (-9, 9)]), len(i))
    return laplacian(i, j, weights, n, pick(rng, [0, 0, 1e-12, 1e-3, 1.0]))


def laplacian(i, j, weights, n, shift):
    off = i != j
    W = sp.coo_array((weights[off], (i[off], j[off])), shape=(n, n)).tocsr()
    W = W + W.T
    return sp.csr_array(sp.diags_array(W.sum(axis=1) + shift) - W)


def adjacency(rng):
    n = size(rng)
    if chance(rng, 0.3):  # a star
        i, j = np.zeros(n, int), np.arange(n)
    else:
        i, j = rng.integers(0, n, (2, n))
    off = i != j
    W = sp.coo_array((np.ones(off.sum()), (i[off], j[off])), shape=(n, n)).tocsr()
    return sp.csr_array(W + W.T)


def random_symmetric(rng):
    n = size(rng)
    half = sp.random_array((n, n), density=min(1, rng.uniform(0.2, 4) / n), rng=rng)
    half.data -= 0.5
    return sp.csr_array(half + half.T)


def random_definite(rng):
    A = random_symmetric(rng)
    return sp.csr_array(sp.diags_array(abs(A).sum(axis=1) + rng.uniform(0.01, 2)) + A)


def saddle_point(rng):
    A = random_definite(rng)
    n, m = A.shape[0], size(rng, 30)
    B = sp.random_array((m, n), density=min(1, 3 / n), rng=rng)
    corner = None if chance(rng, 0.5) else -1e-3 * sp.eye_array(m)
    return sp.csr_array(sp.block_array([[A, B.T], [B, corner]]))


def helmholtz(rng):
    A = grid(rng)
    return sp.csr_array(A - rng.uniform(0, 8) * sp.eye_array(A.shape[0]))


def arrow(rng):
    n = size(rng)
    A = sp.lil_array((n, n))
    A[0, :] = A[:, 0] = -1.0 / n
    A.setdiag(rng.uniform(0.5, 2, n))
    return sp.csr_array(A)


def dense(rng):
    n = size(rng, 60)
    X = rng.standard_normal((n, size(rng, 60)))
    return sp.csr_array(X @ X.T)


def diagonal(rng):
    return sp.csr_array(sp.diags_array(rng.choice([-1.0, 0.0, 1.0, 1e9], size(rng))))


def empty(rng):
    n = size(rng, 50)
    return sp.csr_array((n, n))


def convection(rng):
    A = grid(rng).tolil()
    n = A.shape[0]
    wind = rng.uniform(-3, 3)
    if n > 1:
        A.setdiag(A.diagonal(1) + wind, 1)
        A.setdiag(A.diagonal(-1) - wind, -1)
    return sp.csr_array(A)


MATRICES = (
    *(grid, jumps, graph, graph, adjacency, random_symmetric, random_definite, saddle_point),
    *(helmholtz, arrow, dense, diagonal, empty, convection),
)


# ---- what is done to them ------------------------------------------------------------------------


def scaled_on_both_sides(A, rng):
    power = pick(rng, [1, 4, 8, 40, 75, 150])
    D = sp.diags_array(10.0 ** rng.uniform(-power, power, A.shape[0]))
    return D @ A @ D


def scaled_rows(A, rng):
    power = pick(rng, [1, 8, 150])
    return sp.diags_array(10.0 ** rng.uniform(-power, power, A.shape[0])) @ A


def scaled(A, rng):
    return A * pick(rng, [1e-300, 1e-158, 1e-20, 1e20, 1e153, 1e300, -1.0, 5e-324])


def one_large_entry(A, rng):
    A = A.tolil()
    i, j = rng.integers(0, A.shape[0], 2)
    A[i, j] = A[j, i] = 10.0 ** rng.uniform(8, 30)
    return A.tocsr()


def some(A, rng):
    """Choose some of the rows."""
    n = A.shape[0]
    return rng.choice(n, size=min(n, 1 + int(rng.exponential(3))), replace=False)


def dirichlet_rows(A, rng):
    A = A.tolil()
    for i in some(A, rng):
        A[i, :] = 0
        A[i, i] = pick(rng, [1.0, 1.0, -2.0, 1e10])
    return A.tocsr()


def penalty_rows(A, rng):
    A = A.tolil()
    for i in some(A, rng):
        A[i, i] = 10.0 ** rng.uniform(8, 30)
    return A.tocsr()


def zero_rows(A, rng):
    keep = np.ones(A.shape[0])
    keep[some(A, rng)] = 0
    D = sp.diags_array(keep)
    return D @ A @ D


def zero_diagonal(A, rng):
    A = A.tolil()
    for i in some(A, rng) if chance(rng, 0.7) else range(A.shape[0]):
        A[i, i] = 0
    return A.tocsr()


def entries_on_one_side(A, rng):
    """Some entries above the diagonal are missing, zero or other than those below it."""
    A = A.tocoo()
    value = pick(rng, [None, 0.0, "near", "other"])
    changed = (A.row < A.col) & (rng.random(A.nnz) < pick(rng, [0.02, 0.3, 1.0]))
    data = A.data.copy()
    if value is None:
        keep = ~changed
        return sp.csr_array((data[keep], (A.row[keep], A.col[keep])), shape=A.shape)
    if value == 0.0:
        data[changed] = 0.0
    elif value == "near":
        data[changed] *= 1 + 10.0 ** rng.uniform(-17, -3)
    else:
        data[changed] = rng.standard_normal(changed.sum())
    return sp.csr_array((data, (A.row, A.col)), shape=A.shape)


def zeros_on_one_side(A, rng):
    """Stored zeros above the diagonal, where nothing is stored below it."""
    A, n = A.tocoo(), A.shape[0]
    i, j = np.sort(rng.integers(0, n, (2, n)), axis=0)
    if chance(rng, 0.5):
        i, j = j, i
    rows, columns = np.concatenate([A.row, i]), np.concatenate([A.col, j])
    return sp.csr_array((np.concatenate([A.data, np.zeros(n)]), (rows, columns)), shape=A.shape)


def not_finite(A, rng):
    A = sp.csr_array(A, copy=True)
    if A.nnz:
        A.data[rng.integers(A.nnz)] = pick(rng, [np.nan, np.inf, -np.inf])
    return A


ALTERATIONS = (
    *(scaled_on_both_sides, scaled_on_both_sides, scaled_rows, scaled, scaled, one_large_entry),
    *(dirichlet_rows, dirichlet_rows, penalty_rows, zero_rows, zero_diagonal),
    *(entries_on_one_side, zeros_on_one_side, not_finite),
)


def values(rng):
    """Give a matrix in canonical CSR form, float64."""
    A = pick(rng, MATRICES)(rng)
    if chance(rng, 0.6):
        for _ in range(1 + int(rng.exponential(0.4))):
            with np.errstate(all="ignore"):
                A = pick(rng, ALTERATIONS)(sp.csr_array(A), rng)
    return sp.csr_array(A)


# ---- how they are handed over --------------------------------------------------------------------


def strided(array, rng):
    """Give the same numbers in memory that is not contiguous."""
    gap = int(pick(rng, [2, 3, -1]))
    if gap == -1:
        return array[::-1].copy()[::-1]
    wide = np.zeros((len(array), gap, *array.shape[1:]), array.dtype)
    wide[:, 0] = array
    return wide[:, 0]


def with_duplicates(A, rng):
    A = A.tocoo()
    again = rng.random(A.nnz) < 0.3
    data = np.concatenate([np.where(again, A.data / 2, A.data), A.data[again] / 2])
    rows, columns = np.concatenate([A.row, A.row[again]]), np.concatenate([A.col, A.col[again]])
    order = rng.permutation(len(data))
    return sp.coo_array((data[order], (rows[order], columns[order])), shape=A.shape)


def unsorted(A, rng):
    A = sp.csr_array(A, copy=True)
    for i in range(A.shape[0]):
        row = slice(A.indptr[i], A.indptr[i + 1])
        order = rng.permutation(row.stop - row.start)
        A.indices[row], A.data[row] = A.indices[row][order], A.data[row][order]
    A.has_sorted_indices = A.has_canonical_format = False
    return A


def with_strides(A, rng):
    A = sp.csr_array(A, copy=True)
    for name in ("data", "indices", "indptr"):
        if chance(rng, 0.6):
            setattr(A, name, strided(getattr(A, name), rng))
    return A


def with_long_indices(A, rng):
    A = sp.csr_array(A, copy=True)
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


def corrupt(A, rng):
    A = sp.csr_array(A, copy=True)
    array = pick(rng, [A.indices, A.indptr])
    if array.size:
        array[rng.integers(array.size)] = pick(rng, [-1, 2**31 - 1, A.shape[0], A.nnz + 1])
    return A


def of_another_dtype(A, rng):
    dtype = pick(rng, [*[np.float32] * 6, *"g?bhilBL", np.float16, complex, ">f8", object])
    with np.errstate(all="ignore"):
        dense = dtype in (np.float16, ">f8", object)  # sparse matrices do not have these
        return (A.toarray() if dense else A).astype(dtype)


def of_another_format(A, rng):
    name = pick(rng, ["csc", "coo", "lil", "dok", "dia", "bsr", "dense", "list", "matrix"])
    if name == "dia" and A.shape[0] > 40:
        name = "csc"
    if name == "dense":
        return A.toarray(order=pick(rng, "CF"))
    if name == "list":
        return A.toarray().tolist()
    return sp.csr_matrix(A) if name == "matrix" else A.asformat(name)


def handed_over(A, rng):
    """Give the same matrix as a caller may hold it; rarely a corrupt one or another dtype."""
    ways = (with_duplicates, unsorted, with_strides, with_long_indices, of_another_format)
    if chance(rng, 0.5):
        return A
    if chance(rng, 0.06):
        return corrupt(A, rng)
    if chance(rng, 0.3):
        return of_another_dtype(A, rng)
    return pick(rng, ways)(A, rng)


def right_hand_side(A, rng):
    """Give b for a matrix in canonical form: mostly a vector, of ordinary size."""
    n = A.shape[0]
    with np.errstate(all="ignore"):
        b = pick(
            rng,
            [
                lambda: np.ones(n),
                lambda: rng.standard_normal(n),
                lambda: A @ rng.standard_normal(n),
                lambda: A @ np.ones(n),
                lambda: np.zeros(n),
                lambda: np.eye(1, n, rng.integers(n))[0],
            ],
        )()
        if chance(rng, 0.2):
            b = b * pick(rng, [1e-300, 1e-158, 1e-30, 1e30, 1e153, 1e300])
    if chance(rng, 0.8):
        return b
    with np.errstate(all="ignore"):
        single = b.astype(np.float32)
    return pick(
        rng,
        [
            lambda: strided(b, rng),
            lambda: single,
            lambda: np.rint(np.clip(np.nan_to_num(b), -9, 9)).astype(int),
            lambda: b[:, None],
            lambda: b[:-1],
            lambda: b.tolist(),
            lambda: np.where(np.arange(n) == 0, np.nan, b),
            lambda: np.ma.masked_array(b, np.arange(n) == 0),
            lambda: b + 0j,
            lambda: b.astype(str),
        ],
    )()


def near_nullspace(A, rng):
    n, m = A.shape[0], size(rng, 6)
    V = pick(
        rng,
        [
            lambda: np.ones(n),
            lambda: rng.standard_normal((n, m)),
            lambda: np.zeros((n, m)),
            lambda: np.ones((n, m)),
            lambda: rng.standard_normal((n, m)) * 10.0 ** rng.uniform(-200, 200, m),
            lambda: np.full(n, np.nan),
            lambda: np.ones((m, n)),
        ],
    )()
    return strided(V, rng) if chance(rng, 0.2) else V


def parameters(fields, rng, density=0.12):
    """Give some parameters of a field list: mostly allowed, now and then at or past an end."""
    return {field["name"]: value(field, rng) for field in fields if chance(rng, density)}


def value(field, rng):
    if chance(rng, 0.03):
        return pick(rng, [None, "", "x", -1, 0, 2.5, np.nan, np.inf, 2**70, True, [1], b"v"])
    if field["kind"] == "choice":
        return pick(rng, field["choices"])
    if field["kind"] == "bool":
        return bool(rng.integers(2))
    low, high = field["minimum"], field["maximum"]
    if chance(rng, 0.1):
        number = pick(rng, [low, high, low - 1, high + 1, np.nextafter(high, np.inf)])
    elif high > 100:  # the small numbers matter
        number = min(high, low + np.exp(rng.uniform(0, np.log(300))) - 1)
    else:
        number = rng.uniform(low, high)
    return int(number) if field["kind"] == "int" else float(number)
