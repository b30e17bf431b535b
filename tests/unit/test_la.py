"""The gates `as_csr` and `as_vector`: what they accept, refuse, and leave alone."""

import sys
import types

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pympf
import pympf.lsh
from pympf import gallery, la
from pympf.la import as_csr, as_vector, canonical_csr, exact_real

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def symmetric_matrix(n=6, dtype=np.float64, seed=0):
    dense = np.random.default_rng(seed).integers(-3, 4, (n, n))
    return (dense + dense.T).astype(dtype)


def stored_bytes(A):
    return [part.tobytes() for part in (A.data, A.indices, A.indptr)]


# What is accepted


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("container", [sp.coo_array, sp.coo_matrix])
def test_every_sparse_format(format_, container):
    dense = symmetric_matrix()
    A = as_csr(container(dense).asformat(format_))
    assert isinstance(A, sp.csr_array)
    assert A.has_canonical_format
    assert A.dtype == np.float64
    assert A.indices.dtype == A.indptr.dtype == np.int32
    np.testing.assert_array_equal(A.toarray(), dense)


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        (bool, np.float64),
        (np.int8, np.float64),
        (np.uint64, np.float64),
        (np.int64, np.float64),
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.longdouble, np.float64),
        (">f8", np.float64),
        (">f4", np.float32),
        (">i4", np.float64),
    ],
)
def test_dtypes(dtype, result):
    dense = abs(symmetric_matrix()).astype(dtype)
    A = as_csr(dense)
    assert A.dtype == result
    assert A.dtype.isnative
    np.testing.assert_array_equal(A.toarray(), dense.astype(np.float64))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.longdouble])
@pytest.mark.parametrize("format_", FORMATS)
def test_dtypes_of_sparse(dtype, format_):
    dense = abs(symmetric_matrix()).astype(dtype)
    A = as_csr(sp.coo_array(dense).asformat(format_))
    assert A.dtype == np.float64
    np.testing.assert_array_equal(A.toarray(), dense.astype(np.float64))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("make", [np.asarray, np.asmatrix, np.ma.asarray, np.ndarray.tolist])
def test_dense_inputs(make):
    dense = symmetric_matrix()
    np.testing.assert_array_equal(as_csr(make(dense)).toarray(), dense)


def test_canonical_matrix_is_not_copied():
    A = sp.csr_array(symmetric_matrix())
    B = as_csr(A)
    assert B is not A
    for name in ("data", "indices", "indptr"):
        assert np.shares_memory(getattr(A, name), getattr(B, name))


def test_read_only_arrays():
    A = sp.csr_array(symmetric_matrix())
    for part in (A.data, A.indices, A.indptr):
        part.flags.writeable = False
    np.testing.assert_array_equal(as_csr(A).toarray(), A.toarray())


def unsorted_with_duplicates(value_type=np.float64):
    # [[1 + 1, 5], [5, 3]], the first row written backwards and in pieces.
    data = np.array([2, 1, 3, 1, 5, 3], value_type)
    return sp.csr_array((data, np.array([1, 0, 1, 0, 0, 1]), np.array([0, 4, 6])), shape=(2, 2))


@pytest.mark.parametrize("value_type", [np.float64, np.float32, np.int64])
def test_unsorted_and_duplicate_indices_become_canonical_on_a_copy(value_type):
    A = unsorted_with_duplicates(value_type)
    before = stored_bytes(A)
    B = as_csr(A)
    np.testing.assert_array_equal(B.toarray(), [[2, 5], [5, 3]])
    assert B.has_canonical_format
    assert stored_bytes(A) == before


def test_a_wrong_flag_on_the_matrix_is_not_believed():
    A = unsorted_with_duplicates()
    A.has_canonical_format = True
    np.testing.assert_array_equal(as_csr(A).indices, [0, 1, 0, 1])


def test_duplicates_of_small_integers_do_not_overflow():
    A = sp.coo_array((np.array([100, 100], np.int8), ([0, 0], [0, 0])), shape=(1, 1))
    assert as_csr(A)[0, 0] == 200


def test_duplicates_whose_sum_overflows_are_refused():
    A = sp.coo_array(([1e308, 1e308], ([0, 0], [0, 0])), shape=(1, 1))
    with pytest.raises(ValueError, match="expected finite entries, got inf at i = 0, j = 0"):
        as_csr(A)


def test_int64_indices_that_fit():
    A = sp.csr_array(symmetric_matrix())
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    B = as_csr(A)
    assert B.indices.dtype == np.int32
    assert A.indices.dtype == np.int64
    np.testing.assert_array_equal(B.toarray(), A.toarray())


def test_spare_capacity_behind_the_last_entry_is_ignored():
    A = sp.csr_array(np.eye(2))
    A.data, A.indices = np.r_[A.data, np.nan], np.r_[A.indices, np.int32(1)]
    np.testing.assert_array_equal(as_csr(A).toarray(), np.eye(2))
    assert len(A.data) == 3


def test_one_by_one_zero_rows_and_stored_zeros():
    assert as_csr([[3]])[0, 0] == 3
    assert as_csr(sp.csr_array((4, 4))).nnz == 0
    A = sp.csr_array((np.array([0.0, 1.0]), ([0, 1], [0, 1])), shape=(3, 3))
    assert as_csr(A).nnz == 2


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-9, 9)
    )
)
def test_canonical_csr_keeps_every_matrix(dense):
    np.testing.assert_array_equal(canonical_csr(sp.coo_array(dense)).toarray(), dense)
    np.testing.assert_array_equal(canonical_csr(dense).toarray(), dense)


def test_canonical_csr_takes_rectangular_and_empty_matrices():
    assert canonical_csr(np.ones((2, 3))).shape == (2, 3)
    assert canonical_csr(sp.csr_array((0, 0))).shape == (0, 0)
    assert np.isnan(canonical_csr([[np.nan]])[0, 0])


# What is refused


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_not_finite(wrong, dtype):
    dense = np.eye(3, dtype=dtype)
    dense[1, 2] = dense[2, 1] = wrong
    with pytest.raises(ValueError, match=rf"finite entries, got {wrong} at i = 1, j = 2 \(2 such"):
        as_csr(dense)


def test_not_square():
    with pytest.raises(ValueError, match="expected a square matrix, got 2 rows and 3 columns"):
        as_csr(np.ones((2, 3)))


@pytest.mark.parametrize("A", [np.zeros((0, 0)), sp.csr_array((0, 0))])
def test_empty(A):
    with pytest.raises(ValueError, match="at least one row"):
        as_csr(A)


@pytest.mark.parametrize("A", [np.ones(3), np.ones((2, 2, 2)), sp.coo_array(np.ones(3))])
def test_not_two_dimensions(A):
    if A.ndim == 2:
        pytest.skip("this SciPy makes a row of it")
    with pytest.raises(ValueError, match="two dimensions"):
        as_csr(A)


def test_asymmetric_values_are_shown_with_their_place():
    dense = np.ones((4, 4))
    dense[1, 3] = 1.25
    dense[0, 2] = 1.5
    with pytest.raises(ValueError, match=r"max\|a_ij - a_ji\| = 0\.5 at i = 0, j = 2 \(allowed"):
        as_csr(dense)
    np.testing.assert_array_equal(as_csr(dense, symmetric=False).toarray(), dense)


def test_asymmetric_pattern_is_shown_with_its_place():
    dense = np.eye(4)
    dense[3, 1] = 2
    with pytest.raises(ValueError, match=r"max\|a_ij - a_ji\| = 2 at i = 1, j = 3"):
        as_csr(dense)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_asymmetry_within_rounding_is_allowed(dtype, tolerance):
    dense = np.array([[0, 1e3], [1e3, 0]], dtype)
    dense[0, 1] *= 1 + tolerance / 2
    as_csr(dense)
    dense[0, 1] *= 1 + 3 * tolerance
    with pytest.raises(ValueError, match="symmetric"):
        as_csr(dense)


def test_asymmetry_that_overflows():
    with pytest.raises(ValueError, match=r"max\|a_ij - a_ji\| = inf"):
        as_csr([[0, 1.5e308], [-1.5e308, 0]])


@pytest.mark.parametrize("A", [np.eye(2, dtype=complex), sp.eye_array(2, dtype=np.complex64)])
def test_complex(A):
    with pytest.raises(TypeError, match=r"expected real numbers, got complex.*\.real"):
        as_csr(A)


@pytest.mark.parametrize(
    "A", [np.array([[1, "a"]]), np.array([[object()]]), np.array([["2020"]], "M8[Y]")]
)
def test_dtypes_that_are_no_numbers(A):
    with pytest.raises(TypeError, match="expected real numbers, got dtype"):
        as_csr(A)


@pytest.mark.parametrize("A", [None, "matrix", 3.0, {1: 2}, lambda x: x])
def test_things_that_are_no_matrix(A):
    with pytest.raises(TypeError, match=f"expected an array of numbers, got {type(A).__name__}"):
        as_csr(A)


def test_integers_that_float64_cannot_hold():
    limit = 2**53
    assert as_csr(np.array([[limit]]))[0, 0] == limit
    for value in (limit + 1, -limit - 1):
        with pytest.raises(ValueError, match=f"{value} of dtype int64 has no exact float64"):
            as_csr(sp.csr_array(np.array([[value]], np.int64)))
    with pytest.raises(ValueError, match="uint64 has no exact float64"):
        as_csr(np.array([[2**64 - 1]], np.uint64))


@pytest.mark.skipif(
    np.finfo(np.longdouble).eps == np.finfo(np.float64).eps, reason="long double is double here"
)
def test_long_doubles_that_float64_cannot_hold():
    with pytest.raises(ValueError, match="no exact float64"):
        as_csr(np.array([[1 + np.finfo(np.longdouble).eps]], np.longdouble))
    assert np.isnan(exact_real(np.array([np.nan], np.longdouble), "x")[0])


def test_masked_entries():
    masked = np.ma.array(np.eye(2), mask=[[True, False], [False, False]])
    with pytest.raises(ValueError, match="masked entries"):
        as_csr(masked)


def corrupt(format_, **parts):
    A = sp.coo_array(np.eye(4)).asformat(format_)
    for name, values in parts.items():
        setattr(A, name, np.array(values))
    return A


@pytest.mark.parametrize(
    "A",
    [
        corrupt("csr", indices=[0, 1, 2, 4]),
        corrupt("csr", indices=[0, 1, 2, -1]),
        corrupt("csr", indices=[0, 1, 2, 10**9]),
        corrupt("csr", indices=[0, 1, 2, 2**40]),
        corrupt("csr", indices=[0.0, 1.0, 2.0, 3.0]),
        corrupt("csr", indices=[0, 1, 2]),
        corrupt("csr", indptr=[0, 3, 2, 3, 4]),
        corrupt("csr", indptr=[0, 1, 2, 3, 5]),
        corrupt("csr", indptr=[1, 1, 2, 3, 4]),
        corrupt("csr", indptr=[-1, 1, 2, 3, 4]),
        corrupt("csr", indptr=[0, 1, 2, 3]),
        corrupt("csr", indptr=[]),
        corrupt("csr", indptr=[0, 2**33, 2, 3, 4]),
        corrupt("csr", data=[1.0, 1.0]),
        corrupt("csc", indices=[0, 1, 2, 4]),
        corrupt("csc", indptr=[0, 3, 2, 3, 4]),
        corrupt("bsr", indices=[0, 1, 2, 4]),
        corrupt("bsr", indptr=[0, 1, 2, 3, 5]),
        corrupt("coo", row=[0, 1, 2, 4]),
        corrupt("coo", col=[0, 1, 2, -4]),
        corrupt("coo", data=[1.0]),
        corrupt("dia", offsets=[0, 1]),
    ],
)
def test_corrupt_index_arrays_do_not_crash(A):
    with pytest.raises(ValueError, match=r"corrupt (sparse|DIA) matrix"):
        as_csr(A)


def test_corrupt_lil_does_not_crash():
    A = sp.lil_array(np.eye(4))
    A.rows[2] = [7]
    with pytest.raises(ValueError, match="corrupt sparse matrix"):
        as_csr(A)


def many(value, count):
    """An array of any length in the memory of one number."""
    return np.broadcast_to(value, count)


def test_too_many_entries():
    A = sp.csr_array((2, 2))
    A.data, A.indices = many(1.0, 2**31), many(np.int64(0), 2**31)
    A.indptr = np.array([0, 2**30, 2**31])
    with pytest.raises(ValueError, match=r"at most 2147483647 .* with 2147483648 entries"):
        as_csr(A)


@pytest.mark.parametrize(
    "A",
    [
        sp.coo_array(([1.0], ([0], [0])), shape=(2**31, 2**31)),
        many(1.0, (2**31, 1)),
        many(1.0, (1, 2**31)),
    ],
)
def test_too_many_rows(A):
    with pytest.raises(ValueError, match="at most 2147483647"):
        as_csr(A)


# PETSc, by a stand-in where petsc4py is missing; tests/petsc has the real thing


@pytest.fixture
def fake_petsc(monkeypatch):
    """A module petsc4py with as much of Mat and Vec as the gates use."""

    class Mat:
        def __init__(self, csr=None, processes=1):
            self.csr, self.processes, self.converted = csr, processes, None

        def getComm(self):
            return types.SimpleNamespace(getSize=lambda: self.processes)

        def getSize(self):
            return self.csr.shape

        def convert(self, mat_type, out):
            assert mat_type == "aij"
            assert out is not self
            out.csr = self.csr
            self.converted = out
            return out

        def getValuesCSR(self):
            return self.csr.indptr, self.csr.indices, self.csr.data

        def destroy(self):
            self.csr = None

    class Vec:
        def __init__(self, values):
            self.values = values

        def getArray(self):
            return self.values

    module = types.ModuleType("petsc4py")
    module.PETSc = types.SimpleNamespace(Mat=Mat, Vec=Vec)
    Mat.__module__ = Vec.__module__ = "petsc4py.PETSc"
    monkeypatch.setitem(sys.modules, "petsc4py", module)
    return module.PETSc


def test_petsc_matrix(fake_petsc):
    A = sp.csr_array(symmetric_matrix())
    mat = fake_petsc.Mat(A)
    np.testing.assert_array_equal(as_csr(mat).toarray(), A.toarray())
    assert mat.csr is A
    assert mat.converted.csr is None, "the converted copy was not destroyed"


def test_petsc_matrix_on_many_processes(fake_petsc):
    with pytest.raises(ValueError, match="on one process, got one on 3"):
        as_csr(fake_petsc.Mat(sp.eye_array(2), processes=3))


def test_petsc_vector(fake_petsc):
    np.testing.assert_array_equal(
        as_vector(fake_petsc.Vec(np.arange(3.0)), 3, np.float64), [0, 1, 2]
    )


# Vectors


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_vector_shapes(shape, order, dtype):
    b = np.asarray(np.arange(np.prod(shape)).reshape(shape), np.float64, order=order)
    x = as_vector(b, 4, dtype)
    assert x.shape == shape
    assert x.dtype == dtype
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, b)


def test_vector_is_not_copied_when_it_fits():
    b = np.ones((3, 2))
    assert np.shares_memory(as_vector(b, 3, np.float64), b)


@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (3, 4), (4, 2, 1), (4, 0)])
def test_vector_of_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"rhs: expected shape \(4,\) or \(4, k\), got"):
        as_vector(np.zeros(shape), 4, np.float64, name="rhs")


@pytest.mark.parametrize(
    ("b", "place"), [([0, np.nan, 1], "1"), ([[0, 1], [1, 1], [1, np.inf]], r"\(2, 1\)")]
)
def test_vector_not_finite(b, place):
    with pytest.raises(ValueError, match=rf"b: expected finite values.* at {place} \(1 such"):
        as_vector(b, 3, np.float64)


def test_vector_too_large_for_float32():
    with pytest.raises(ValueError, match="expected finite values in float32, got inf at 0"):
        as_vector([1e300], 1, np.float32)


@pytest.mark.parametrize(
    "b", [np.zeros(2, complex), ["a", "b"], [None, 1], sp.csr_array((2, 1)), 3.0, None]
)
def test_vector_of_wrong_kind(b):
    with pytest.raises(TypeError, match="b: expected"):
        as_vector(b, 2, np.float64)


def test_vector_with_masked_entries():
    with pytest.raises(ValueError, match="b: masked entries"):
        as_vector(np.ma.array([1.0, 2.0], mask=[True, False]), 2, np.float64)


def test_vector_of_large_integers():
    with pytest.raises(ValueError, match="b: 9007199254740993 of dtype int64"):
        as_vector([2**53 + 1], 1, np.float64)


# Arrays in any layout

LAYOUTS = {
    "slice": lambda a: np.repeat(a, 3)[::3],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "real part": lambda a: a.astype(complex).real if a.dtype.kind == "f" else np.repeat(a, 2)[::2],
    "field": lambda a: np.rec.fromarrays([a, a], names=["a", "b"])["a"],
    "column": lambda a: np.asfortranarray(np.stack([a, a, a]))[1],
    "byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "read only": lambda a: np.frombuffer(a.tobytes(), a.dtype),
}


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array, sp.csr_matrix])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_sparse_arrays_in_any_layout(make, layout, part):
    A = make(gallery.poisson((9, 8)))
    B = A.copy()
    setattr(B, part, LAYOUTS[layout](getattr(A, part)))
    found = as_csr(B)
    for name in ("data", "indices", "indptr"):
        assert getattr(found, name).flags.c_contiguous
        np.testing.assert_array_equal(getattr(found, name), getattr(as_csr(A), name))
    x = pympf.solve(B, np.ones(72)).x
    np.testing.assert_array_equal(x, pympf.solve(A, np.ones(72)).x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_vectors_in_any_layout(rng, layout):
    A, change = gallery.poisson((9, 8)), LAYOUTS[layout]
    b, x0 = rng.standard_normal((2, 72))
    found = pympf.solve(A, change(b), x0=change(x0), near_nullspace=change(np.ones(72)))
    plain = pympf.solve(A, b, x0=x0, near_nullspace=np.ones(72))
    np.testing.assert_array_equal(found.x, plain.x)
    M = pympf.as_preconditioner(A, method="multilevel")
    np.testing.assert_array_equal(M @ change(b), M @ b)
    F = pympf.factorize(A, core_size=10)
    np.testing.assert_array_equal(F @ change(b), F @ b)
    block = rng.standard_normal((72, 4))
    for same in (np.asfortranarray(block), np.repeat(block, 2, axis=1)[:, ::2], block[::-1][::-1]):
        np.testing.assert_array_equal(M @ same, M @ block)
        np.testing.assert_array_equal(F @ same, F @ block)


def test_the_real_part_of_a_complex_matrix():
    A = gallery.poisson((9, 8))
    for C in (sp.csr_array(A.astype(complex)), sp.csc_array(A.astype(complex))):
        np.testing.assert_array_equal(as_csr(C.real).toarray(), A.toarray())


def test_a_column_is_a_vector():
    A = gallery.poisson((9, 8))
    b, x0 = np.arange(72.0), np.ones(72)
    plain = pympf.solve(A, b, x0=x0)
    for column in (b[:, None], [[v] for v in b]):
        found = pympf.solve(A, column, x0=x0[:, None])
        assert found.x.shape == (72,)
        np.testing.assert_array_equal(found.x, plain.x)
    with pytest.raises(ValueError, match=r"b: expected shape \(72,\) or \(72, k\), got \(71,\)"):
        pympf.solve(A, np.ones(71))
    with pytest.raises(ValueError, match=r"x0: expected shape \(72,\) as that of b, got \(72, 2\)"):
        pympf.solve(A, b, x0=np.ones((72, 2)))


def test_masked_entries_anywhere():
    A = gallery.poisson(6)
    masked = np.ma.array(np.ones(6), mask=np.arange(6) == 2)
    tries = {
        "b": lambda: pympf.solve(A, masked),
        "b: ": lambda: pympf.solve(A, masked[:, None]),
        "x0": lambda: pympf.solve(A, np.ones(6), x0=masked),
        "near_nullspace": lambda: pympf.as_preconditioner(A, near_nullspace=masked),
        "the matrix": lambda: as_csr([masked] * 6),
        "labels": lambda: pympf.factorize(A, labels=masked.astype(int)),
        "coordinates": lambda: pympf.rigid_body_modes(masked.reshape(3, 2)),
        "X": lambda: pympf.lsh.HyperplaneHash(2, n_functions=8).keys(masked.reshape(3, 2)),
    }
    for name, attempt in tries.items():
        with pytest.raises(ValueError, match=f"{name}.*masked entries"):
            attempt()
    for part in ("data", "indices"):
        B = sp.csr_array(A)
        setattr(B, part, np.ma.array(getattr(B, part), mask=np.arange(B.nnz) == 1))
        with pytest.raises(ValueError, match="the matrix: masked entries"):
            as_csr(B)


@pytest.mark.parametrize(
    ("values", "shape", "error", "message"),
    [
        ([1.0], ("n >= 1", 2), ValueError, r"X: expected shape \(n >= 1, 2\), got \(1,\)"),
        (np.ones((0, 2)), ("n >= 1", 2), ValueError, r"got \(0, 2\)"),
        ([1.0, 2.0], (3,), ValueError, r"X: expected shape \(3,\), got \(2,\)"),
        ([[1.0, np.inf]], ("n", 2), ValueError, r"expected finite values in float64.*\(0, 1\)"),
        (np.ma.masked_array([[1.0]], [[True]]), ("n", 1), ValueError, "X: masked entries"),
        (sp.csr_array([[1.0]]), ("n", 1), TypeError, r"dense array, got csr_array.*toarray"),
        ([["a"]], ("n", 1), TypeError, "X: expected real numbers"),
        ([[2**53 + 1]], ("n", 1), ValueError, "no exact float64"),
    ],
)
def test_bad_arrays_are_refused_in_one_wording(values, shape, error, message):
    with pytest.raises(error, match=message):
        la.as_array(values, shape, "X")


def test_arrays_that_fit_are_passed_without_a_copy():
    X = np.arange(6.0).reshape(3, 2)
    assert la.as_array(X, ("n >= 1", 2), "X") is X
    assert la.as_array(X[:0], ("n", 2), "X").shape == (0, 2)
    assert la.as_array(X.astype(np.float32), None, "X").dtype == np.float32
    assert la.as_array([[np.nan]], ("n", 1), "X", finite=False).shape == (1, 1)
    assert la.as_array(X.T, (2, 3), "X").flags.c_contiguous


def test_numbers_have_open_and_closed_ends():
    number = la.checks.number
    assert number(1, "share", above=0, most=1) == 1.0
    assert number(0, "share", 0, most=1) == 0.0
    for value in (0, 1.5, np.nan, -np.inf):
        with pytest.raises(ValueError, match=rf"share = {value} is not a number in \(0, 1\]"):
            number(value, "share", above=0, most=1)
    with pytest.raises(ValueError, match=r"noise = 0.5 is not a number in \[0, 0.5\)"):
        number(0.5, "noise", 0, 0.5)
    with pytest.raises(TypeError, match="but a str"):
        number("1", "share", 0, most=1)
