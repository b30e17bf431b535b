"""Bad and unusual input: what each kind of matrix, vector and parameter gives on every way in."""

import math
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

import pympf
from pympf import gallery
from pympf.cli import main

from ..helpers import assert_close


def asymmetric():
    A = gallery.poisson(5).tolil()
    A[0, 1] = -2
    return A.tocsr()


def with_entry(value):
    A = gallery.poisson(5)
    A.data[0] = value
    return A


def more_entries_than_indices():
    """Claim 3 billion entries without having them: all are the same four bytes."""
    A, count = sp.coo_array((10**6, 10**6)), 3_000_000_000
    A.data = np.broadcast_to(np.float32(1), count)
    A.coords = (np.broadcast_to(np.int32(0), count),) * 2
    return A


REFUSED = {
    "NaN": (lambda: with_entry(np.nan), ValueError, "expected finite entries, got nan at i = 0"),
    "infinite": (lambda: with_entry(-np.inf), ValueError, "expected finite entries, got -inf"),
    "not square": (lambda: sp.csr_array((3, 4)), ValueError, "expected a square matrix"),
    "asymmetric": (asymmetric, ValueError, "expected a symmetric matrix.*max|a_ij - a_ji| = 1"),
    "empty": (lambda: sp.csr_array((0, 0)), ValueError, "at least one row"),
    "a vector": (lambda: np.ones(4), ValueError, "two dimensions"),
    "three dimensions": (lambda: np.ones((2, 2, 2)), ValueError, "two dimensions"),
    "complex": (lambda: gallery.poisson(5).astype(complex), TypeError, "got complex128"),
    "objects": (lambda: np.array([[1, None], [None, 1]]), TypeError, "got dtype object"),
    "text": (lambda: "matrix.mtx", TypeError, "expected an array of numbers, got str"),
    "nothing": (lambda: None, TypeError, "got NoneType"),
    "masked": (lambda: np.ma.array(np.eye(2), mask=np.eye(2)), ValueError, "masked"),
    "big integers": (lambda: np.diag([2**53 + 1, 1]), ValueError, "no exact float64 value"),
    "too many rows": (lambda: sp.coo_array((2**31, 2**31)), ValueError, "at most 2147483647"),
    "too many entries": (more_entries_than_indices, ValueError, "at most 2147483647"),
    "too tall": (lambda: np.broadcast_to(1.0, (2**31, 2)), ValueError, "at most 2147483647"),
}

WAYS_IN = {
    "factorize": pympf.factorize,
    "as_preconditioner": pympf.as_preconditioner,
    "solve": lambda A: pympf.solve(A, np.ones(5)),
    "solve with CG": lambda A: pympf.solve(A, np.ones(5), method="cg", preconditioner="none"),
    "error": lambda A: pympf.factorize(gallery.poisson(5)).error(A),
}


@pytest.mark.parametrize("way", WAYS_IN)
@pytest.mark.parametrize("case", REFUSED)
def test_matrices_that_are_refused(case, way):
    make, error, message = REFUSED[case]
    if case == "asymmetric" and way in ("as_preconditioner", "solve"):
        WAYS_IN[way](make())  # taken as it is
        return
    with pytest.raises(error, match=message):
        WAYS_IN[way](make())


ACCEPTED = {
    "1 x 1": (lambda: [[4.0]], np.array([[4.0]])),
    "integers": (lambda: np.array([[2, -1], [-1, 2]]), None),
    "booleans": (lambda: np.array([[True, False], [False, True]]), None),
    "unsigned bytes": (lambda: np.array([[200, 100], [100, 200]], dtype=np.uint8), None),
    "lists": (lambda: [[2, 1], [1, 2]], None),
    "zero rows": (lambda: sp.csr_array(np.diag([1.0, 0.0, 2.0, 0.0])), None),
    "no entries": (lambda: sp.csr_array((150, 150)), None),
    "stored zeros": (lambda: with_entry(0.0), None),
    "disconnected": (lambda: sp.block_diag([gallery.poisson(90), gallery.poisson(90)]), None),
    "singular": (lambda: sp.csr_array(np.ones((120, 120))), None),
    "negative": (lambda: -gallery.poisson(120), None),
    "unsorted": (
        lambda: sp.csr_array(([-1.0, 2, 2, -1], [1, 0, 1, 0], [0, 2, 4]), shape=(2, 2)),
        np.array([[2.0, -1.0], [-1.0, 2.0]]),
    ),
    "duplicates": (
        lambda: sp.coo_array(([1.0, 1, 2, -1, -1], ([0, 0, 1, 0, 1], [0, 0, 1, 1, 0]))),
        np.array([[2.0, -1.0], [-1.0, 2.0]]),
    ),
    "64-bit indices": (
        lambda: sp.csr_array(
            (np.ones(2), np.array([0, 1]), np.array([0, 1, 2])), shape=(2, 2), dtype=float
        ),
        None,
    ),
    "Fortran order": (lambda: np.asfortranarray([[2.0, 1.0], [1.0, 3.0]]), None),
    "DIA": (lambda: gallery.poisson(150).todia(), None),
    "old matrix class": (lambda: sp.csr_matrix(gallery.poisson(150)), None),
}


def arrays_of(A):
    """Give the arrays that a caller's matrix consists of."""
    names = ("data", "indices", "indptr", "row", "col", "offsets")
    return [getattr(A, name) for name in names if isinstance(getattr(A, name, None), np.ndarray)]


@pytest.mark.parametrize("case", ACCEPTED)
def test_matrices_that_are_taken(case):
    make, expected = ACCEPTED[case]
    A = make()
    expected = np.asarray(expected if expected is not None else sp.csr_array(make()).toarray())
    before = [array.copy() for array in arrays_of(A)]
    F = pympf.factorize(A, core_size=100)
    assert F.dtype == np.float64
    if len(expected) <= 100:
        np.testing.assert_array_equal(F.to_csr().toarray(), expected)
    assert F.error(A) <= 1
    assert_close(F.trace(), np.trace(expected), scale=1)
    M = pympf.as_preconditioner(A)
    assert np.isfinite(M.matvec(np.ones(len(expected)))).all()
    b = expected @ np.ones(len(expected))
    solution = pympf.solve(A, b)
    assert solution.converged
    assert np.linalg.norm(b - expected @ solution.x) <= 1e-7 * np.linalg.norm(b)
    for array, copy in zip(arrays_of(A), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_one_by_one():
    F = pympf.factorize([[4.0]])
    assert (F.shape, F.core_size, F.levels) == ((1, 1), 1, 0)
    assert F.solve([2.0]).tolist() == [0.5]
    assert F.slogdet() == (1.0, math.log(4))
    assert F.error([[4.0]], norm=2) == 0
    zero = pympf.factorize([[0.0]])
    assert zero.slogdet() == (0.0, -math.inf)
    assert zero.inverse(rcond=0.5).apply([3.0]).tolist() == [0.0]
    assert zero.preconditioner().matvec([3.0]).tolist() == [3.0]


def test_zero_rows_cost_nothing():
    A = sp.csr_array(sp.block_diag([gallery.poisson(100), sp.csr_array((100, 100))]))
    F = pympf.factorize(A, core_size=100)
    assert F.report().stages[0]["dropped"] <= F.error(A) < 1
    assert np.count_nonzero(F.spectrum() == 0) >= 90
    x = np.arange(200.0)
    np.testing.assert_array_equal((F @ x)[100:], np.zeros(100))


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-100, 1e100, 1e160, 1e300])
def test_very_small_and_very_large_entries(size):
    """The engine forms fourth powers of entries; where a double cannot hold them, it refuses."""
    A = gallery.poisson((15, 15))
    for call in (pympf.factorize, pympf.factorize(A).refactorize, pympf.factorize(A).error):
        with pytest.raises(ValueError, match=r"the largest entry is .* outside \[.*scale"):
            call(A * size)
    solution = pympf.solve(A * size, np.ones(225), preconditioner="jacobi")
    assert solution.converged


@pytest.mark.parametrize("size", [2.0**-220, 2.0**220])
def test_size_of_the_entries_does_not_matter(size):
    A = gallery.poisson((15, 15))
    F, G = (pympf.factorize(B, core_size=50) for B in (A, A * size))
    np.testing.assert_array_equal(F.basis().toarray(), G.basis().toarray())
    np.testing.assert_array_equal(F.spectrum() * size, G.spectrum())


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e30, 1e37])
@pytest.mark.parametrize("clustering", ["graph", "inner_product"])
def test_very_small_and_very_large_entries_in_float32(size, clustering):
    A = (gallery.poisson((15, 15)) * size).astype(np.float32)
    F = pympf.factorize(A, core_size=50, clustering=clustering, clusters=3)
    assert F.core_size == 50
    assert np.isfinite(F.spectrum()).all()
    assert F.error(A) < 1


# Vectors


@pytest.mark.parametrize("name", ["b", "x0"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones(4), ValueError, r"expected shape \(5,\)"),
        (np.ones(6), ValueError, r"expected shape \(5,\)"),
        (np.ones((5, 2, 1)), ValueError, r"expected shape \(5,\)"),
        (np.ones((1, 5)), ValueError, "shape"),
        (3.0, TypeError, "expected an array"),
        (np.array([1, 2, np.nan, 4, 5]), ValueError, "expected finite values.*nan at 2"),
        (np.array([1, 2, 3, 4, np.inf]), ValueError, "expected finite values.*inf at 4"),
        (np.ones(5, dtype=complex), TypeError, "complex128"),
        (np.array(list("abcde")), TypeError, "dtype"),
        (sp.csr_array(np.ones((5, 1))), TypeError, "expected a dense array"),
        ("b.npy", TypeError, "got str"),
    ],
    ids=str,
)
def test_vectors_that_are_refused(name, value, error, message):
    vectors = {"b": np.ones(5), name: value}
    with pytest.raises(error, match=f"{name}.*{message}"):
        pympf.solve(gallery.poisson(5), vectors.pop("b"), **vectors)


def test_a_guess_has_the_columns_of_the_side():
    A = gallery.poisson(5)
    with pytest.raises(ValueError, match=r"x0: expected shape \(5,\) as that of b, got \(5, 2\)"):
        pympf.solve(A, np.ones(5), x0=np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"x0: expected shape \(5, 2\) as that of b, got \(5,\)"):
        pympf.solve(A, np.ones((5, 2)), x0=np.ones(5))


def test_vectors_of_the_caller_stay_as_they_are():
    b, x0 = np.arange(5), np.ones(5)
    b.flags.writeable = x0.flags.writeable = False
    solution = pympf.solve(gallery.poisson(5), b, x0=x0)
    assert solution.converged
    assert not np.shares_memory(solution.x, x0)


# Parameters and options


def bad_values(field):
    convert = int if field["kind"] == "int" else float
    if field["kind"] in ("int", "real"):
        yield convert(field["minimum"]) - 1, ValueError
        yield convert(field["maximum"]) * 2 + 1, ValueError
        yield from [("3", TypeError), (None, TypeError), (True, TypeError), ([1], TypeError)]
    if field["kind"] == "int":
        yield from [(2.0, TypeError), (math.nan, TypeError), (10**400, ValueError)]
    elif field["kind"] == "real":
        yield from [(math.nan, ValueError), (math.inf, ValueError), (1j, TypeError)]
    elif field["kind"] == "bool":
        yield from [(1, TypeError), ("true", TypeError), (None, TypeError)]
    else:
        yield from [("worst", ValueError), ("", ValueError), (0, TypeError), (None, TypeError)]


@pytest.mark.parametrize("field", pympf.Params.fields(), ids=lambda field: field["name"])
def test_parameters_that_are_refused(field):
    for value, error in bad_values(field):
        for call in (pympf.factorize, classic_preconditioner, classic_solve):
            with pytest.raises(error, match=rf"^{field['name']} = .*(is not|out of range)"):
                call(gallery.poisson(5), **{field["name"]: value})


def classic_preconditioner(A, **params):
    return pympf.as_preconditioner(A, method="classic", **params)


def classic_solve(A, **params):
    return pympf.solve(A, np.ones(A.shape[0]), preconditioner="classic", **params)


@pytest.mark.parametrize("call", [pympf.factorize, classic_preconditioner, classic_solve])
def test_unknown_parameters(call):
    unknown = r"unknown parameter cores; did you mean core_size\? known: .*order"
    with pytest.raises(ValueError, match=unknown):
        call(gallery.poisson(5), cores=3)
    with pytest.raises(ValueError, match="min_cluster_size = 9 is above max_cluster_size = 8"):
        call(gallery.poisson(5), min_cluster_size=9, max_cluster_size=8)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "lu"}, ValueError, "method = 'lu' is not one of auto, cg, fcg, minres"),
        ({"method": None}, ValueError, "is not one of"),
        ({"preconditioner": "ilu"}, ValueError, "'ilu' is not 'mmf', 'multilevel', 'ict'"),
        ({"preconditioner": None}, TypeError, "preconditioner is a NoneType, expected"),
        ({"preconditioner": np.eye(5)}, TypeError, "preconditioner is a ndarray"),
        ({"preconditioner": sp.linalg.aslinearoperator(np.eye(4))}, ValueError, r"\(4, 4\)"),
        ({"preconditioner": pympf.factorize(np.eye(4))}, ValueError, r"\(4, 4\)"),
        ({"preconditioner": pympf.factorize(np.eye(5, dtype="f4"))}, ValueError, "float32"),
        ({"preconditioner": lambda r: 1.0}, ValueError, r"gave float64 of shape \(\)"),
        ({"preconditioner": lambda r: r[1:]}, ValueError, r"of shape \(4,\)"),
        ({"preconditioner": lambda r: r * 1j}, ValueError, "gave complex128"),
        ({"preconditioner": lambda r: None}, ValueError, "gave object"),
        ({"preconditioner": "jacobi", "seed": 1}, ValueError, "seed: only preconditioner='mmf'"),
        ({"preconditioner": np.eye(5), "seed": 1}, ValueError, "seed: only"),
        ({"side": "up"}, ValueError, "side = 'up' is not one of right, left"),
        ({"side": "left", "method": "cg"}, ValueError, "'left' is for the method 'gmres' only"),
        (
            {"side": "left"},
            ValueError,
            "'left' is for .* only, got method = 'auto'",
        ),
        ({"rtol": -1e-3}, ValueError, "rtol"),
        ({"rtol": 1.0}, ValueError, "rtol"),
        ({"rtol": math.nan}, ValueError, "rtol"),
        ({"rtol": "small"}, TypeError, "rtol = 'small' is not a number in \\[0, 1\\), but a str"),
        ({"rtol": True}, TypeError, "rtol = True"),
        ({"rtol": 1e-3j}, TypeError, "complex"),
        ({"atol": -1.0}, ValueError, "atol"),
        ({"atol": math.inf}, ValueError, "atol"),
        ({"maxiter": -1}, ValueError, "maxiter = -1"),
        ({"maxiter": 2.5}, TypeError, "maxiter = 2.5"),
        ({"maxiter": 2**31}, ValueError, "maxiter = 2147483648"),
        ({"maxiter": True}, TypeError, "maxiter = True"),
        ({"restart": -1}, ValueError, "restart = -1"),
        ({"restart": "30"}, TypeError, "restart = '30'"),
        ({"callback": 3}, TypeError, "callback is a int, expected a callable"),
        ({"cores": 3}, ValueError, "unknown parameter cores"),
        (
            {"preconditioner": "classic", "progress": 3},
            TypeError,
            "progress is a int, expected a callable",
        ),
    ],
    ids=str,
)
def test_options_of_solve_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        pympf.solve(gallery.poisson(5), np.ones(5), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "lu"},
        {"side": "up"},
        {"side": "left"},
        {"side": "left", "method": "minres"},
        {"rtol": 2.0},
        {"rtol": "small"},
        {"atol": -1.0},
        {"maxiter": -1},
        {"restart": 2.5},
        {"callback": 3},
    ],
    ids=str,
)
def test_options_are_refused_before_the_setup(options):
    stages = []
    with pytest.raises((ValueError, TypeError)):
        pympf.solve(gallery.poisson(400), np.ones(400), progress=stages.append, **options)
    assert stages == []


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), 0])
def test_tolerances_of_other_kinds_of_numbers(number):
    assert pympf.solve(gallery.poisson(5), np.ones(5), rtol=number, atol=0.1).converged


@pytest.mark.parametrize(
    ("count", "error"),
    [(0, ValueError), (-1, ValueError), (10**6, ValueError), (2.0, TypeError), (True, TypeError)],
)
def test_numbers_of_threads_that_are_refused(count, error):
    before = pympf.get_num_threads()
    with pytest.raises(error, match="threads"):
        pympf.set_num_threads(count)
    assert pympf.get_num_threads() == before


def test_each_thread_has_its_own_number_of_threads():
    before = pympf.get_num_threads()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(pympf.set_num_threads, before + 1).result()
        assert executor.submit(pympf.get_num_threads).result() == before + 1
    assert pympf.get_num_threads() == before
    assert "calling thread" in pympf.set_num_threads.__doc__


# The installation


def test_sources_without_the_compiled_core_say_so(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    shutil.copytree(
        Path(pympf.__file__).parent,
        sources / "pympf",
        ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"),
    )
    done = subprocess.run(
        [sys.executable, "-c", "import pympf"], cwd=sources, capture_output=True, text=True
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {sources / 'pympf'} holds the sources of pympf and no")
    assert "pip install" in last


# The command line


BANNER = "%%MatrixMarket matrix coordinate real general\n"
FILES = {
    "NaN": ("2 2 1\n1 1 nan\n", {3}),
    "infinite": ("2 2 1\n1 1 inf\n", {3}),
    "not square": ("2 3 1\n1 1 1\n", {3}),
    "asymmetric": ("2 2 3\n1 1 2\n2 2 2\n1 2 1\n", {3}),
    "empty": ("0 0 0\n", {3}),
    "too many entries announced": ("3 3 3000000000\n1 1 1\n", {3, 4}),
    "index out of range": ("2 2 1\n3 1 1\n", {4}),
    "1 x 1": ("1 1 1\n1 1 2\n", {0}),
    "zero rows": ("3 3 1\n1 1 2\n", {0}),
    "duplicates": ("2 2 3\n1 1 1\n1 1 1\n2 2 2\n", {0}),
}


@pytest.mark.parametrize("case", FILES)
def test_factor_on_the_command_line(tmp_path, capsys, case):
    content, codes = FILES[case]
    path, output = tmp_path / "A.mtx", tmp_path / "F.h5"
    path.write_text(BANNER + content)
    output.write_bytes(b"precious")
    assert main(["factor", str(path), "-o", str(output)]) in codes
    printed = capsys.readouterr()
    if codes == {0}:
        assert pympf.load(output).shape[0] == int(content[0])
    else:
        assert output.read_bytes() == b"precious"
        assert printed.err.startswith("pympf factor: ")
        assert "Traceback" not in printed.err


def test_complex_matrix_on_the_command_line(tmp_path, capsys):
    scipy.io.mmwrite(tmp_path / "A.mtx", sp.coo_array(np.eye(3) * 1j))
    assert main(["solve", str(tmp_path / "A.mtx")]) in (3, 4)
    assert "complex" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--preconditioner", "classic", "--order", "1"], 3),
        (["--preconditioner", "classic", "--seed", "9" * 400], 3),
        (["--preconditioner", "classic", "--eliminate", "2"], 3),
        (["--sweeps", "0"], 3),
        (["--sweeps", "9" * 400], 3),
        (["--rtol", "-1"], 3),
        (["--rtol", "nan"], 3),
        (["--preconditioner", "jacobi", "--method", "minres", "--maxiter", "1"], 1),
        (["-b", "wrong.npy"], 3),
        (["-b", "missing.npy"], 4),
        ([], 0),
    ],
    ids=str,
)
def test_solve_on_the_command_line(tmp_path, monkeypatch, capsys, arguments, code):
    monkeypatch.chdir(tmp_path)
    pympf.io.write_matrix("A.mtx", gallery.poisson((20, 20)))
    np.save("wrong.npy", np.ones(7))
    assert main(["solve", "A.mtx", *arguments]) == code
    assert "Traceback" not in capsys.readouterr().err
