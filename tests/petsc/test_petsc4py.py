"""The preconditioner from petsc4py gives the numbers that it gives in Python."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
import pympf.petsc

from .helpers import CLASSIC, LEVELS, ROUNDING, dense, new_values

# ---- the library ---------------------------------------------------------------------------------


def test_register_again(PETSc):
    pympf.petsc.register()
    assert PETSc.PC().create().getType() is None
    pc = PETSc.PC().create()
    pc.setType("mmf")
    assert pc.getType() == "mmf"


def test_module_prints_the_path(plugin, tmp_path):
    command = [sys.executable, "-m", "pympf.petsc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == plugin
    assert not done.stderr


def test_no_plugin(monkeypatch, tmp_path):
    monkeypatch.setattr(pympf, "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"built without PETSc: .*PYMPF_WITH_PETSC=ON"):
        pympf.petsc.register()


def test_broken_plugin(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libpympf_petsc.so").write_bytes(b"not a library")
    monkeypatch.setattr(pympf, "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match=r"cannot load .*libpympf_petsc\.so"):
        pympf.petsc.register()


def test_no_petsc4py(plugin, monkeypatch):
    monkeypatch.setitem(sys.modules, "petsc4py", None)
    with pytest.raises(ImportError, match=r"needs petsc4py.*pip install petsc4py=="):
        pympf.petsc.register()


def test_two_petsc_libraries(PETSc, monkeypatch):
    files = iter(["/here/libpetsc.so.3.18", "/there/libpetsc.so.3.19"])
    monkeypatch.setattr(pympf.petsc, "_defining_file", lambda library: next(files))
    with pytest.raises(ImportError, match=r"uses /here/\S+, pympf was built for /there/\S+; build"):
        pympf.petsc.register()


# ---- the same numbers as in Python ---------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"order": 3, "eliminate": 2, "core_size": 30},
        {"retire": "absolute", "gram": "blocks", "criterion": "inner_product"},
        {"prenormalize": True, "tolerance": 0.3},
        {"clustering": "inner_product", "max_cluster_size": 40, "bypass": False, "seed": 7},
    ],
)
def test_same_as_factorize(make_pc, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    options(method="classic", **params)
    pc = make_pc(A)
    x, y = pc.getOperators()[1].createVecs()
    x.array = rng.standard_normal(360)
    pc.apply(x, y)
    expected = pympf.factorize(A, **params).preconditioner() @ x.array
    scale = np.abs(expected).max()
    assert np.abs(y.array - expected).max() <= ROUNDING * scale
    y.set(0)
    pc.applyTranspose(x, y)
    assert np.abs(y.array - expected).max() <= ROUNDING * scale


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"method": "ict", "drop_tolerance": 0.1},
        {"method": "jacobi"},
        LEVELS,
        {**LEVELS, "precision": "single", "strips": 4},
        {**LEVELS, "cycle": "w", "smoother": "gs", "lift": False, "ordering": "natural"},
        {**LEVELS, "cycle": "additive", "shape": "pair"},
        {**LEVELS, "smoother": "chebyshev", "degree": 3, "overcorrection": 1.5},
    ],
)
def test_same_as_preconditioner(make_pc, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    options(**params)
    pc = make_pc(A)
    x, y = pc.getOperators()[1].createVecs()
    x.array = rng.standard_normal(360)
    pc.apply(x, y)
    expected = pympf.as_preconditioner(A, **{"precision": "working", **params}) @ x.array
    assert np.array_equal(y.array, expected)
    y.set(0)
    pc.applyTranspose(x, y)
    assert np.array_equal(y.array, expected)


@pytest.mark.parametrize("params", [LEVELS, CLASSIC])
def test_blocks_of_vectors(PETSc, make_pc, options, params, rng):
    options(**params)
    pc = make_pc(pympf.gallery.poisson((20, 18)))
    X = PETSc.Mat().createDense((360, 5), array=rng.standard_normal((360, 5)))
    Y = X.duplicate()
    for _ in range(2):
        pc.matApply(X, Y)
        expected = dense(pc) @ X.getDenseArray()
        assert np.abs(Y.getDenseArray() - expected).max() <= ROUNDING * np.abs(expected).max()


def libpetsc():
    """Give the library that petsc4py has loaded."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("finds libpetsc in /proc/self/maps, which this system has not")
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libpetsc" in line}
    return ctypes.CDLL(min(paths))


def test_matrices_of_right_hand_sides(PETSc, make_pc, mat, options, rng):
    """KSPMatSolve: with `preonly` it is one PCMatApply, whose columns have the bits of PCApply."""
    options(**LEVELS)
    matrix = mat(pympf.gallery.poisson((20, 18)))
    ksp = PETSc.KSP().create()
    ksp.setOperators(matrix)
    ksp.getPC().setType("mmf")
    ksp.setFromOptions()
    values = rng.standard_normal((360, 11))
    B = PETSc.Mat().createDense((360, 11), array=values)
    X = B.duplicate()
    for solver in ("preonly", "cg"):
        ksp.setType(solver)
        ksp.setTolerances(rtol=1e-9)
        handles = [ctypes.c_void_p(thing.handle) for thing in (ksp, B, X)]
        assert libpetsc().KSPMatSolve(*handles) == 0  # petsc4py 3.18 has no name for it
        b, x = matrix.createVecs()
        for c in range(11):
            b.array = values[:, c]
            if solver == "preonly":
                ksp.getPC().apply(b, x)
            else:
                ksp.solve(b, x)
            assert np.array_equal(X.getDenseArray()[:, c], x.array)


@pytest.mark.parametrize("params", [LEVELS, CLASSIC])
def test_new_values_as_update(PETSc, make_pc, mat, options, params, rng):
    A = pympf.gallery.poisson((20, 18))
    B = A + sp.diags_array(rng.random(360))
    options(**params)
    matrix = mat(A)
    pc = make_pc(matrix)
    pc.setUp()
    new_values(PETSc, matrix, mat(B))
    pc.setUp()
    precision = {"precision": "working"} if params is LEVELS else {}
    M = pympf.as_preconditioner(A, **params, **precision)
    M.update(B)
    expected = M @ np.eye(360)
    assert np.abs(dense(pc) - expected).max() <= ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize(("params", "change"), [(LEVELS, {"cycle": "w"}), (CLASSIC, {"order": 3})])
def test_new_options_set_up_anew(make_pc, options, params, change):
    A = pympf.gallery.poisson((20, 18))
    options(**params)
    pc = make_pc(A)
    before = dense(pc)
    options(**change)
    pc.setFromOptions()
    after = dense(pc)
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    assert np.array_equal(after, dense(make_pc(A)))


def test_new_method_sets_up_anew(make_pc, options):
    A = pympf.gallery.poisson((20, 18))
    pc = make_pc(A)
    for params in (LEVELS, {"method": "jacobi"}):
        options(**params)
        pc.setFromOptions()
        assert np.array_equal(dense(pc), dense(make_pc(A)))


def test_the_caller_s_matrix_is_unchanged(make_pc, mat):
    A = mat(pympf.gallery.poisson((20, 18)))
    copy = A.copy()
    dense(make_pc(A))
    assert A.equal(copy)
    assert A.getType() == "seqaij"
