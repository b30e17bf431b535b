"""Every symmetric matrix of the collection: factored, checked, saved, loaded and compared."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import pympf

from ..helpers import assert_close, flat_state, rounding, same_bits

SHARED = Path(os.environ.get("PYMPF_SHARED", Path(__file__).parents[3] / "shared"))
FOLDER = SHARED / "data" / "matrices"


def symmetric_matrices(most_entries=2**31):
    manifest = FOLDER / "MANIFEST.csv"
    if not manifest.is_file():
        skip = pytest.mark.skip(reason=f"no matrix collection at {FOLDER}: set PYMPF_SHARED")
        return [pytest.param(None, id="collection", marks=skip)]
    with open(manifest) as stream:
        return [
            pytest.param(entry, id=entry["name"])
            for entry in csv.DictReader(stream)
            if entry["symmetric"] == "yes" and int(entry["nnz"]) <= most_entries
        ]


def read(entry):
    A = pympf.io.read_matrix(FOLDER / entry["kind"] / f"{entry['name']}.mtx.gz")
    assert A.shape == (int(entry["rows"]), int(entry["cols"]))
    return A


def norm_of_H(F):
    arrays = flat_state(F)
    parts = [arrays[name] for name in ("core", "core_data", "diagonal") if name in arrays]
    return np.linalg.norm(np.concatenate(parts))


def check_invariants(F, A):
    """Check what can be checked at any size; nothing here is quadratic in the number of rows."""
    n, size = A.shape[0], np.linalg.norm(A.data)
    x = np.random.default_rng(0).standard_normal(n)
    coefficients = F.transform(x)
    assert np.linalg.norm(coefficients) == pytest.approx(np.linalg.norm(x), rel=rounding(100))
    assert_close(F.inverse_transform(coefficients), x)
    assert F.trace() == pytest.approx(A.trace(), abs=rounding(1000) * np.sqrt(n) * size)
    # Pythagoras; the entry-wise error does not use it.
    error2 = F.error(A) ** 2
    assert error2 == pytest.approx(1 - (norm_of_H(F) / size) ** 2, abs=1e-11)
    assert error2 == pytest.approx(F.report().relative_error ** 2, abs=1e-11)
    # F is symmetric, and F @ x lives in the same basis.
    y = np.random.default_rng(1).standard_normal(n)
    assert abs(y @ (F @ x) - x @ (F @ y)) <= rounding(1000) * size * n
    assert np.linalg.norm(F @ x) <= (1 + rounding(1000)) * size * np.linalg.norm(x)


@pytest.mark.parametrize("entry", symmetric_matrices())
def test_matrix(entry, tmp_path):
    A = read(entry)
    F = pympf.factorize(A)
    assert F.report().stop in ("core_size", "stalled")
    check_invariants(F, A)
    eigenvalues = F.spectrum()
    assert abs(eigenvalues).max() <= (1 + rounding(1000)) * np.linalg.norm(A.data)
    if entry["positive_definite"].startswith("yes"):
        assert eigenvalues.min() >= -rounding(1000) * eigenvalues.max()

    F.save(tmp_path / "F.h5")
    G = pympf.load(tmp_path / "F.h5")
    assert same_bits(F, G)
    assert F.report() == G.report()
    x = np.random.default_rng(0).standard_normal((A.shape[0], 2))
    np.testing.assert_array_equal(F @ x, G @ x)


@pytest.mark.parametrize("entry", symmetric_matrices(most_entries=30_000))
def test_matrix_with_other_parameters(entry):
    """Rotations of order 3 fill the matrices of the later stages: only small ones are fast."""
    A = read(entry)
    F = pympf.factorize(A, order=3, eliminate=2, retire="absolute", criterion="inner_product")
    check_invariants(F, A)
    F = pympf.factorize(A, clustering="inner_product", selection="random", max_cluster_size=100)
    check_invariants(F, A)
    F = pympf.factorize(A.astype(np.float32))
    assert F.error(A) ** 2 == pytest.approx(F.report().relative_error ** 2, abs=1e-5)
