"""Files: every format there and back, refused when cut or foreign, never damaged by writing."""

import hashlib
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from pympf import gallery
from pympf.io import (
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from .io_files import (
    MATRIX_SUFFIXES,
    VECTOR_SUFFIXES,
    assert_same,
    names,
    random_matrix,
    random_vector,
)

DATA = Path(__file__).parents[2] / "data"


# There and back


@pytest.mark.parametrize("suffix", MATRIX_SUFFIXES)
@pytest.mark.parametrize(
    "A",
    [
        random_matrix(),
        random_matrix(7, 40),
        gallery.poisson((5, 6)),
        sp.csr_array((4, 3)),
        sp.csr_array(np.array([[5e-324, 1 / 3], [-1.7e308, np.pi]])),
    ],
    ids=["general", "rectangular", "symmetric", "no entries", "extreme values"],
)
def test_matrix_round_trip(tmp_path, suffix, A):
    path = tmp_path / f"A{suffix}"
    write_matrix(path, A)
    B = read_matrix(path)
    assert isinstance(B, sp.csr_array)
    assert B.has_canonical_format
    assert_same(B, A)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_float32_stays(tmp_path, suffix):
    A = random_matrix(dtype=np.float32)
    write_matrix(tmp_path / f"A{suffix}", A)
    assert_same(read_matrix(tmp_path / f"A{suffix}"), A)


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
@pytest.mark.parametrize("shape", [(6,), (1,), (6, 3), (1, 3)])
def test_vector_round_trip(tmp_path, suffix, shape):
    x = random_vector(*shape)
    path = tmp_path / f"x{suffix}"
    write_vector(path, x)
    y = read_vector(path)
    assert y.shape == x.shape
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, x)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".mtx.gz", ".npz", ".mat", ".petsc"])
def test_suffix_in_capitals(tmp_path, suffix):
    A = random_matrix()
    write_matrix(tmp_path / f"A{suffix.upper()}", A)
    assert_same(read_matrix(tmp_path / f"A{suffix.upper()}"), A)


def test_same_matrix_gives_same_compressed_file(tmp_path):
    for name in ("a.mtx.gz", "b.mtx.gz"):
        write_matrix(tmp_path / name, gallery.poisson(5))
    assert (tmp_path / "a.mtx.gz").read_bytes() == (tmp_path / "b.mtx.gz").read_bytes()


def test_writers_pass_the_gate(tmp_path):
    with pytest.raises(TypeError, match="complex"):
        write_matrix(tmp_path / "A.mtx", np.eye(2, dtype=complex))
    with pytest.raises(TypeError, match="complex"):
        write_vector(tmp_path / "x.npy", np.ones(2, complex))
    with pytest.raises(ValueError, match=r"expected shape \(n,\) or \(n, k\), got \(1, 2, 3\)"):
        write_vector(tmp_path / "x.npy", np.ones((1, 2, 3)))
    write_matrix(tmp_path / "A.npz", np.array([[True, False]]))
    assert read_matrix(tmp_path / "A.npz").dtype == np.float64
    assert names(tmp_path) == ["A.npz"]


# The fixtures in data/


def fixtures():
    rows = re.findall(r"^\| (\S+\.mtx\.gz) \|(.*)\|$", (DATA / "README.md").read_text(), re.M)
    return [(name, *(cell.strip() for cell in cells.split("|"))) for name, cells in rows]


@pytest.mark.parametrize("row", fixtures(), ids=lambda row: row[0])
def test_fixture_is_what_its_readme_says(row):
    name, _, _, rows, entries, _, symmetric, definite, checksum = row
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == checksum
    A = read_matrix(DATA / name)
    assert A.shape == (int(rows), int(rows))
    assert np.count_nonzero(A.data) == int(entries)
    assert (abs(A - A.T).max() == 0) == (symmetric == "yes")
    if symmetric == "yes" and A.shape[0] < 1000:
        assert (np.linalg.eigvalsh(A.toarray())[0] > 0) == (definite == "yes")


def test_every_fixture_is_in_the_readme():
    assert sorted(row[0] for row in fixtures()) == sorted(path.name for path in DATA.glob("*.gz"))


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.ones((1, 1, 1)), "got 3 axes"), (np.array([None]), "[Oo]bject arrays")],
)
def test_npy_that_is_wrong(tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(OSError, match=rf"x\.npy.*{message}"):
        read_vector(tmp_path / "x.npy")


@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "bsr", "dia"])
def test_npz_of_every_sparse_format(tmp_path, format_):
    A = gallery.poisson((4, 5))
    sp.save_npz(tmp_path / "A.npz", A.asformat(format_))
    assert_same(read_matrix(tmp_path / "A.npz"), A)


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        ("format", lambda v: b"\0" + v[1:], "magic string"),
        ("format", lambda v: v.replace(b"csr", b"xyz"), "the sparse format 'xyz'; known: csr"),
        ("format", lambda v: v.replace(b"|S3", b"<i2"), "more behind the array|sparse format"),
        ("data", lambda v: v.replace(b"(10,)", b"(99999999999,)"), "99999999999,. is announced"),
        ("indices", lambda v: v.replace(b"<i4", b"<f4"), "indices is an array of float32"),
        ("shape", lambda v: v[:-1] + b"\xff", "expected a shape of two sizes"),
        ("indptr", lambda v: v[:-1], "ends early|announced"),
        ("data", lambda v: v + b"\0", "more behind the array"),
        ("data", lambda v: None, "data.npy"),
    ],
)
def test_npz_that_is_wrong(tmp_path, member, change, message):
    path = tmp_path / "A.npz"
    write_matrix(path, gallery.poisson(4))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[f"{member}.npy"] = change(members[f"{member}.npy"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    with pytest.raises(OSError, match=rf"A\.npz.*({message})"):
        read_matrix(path)


def test_npy_with_something_behind(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(3))
    with open(tmp_path / "x.npy", "ab") as stream:
        stream.write(b"more")
    with pytest.raises(OSError, match="more behind the array"):
        read_vector(tmp_path / "x.npy")


# Laplacian and shift, for every format


@pytest.mark.parametrize("suffix", MATRIX_SUFFIXES)
def test_laplacian_and_shift(tmp_path, suffix):
    W = gallery.random_geometric_graph(50)
    path = tmp_path / f"W{suffix}"
    write_matrix(path, W)
    L = np.diag(W.sum(axis=1)) - W.toarray()
    np.testing.assert_array_equal(read_matrix(path, laplacian=True).toarray(), L)
    shifted = read_matrix(path, laplacian=True, shift=0.25)
    np.testing.assert_array_equal(shifted.toarray(), L + 0.25 * np.eye(50))
    np.testing.assert_array_equal(read_matrix(path, shift=2).toarray(), W + 2 * np.eye(50))


def test_laplacian_and_shift_need_a_fitting_matrix(tmp_path):
    write_matrix(tmp_path / "A.mtx", [[0.0, 1.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match=r"A\.mtx: expected a symmetric matrix"):
        read_matrix(tmp_path / "A.mtx", laplacian=True)
    with pytest.raises(ValueError, match=r"A\.mtx: expected a finite shift, got nan"):
        read_matrix(tmp_path / "A.mtx", shift=np.nan)
    write_matrix(tmp_path / "R.mtx", np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"R\.mtx: expected a square matrix"):
        read_matrix(tmp_path / "R.mtx", shift=1)
