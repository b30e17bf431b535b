"""Files: every format there and back, refused when cut or foreign, never damaged by writing."""

import bz2
import errno
import gzip
import hashlib
import os
import re
import struct
import subprocess
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from pympf import gallery
from pympf.io import (
    _matlab,
    _sums,
    _text,
    atomic_write,
    check_output,
    create_hdf5,
    open_hdf5,
    read_labels,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from ..helpers import file_size_limit

DATA = Path(__file__).parents[2] / "data"

MATRIX_SUFFIXES = (".mtx", ".mtx.gz", ".mtx.bz2", ".npz", ".mat", ".petsc", ".dat", ".h5", ".hdf5")
VECTOR_SUFFIXES = (
    *(".mtx", ".mtx.gz", ".npy", ".txt", ".txt.bz2", ".csv", ".tsv.gz", ".petsc", ".bin", ".h5"),
)


def random_matrix(rows=30, columns=30, dtype=np.float64):
    rng = np.random.default_rng(0)
    dense = rng.random((rows, columns)) * (rng.random((rows, columns)) < 0.1)
    return sp.csr_array(dense.astype(dtype))


def random_vector(*shape):
    """Numbers of many sizes that have no short decimal form."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape) * 10.0 ** rng.integers(-300, 300, shape)


def assert_same(A, B):
    assert A.shape == B.shape
    assert A.dtype == B.dtype
    assert (A != B).nnz == 0


def names(directory):
    return sorted(entry.name for entry in directory.iterdir())


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


# Matrix Market


def write_text(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("banner", "body", "dense"),
    [
        ("coordinate pattern general", "2 2 2\n1 2\n2 2\n", [[0, 1], [0, 1]]),
        ("coordinate integer symmetric", "2 2 2\n1 1 4\n2 1 -3\n", [[4, -3], [-3, 0]]),
        ("coordinate real skew-symmetric", "2 2 1\n2 1 5\n", [[0, -5], [5, 0]]),
        ("coordinate real general", "% note\n2 2 2\n1 1 1.5\n1 1 1\n", [[2.5, 0], [0, 0]]),
        ("array real general", "2 2\n1\n2\n3\n4\n", [[1, 3], [2, 4]]),
        ("array integer symmetric", "2 2\n1\n2\n3\n", [[1, 2], [2, 3]]),
    ],
)
def test_matrix_market_kinds(tmp_path, banner, body, dense):
    path = write_text(tmp_path / "A.mtx", f"%%MatrixMarket matrix {banner}\n{body}")
    np.testing.assert_array_equal(read_matrix(path).toarray(), dense)


@pytest.mark.parametrize(
    ("banner", "body", "message"),
    [
        ("coordinate real general", "2 2 2\n1 1 1\n", "Truncated"),
        ("coordinate real general", "2 2 1\n1 1 1\n2 2 1\n", "[Tt]oo many lines"),
        ("coordinate real general", "2 2 1\n3 1 1\n", "out of bounds"),
        ("coordinate real general", "2 2 1\n0 1 1\n", "out of bounds"),
        ("coordinate real general", "2 2 1\n1 1 x\n", "line 3: expected a number, got 'x'"),
        ("coordinate real general", "2 2 1\n1 1 3.1", "ends within a line"),
        ("coordinate real general", "2 2 99999999999999\n1 1 1\n", "99999999999999 entries"),
        ("coordinate real general", "", "no numbers"),
        ("coordinate integer general", "1 1 1\n1 1 9007199254740993\n", "no exact float64"),
        ("coordinate integer general", "1 1 1\n1 1 99999999999999999999\n", "out of range"),
        ("coordinate real general", "3000000000 1 1\n1 1 1\n", "at most 2147483647"),
        ("array real general", "2 1\n1\n", "2 values are announced, there are 1"),
        ("array real general", "2 1\n1\n2\n3\n", "2 values are announced, there are 3"),
        (
            "array real general",
            "2 2\n1 2\n3 4\n5 6\n7 8\n",
            "line 3: expected 1 column, got also '2'",
        ),
        ("array real hermitian", "1 1\n1\n", "general array"),
        ("array complex general", "1 1\n1 2\n", "real|integer"),
        ("triangle real general", "1 1 1\n1 1 1\n", "Invalid"),
    ],
)
def test_matrix_market_that_is_wrong(tmp_path, banner, body, message):
    path = write_text(tmp_path / "A.mtx", f"%%MatrixMarket matrix {banner}\n{body}")
    with pytest.raises(OSError, match=rf"A\.mtx.*{message}"):
        read_matrix(path)


@pytest.mark.parametrize(
    ("banner", "body", "dense"),
    [
        ("coordinate real general", "1 1 2\n1 1 1.5D+00\n1 1 +1\n", [[2.5]]),
        ("coordinate real general", "1 1 1\r\n1 1 -2d0  \r\n\r\n", [[-2]]),
        ("coordinate double general", "% a\n# b\n\n1 1 1\n% c\n1 1 3 % d\n\n", [[3]]),
        ("coordinate unsigned-integer general", "1 1 1\n1 1 +7\n", [[7]]),
        ("coordinate integer skew-symmetric", "2 2 1\n2 1 5\n", [[0, -5], [5, 0]]),
        ("coordinate real symmetric", "2 2 1\n1 2 5\n", [[0, 5], [5, 0]]),
        ("coordinate pattern symmetric", "2 2 1\n2 1\n", [[0, 1], [1, 0]]),
        ("array real general", "1 2\n1.0D0\n+2.5\n", [[1, 2.5]]),
        ("array real skew-symmetric", "2 2\n3\n", [[0, -3], [3, 0]]),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_matrix_market_of_other_programs(tmp_path, banner, body, dense, mark):
    path = tmp_path / "A.mtx"
    path.write_bytes(mark + f"%%MatrixMarket matrix {banner}\n{body}".encode())
    np.testing.assert_array_equal(read_matrix(path).toarray(), dense)


@pytest.mark.parametrize(
    ("banner", "body", "message"),
    [
        (b"real general", b"2 2 1\n1 1 1 2\n", r"line 3: expected 3 columns, got also '2'"),
        (b"real general", b"2 2 1\n1 1 -1\x80\x00 2\n", r"line 3: expected a number, got '-1.x80"),
        (b"real general", b"2 2 1\n1.0 1 1\n", r"line 3: expected an integer, got '1.0'"),
        (b"real general", b"2 2 1\n1 1 1e400\n", "line 3: the number 1e400 is out of range"),
        (b"real general", b"2 2 -1\n", "line 2: expected the sizes"),
        (b"real general", b"2147483647 1 1\n1 1 1\n", "2147483647 rows are announced for 1 entr"),
        (b"real symmetric", b"2 3 1\n1 1 1\n", "symmetric, but has 2 rows and 3 columns"),
        (b"real symmetric", b"2 2 2\n1 2 1\n2 1 1\n", "holds entries of both triangles"),
        (b"real skew-symmetric", b"2 2 1\n1 1 1\n", "entries on the diagonal"),
        (b"real hermitian", b"2 2 1\n1 1 1\n", "Invalid banner"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["", ".gz", ".bz2"])
def test_matrix_market_is_read_strictly(tmp_path, banner, body, message, pack):
    path = tmp_path / f"A.mtx{ {gzip.compress: '.gz', bz2.compress: '.bz2'}.get(pack, '') }"
    path.write_bytes(pack(b"%%MatrixMarket matrix coordinate " + banner + b"\n" + body))
    with pytest.raises(OSError, match=rf"A\.mtx.*{message}"):
        read_matrix(path)


def test_a_file_of_comments_takes_neither_time_nor_memory(tmp_path, monkeypatch):
    """And compressed numbers end where no file of numbers is compressed so well."""
    comments = bz2.compress(b"%%MatrixMarket matrix coordinate real general\n" + b"%\n" * 2**22)
    (tmp_path / "A.mtx.bz2").write_bytes(comments)
    with pytest.raises(OSError, match="at its beginning hold no numbers"):
        read_matrix(tmp_path / "A.mtx.bz2")
    monkeypatch.setattr(_text, "ALWAYS_ALLOWED", 1000)
    (tmp_path / "x.txt.bz2").write_bytes(bz2.compress(b"1 2\n" * 10**6))
    for read in (read_matrix, read_vector):
        with pytest.raises(OSError, match="compressed more than 1100 times"):
            read(tmp_path / "x.txt.bz2")
    monkeypatch.setattr(_text, "LONGEST_LINE", 1000)
    with pytest.raises(OSError, match="line 1 has more than 1000 bytes"):
        read_vector(write_text(tmp_path / "x.txt", "1 " * 10**5 + "\n"))


@pytest.mark.parametrize("pieces", [1, 7, 64])
def test_text_is_read_in_pieces(tmp_path, monkeypatch, pieces):
    monkeypatch.setattr(_text, "PIECE", pieces)
    A, x = random_matrix(), random_vector(9, 3)
    for suffix in (".mtx", ".mtx.gz"):
        write_matrix(tmp_path / f"A{suffix}", A)
        assert_same(read_matrix(tmp_path / f"A{suffix}"), A)
    write_vector(tmp_path / "x.txt", x)
    np.testing.assert_array_equal(read_vector(tmp_path / "x.txt"), x)
    with pytest.raises(OSError, match="line 4: expected an integer, got 'b'"):
        read_matrix(write_text(tmp_path / "graph.txt", "# 1\n1 2\n2 3\n3 b\n"))


@pytest.mark.parametrize("suffix", [*MATRIX_SUFFIXES, ".txt", ".csv", ".npy"])
def test_names_that_are_not_utf8(tmp_path, suffix):
    path = tmp_path / os.fsdecode(b"\xff\xe9" + suffix.encode())
    if suffix in (".txt", ".csv"):
        write_text(path, "1 2\n")
    elif suffix == ".npy":
        write_vector(path, [1.0])
    else:
        write_matrix(path, gallery.poisson(3))
    read = read_vector if suffix == ".npy" else read_matrix
    for name in (path, str(path), os.fsencode(path)):
        read(name)
    path.write_bytes(b"junk")
    with pytest.raises(OSError, match=re.escape(str(path))):
        read(path)


def test_complex_matrix_market(tmp_path):
    header = "%%MatrixMarket matrix coordinate complex general\n"
    path = write_text(tmp_path / "A.mtx", f"{header}1 1 1\n1 1 2 0\n")
    with pytest.raises(TypeError, match=r"A\.mtx.*expected real numbers, got complex128"):
        read_matrix(path)


def test_vector_from_a_sparse_matrix_market_file(tmp_path):
    write_matrix(tmp_path / "b.mtx", sp.csr_array([[0.0], [3.0]]))
    np.testing.assert_array_equal(read_vector(tmp_path / "b.mtx"), [0, 3])
    write_matrix(tmp_path / "A.mtx", gallery.poisson(3))
    with pytest.raises(OSError, match=r"expected a vector, it holds a sparse \(3, 3\) matrix"):
        read_vector(tmp_path / "A.mtx")


# MATLAB


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_picks_the_only_sparse_matrix(tmp_path, version, compressed):
    A = random_matrix()
    variables = {"K": A.tocsc(), "b": np.ones((30, 1)), "note": "text"}
    scipy.io.savemat(
        tmp_path / "A.mat", variables, format=version, do_compression=compressed and version == "5"
    )
    assert_same(read_matrix(tmp_path / "A.mat"), A)
    assert read_matrix(tmp_path / "A.mat", key="b").shape == (30, 1)


def test_matlab_struct_of_suitesparse(tmp_path):
    A = random_matrix()
    problem = {
        "name": "HB/x",
        "A": A.tocsc(),
        "Zeros": sp.csc_array((30, 30)),
        "b": np.ones((9, 1)),
    }
    scipy.io.savemat(tmp_path / "p.mat", {"Problem": problem})
    assert_same(read_matrix(tmp_path / "p.mat"), A)
    assert read_matrix(tmp_path / "p.mat", key="Problem.Zeros").nnz == 0


@pytest.mark.parametrize(
    "values", [np.array([[1, 2], [3, 4]], t) for t in ("f8", "f4", "i1", "u2", "i8", "?")]
)
@pytest.mark.parametrize("order", "<>")
def test_matlab_numbers(tmp_path, values, order):
    scipy.io.savemat(tmp_path / "A.mat", {"A": values.astype(values.dtype.newbyteorder(order))})
    np.testing.assert_array_equal(read_matrix(tmp_path / "A.mat").toarray(), values)


def test_matlab_big_endian(tmp_path):
    """A file by hand: the 1 x 2 matrix [3 -4] of int8, named A, as a SPARC would write it."""

    def element(kind, content):
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    flags = element(6, struct.pack(">II", 8, 0))
    dimensions = element(5, struct.pack(">ii", 1, 2))
    name = struct.pack(">HH4s", 1, 1, b"A")
    variable = element(14, flags + dimensions + name + element(1, b"\x03\xfc"))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    (tmp_path / "A.mat").write_bytes(header + variable)
    np.testing.assert_array_equal(read_matrix(tmp_path / "A.mat").toarray(), [[3, -4]])


def test_matlab_choice(tmp_path):
    A = random_matrix()
    path = tmp_path / "two.mat"
    scipy.io.savemat(path, {"K": A.tocsc(), "M": A.tocsc()})
    with pytest.raises(ValueError, match=r"two\.mat: choose one of \['K', 'M'\] with key="):
        read_matrix(path)
    assert_same(read_matrix(path, key="M"), A)
    with pytest.raises(ValueError, match=r"no matrix under the key 'X'; there is: \['K', 'M'\]"):
        read_matrix(path, key="X")
    scipy.io.savemat(path, {"note": "no matrix here"})
    with pytest.raises(OSError, match=r"two\.mat.*it holds no matrix"):
        read_matrix(path)


@pytest.mark.parametrize("b", [np.ones((4, 1)), np.arange(4.0)[None], sp.csc_array(np.eye(4, 1))])
def test_matlab_vectors(tmp_path, b):
    path = tmp_path / "p.mat"
    dense = np.ravel(b.toarray() if sp.issparse(b) else b)
    scipy.io.savemat(path, {"b": b})
    np.testing.assert_array_equal(read_vector(path), dense)
    scipy.io.savemat(path, {"Problem": {"A": sp.eye(4).tocsc(), "b": b, "x": np.ones((4, 2))}})
    if not sp.issparse(b):
        np.testing.assert_array_equal(read_vector(path), dense)
    np.testing.assert_array_equal(read_vector(path, key="Problem.b"), dense)
    np.testing.assert_array_equal(read_vector(path, key="Problem.x"), np.ones((4, 2)))
    x = random_vector(5)
    write_vector(path, x)
    np.testing.assert_array_equal(read_vector(path), x)


def test_a_compressed_matlab_variable_has_the_size_that_it_says(tmp_path):
    path = tmp_path / "A.mat"
    scipy.io.savemat(path, {"A": np.zeros((100, 100))}, do_compression=True)
    content = path.read_bytes()
    variable = zlib.decompress(content[136:])
    for damaged in (variable + bytes(10**6), variable[:-8], variable[:4]):
        packed = zlib.compress(damaged)
        path.write_bytes(content[:128] + struct.pack("<II", 15, len(packed)) + packed)
        with pytest.raises(OSError, match=r"A\.mat.*a compressed element"):
            read_matrix(path)


def test_matlab_complex(tmp_path):
    scipy.io.savemat(tmp_path / "A.mat", {"A": np.array([[1 + 2j]])})
    with pytest.raises(TypeError, match=r"A\.mat.*complex128"):
        read_matrix(tmp_path / "A.mat")


def test_matlab_size_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(_matlab, "SIZE_LIMIT", 100)
    with pytest.raises(ValueError, match=r"hold 100 bytes, got \d+; use .h5 or .npz"):
        write_matrix(tmp_path / "A.mat", random_matrix())
    assert names(tmp_path) == []


@contextmanager
def matlab73(path):
    """An HDF5 file with MATLAB's header in front, as ``save -v7.3`` writes it."""
    with h5py.File(path, "w", userblock_size=512) as file:
        yield file
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM")


def add_sparse(group, name, A, dtype=np.float64):
    csc = A.tocsc()
    item = group.create_group(name)
    item.attrs["MATLAB_class"] = np.bytes_("double")
    item.attrs["MATLAB_sparse"] = np.uint64(A.shape[0])
    item["jc"] = csc.indptr.astype(np.uint64)
    if A.nnz:
        item["ir"], item["data"] = csc.indices.astype(np.uint64), csc.data.astype(dtype)


def test_matlab73(tmp_path):
    A = random_matrix(7, 9)
    with matlab73(tmp_path / "A.mat") as file:
        problem = file.create_group("Problem")
        problem.attrs["MATLAB_class"] = np.bytes_("struct")
        add_sparse(problem, "A", A)
        add_sparse(problem, "Zeros", sp.csr_array((7, 9)))
        problem["b"] = np.arange(6.0).reshape(2, 3)
        problem["b"].attrs["MATLAB_class"] = np.bytes_("double")
        problem["name"] = np.array([[72], [66]], np.uint16)
        problem["name"].attrs["MATLAB_class"] = np.bytes_("char")
        file.create_group("#refs#")["a"] = np.ones((2, 2))
    assert_same(read_matrix(tmp_path / "A.mat"), A)
    assert_same(read_matrix(tmp_path / "A.mat", key="Problem.Zeros"), sp.csr_array((7, 9)))
    b = read_matrix(tmp_path / "A.mat", key="Problem.b")
    np.testing.assert_array_equal(b.toarray(), [[0, 3], [1, 4], [2, 5]])
    with pytest.raises(
        ValueError, match=r"there is: \['Problem.A', 'Problem.Zeros', 'Problem.b'\]"
    ):
        read_matrix(tmp_path / "A.mat", key="Problem.name")


def test_matlab73_complex_and_logical(tmp_path):
    with matlab73(tmp_path / "A.mat") as file:
        pair = np.dtype([("real", "f8"), ("imag", "f8")])
        file["A"] = np.array([[(1, 2)]], pair)
    with pytest.raises(TypeError, match="complex128"):
        read_matrix(tmp_path / "A.mat")
    with matlab73(tmp_path / "L.mat") as file:
        add_sparse(file, "L", sp.csr_array(np.eye(3)), np.uint8)
    assert_same(read_matrix(tmp_path / "L.mat"), sp.csr_array(np.eye(3)))


# PETSc: bytes put together by hand, as MatView and VecView write them

ROWS = [[2.0, -1.0, 0.0], [-1.0, 2.0, 0.0]]


def petsc_mat(integer):
    header = struct.pack(f">4{integer}", 1211216, 2, 3, 4)
    pattern = struct.pack(f">2{integer}4{integer}", 2, 2, 0, 1, 0, 1)
    return header + pattern + struct.pack(">4d", 2, -1, -1, 2)


def petsc_vec(integer):
    return struct.pack(f">2{integer}2d", 1211214, 2, 0.5, -7)


@pytest.mark.parametrize(("integer", "bits"), [("i", 32), ("q", 64)])
def test_petsc_bytes(tmp_path, integer, bits):
    path = tmp_path / "A.petsc"
    path.write_bytes(petsc_mat(integer) + petsc_vec(integer))
    np.testing.assert_array_equal(read_matrix(path).toarray(), ROWS)
    np.testing.assert_array_equal(read_vector(path), [0.5, -7])
    write_matrix(path, ROWS, index_bits=bits)
    assert path.read_bytes() == petsc_mat(integer)
    write_vector(path, [0.5, -7], index_bits=bits)
    assert path.read_bytes() == petsc_vec(integer)


def test_petsc_dense(tmp_path):
    path = tmp_path / "A.petsc"
    path.write_bytes(struct.pack(">4i6d", 1211216, 2, 3, -1, *np.ravel(ROWS)))
    np.testing.assert_array_equal(read_matrix(path).toarray(), ROWS)
    np.testing.assert_array_equal(read_vector(path), ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (struct.pack(">4i", 1211216, 2, 3, 4), "ends early: 0 of 56 bytes"),
        (struct.pack(">4i", 1211216, -2, 3, 4), "negative size -2"),
        (struct.pack(">4i", 1211216, 2**31 - 1, 3, 4), "ends early"),
        (struct.pack(">6i", 1211216, 2, 3, 4, 1, 1), "ends early"),
        (struct.pack(">6i", 1211216, 2, 3, 4, 1, 1) + bytes(48), "hold 2 entries, expected 4"),
        (struct.pack(">6i", 1211216, 2, 3, 4, 5, -1) + bytes(48), "row 1 holds -1 entries"),
        (petsc_mat("i").replace(struct.pack(">i", 1), struct.pack(">i", 9)), "indices|indptr"),
        (petsc_mat("i") + b"\0\0\0\5", "byte 72 there is class 5"),
        # Complex numbers: as many bytes again as real ones.
        (petsc_mat("i") + bytes(32), "double precision and real"),
        (petsc_vec("i"), "holds a vector, but no matrix"),
        (struct.pack("<4i", 1211216, 2, 3, 4), "starts with the bytes 50 7b 12 00"),
        (b"", "it starts with the bytes ,"),
    ],
)
def test_petsc_that_is_wrong(tmp_path, content, message):
    (tmp_path / "A.petsc").write_bytes(content)
    with pytest.raises(OSError, match=rf"A\.petsc.*{message}"):
        read_matrix(tmp_path / "A.petsc")


def test_petsc_matrix_is_no_vector(tmp_path):
    (tmp_path / "A.petsc").write_bytes(petsc_mat("i"))
    with pytest.raises(OSError, match="holds a sparse matrix, but no vector"):
        read_vector(tmp_path / "A.petsc")


@pytest.mark.parametrize(
    ("name", "bits", "message"),
    [("A.petsc", 16, "expected 32 or 64, got 16"), ("A.mtx", 64, "only PETSc files")],
)
def test_index_bits(tmp_path, name, bits, message):
    with pytest.raises(ValueError, match=message):
        write_matrix(tmp_path / name, ROWS, index_bits=bits)


# HDF5


def add_csr(group, A, shape=True):
    for name in ("data", "indices", "indptr"):
        group[name] = getattr(A, name)
    if shape:
        group["shape"] = A.shape


def test_hdf5_layout(tmp_path):
    A = random_matrix()
    write_matrix(tmp_path / "A.h5", A)
    with h5py.File(tmp_path / "A.h5") as file:
        assert file.attrs["type"] == b"csr"
        assert file.attrs["format_version"] == 1
        assert tuple(file.attrs["shape"]) == A.shape
        np.testing.assert_array_equal(file["indices"], A.indices)


def test_hdf5_of_others(tmp_path):
    A = random_matrix()
    with h5py.File(tmp_path / "A.h5", "w") as file:
        add_csr(file.create_group("X"), A)
        file["notes"] = [1, 2]
    assert_same(read_matrix(tmp_path / "A.h5"), A)
    with h5py.File(tmp_path / "A.h5", "a") as file:
        add_csr(file.create_group("layers/raw"), 2 * A)
    with pytest.raises(ValueError, match=r"A\.h5: choose one of \['X', 'layers/raw'\] with key="):
        read_matrix(tmp_path / "A.h5")
    assert_same(read_matrix(tmp_path / "A.h5", key="layers/raw"), 2 * A)
    with pytest.raises(ValueError, match=r"no csr under the key 'Y'; there is: \['X', 'layers"):
        read_matrix(tmp_path / "A.h5", key="Y")
    np.testing.assert_array_equal(read_vector(tmp_path / "A.h5", key="notes"), [1, 2])


RECTANGLE = sp.csr_array(np.array([[1.0, 2, 0], [0, 3, 4]]))
SQUARE = sp.csr_array(np.array([[1.0, 2, 0], [0, 3, 4], [5, 0, 6]]))


@pytest.mark.parametrize("A", [RECTANGLE, SQUARE], ids=["rectangle", "square"])
@pytest.mark.parametrize("order", ["csr", "csc"])
@pytest.mark.parametrize(
    ("encoding", "value", "shape"),
    [
        ("encoding-type", "{}_matrix", "shape"),
        ("h5sparse_format", "{}", "h5sparse_shape"),
    ],
)
def test_hdf5_says_whether_it_is_by_rows(tmp_path, A, order, encoding, value, shape):
    with h5py.File(tmp_path / "A.h5ad", "w") as file:
        group = file.create_group("X")
        add_csr(group, A.asformat(order), shape=False)
        group.attrs[encoding], group.attrs[shape] = value.format(order), A.shape
    assert_same(read_matrix(tmp_path / "A.h5ad"), A)
    with h5py.File(tmp_path / "A.h5ad", "a") as file:
        file["X"].attrs[encoding] = "coo"
    with pytest.raises(OSError, match=rf"/X: {encoding} is 'coo'; known: csr"):
        read_matrix(tmp_path / "A.h5ad")


@pytest.mark.parametrize("A", [RECTANGLE, SQUARE], ids=["rectangle", "square"])
def test_hdf5_of_10x_holds_a_column_for_each_barcode(tmp_path, A):
    with h5py.File(tmp_path / "A.h5", "w") as file:
        add_csr(file.create_group("matrix"), A.tocsc())
        file["matrix/barcodes"] = np.array([b"AAAC"] * A.shape[1])
    assert_same(read_matrix(tmp_path / "A.h5"), A)


def test_hdf5_that_says_nothing_is_read_as_it_fits(tmp_path):
    for A in (RECTANGLE.tocsc(), RECTANGLE):
        with h5py.File(tmp_path / "A.h5", "w") as file:
            add_csr(file, A)
        assert_same(read_matrix(tmp_path / "A.h5"), RECTANGLE)


def test_hdf5_of_matlab_under_its_own_suffix(tmp_path):
    with h5py.File(tmp_path / "A.h5", "w") as file:
        add_sparse(file, "A", RECTANGLE)
    assert_same(read_matrix(tmp_path / "A.h5"), RECTANGLE)


def test_hdf5_dense_matrices_by_name(tmp_path):
    with h5py.File(tmp_path / "A.h5ad", "w") as file:
        file["X"] = np.arange(6.0).reshape(2, 3)
    assert_same(read_matrix(tmp_path / "A.h5ad", key="X"), sp.csr_array([[0.0, 1, 2], [3, 4, 5]]))
    with pytest.raises(OSError, match="holds no csr"):
        read_matrix(tmp_path / "A.h5ad")


def test_hdf5_arrays_that_are_not_there(tmp_path):
    with h5py.File(tmp_path / "A.h5", "w") as file:
        add_csr(file, SQUARE)
        for name in ("data", "indices"):
            del file[name]
            file.create_dataset(name, (10**12,), dtype="i8", chunks=(1000,))
    with pytest.raises(OSError, match=r"A\.h5"):
        read_matrix(tmp_path / "A.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (10**12,), dtype="f8", chunks=(1000,))
    with pytest.raises(OSError, match="1000000000000 entries, which are not there: 0 bytes"):
        read_vector(tmp_path / "x.h5")


def words_of_ones(path, value):
    """Turn words of zeros in a number of a file into ones, which HDF5's checksum does not see."""
    content, raw = path.read_bytes(), np.array([value]).tobytes()
    path.write_bytes(content.replace(raw, b"\xff\xff" * 2 + raw[4:]))
    assert path.read_bytes() != content


def test_hdf5_zeros_turned_to_ones_are_noticed(tmp_path):
    write_matrix(tmp_path / "A.h5", gallery.poisson((5, 4)))
    words_of_ones(tmp_path / "A.h5", 4.0)
    with pytest.raises(OSError, match=r"A\.h5.*/data is damaged: its checksum is another one"):
        read_matrix(tmp_path / "A.h5")
    write_vector(tmp_path / "x.h5", [1.0, 4.0])
    words_of_ones(tmp_path / "x.h5", 4.0)
    with pytest.raises(OSError, match=r"x\.h5.*/data is damaged"):
        read_vector(tmp_path / "x.h5")


@pytest.mark.parametrize("shape", [(0,), (1,), (1000,), (7, 3)])
def test_hdf5_checksums_are_those_of_zlib(tmp_path, shape):
    x = random_vector(*shape)
    write_vector(tmp_path / "x.h5", x)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["data"].attrs["crc32"] == zlib.crc32(x.tobytes())
    with h5py.File(tmp_path / "x.h5", "a") as file:  # a file of pympf 0.1
        del file["data"].attrs["crc32"]
    np.testing.assert_array_equal(read_vector(tmp_path / "x.h5"), x)


def test_checksums_of_pieces_add_up():
    rng = np.random.default_rng(0)
    for sizes in ([], [0], [5], [1, 1], [300, 0, 7, 100_000]):
        pieces = [rng.bytes(size) for size in sizes]
        sums = [(zlib.crc32(piece), len(piece)) for piece in pieces]
        assert _sums.combined(sums) == zlib.crc32(b"".join(pieces))


def test_hdf5_vectors_by_name(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["b"] = [1.0, 2.0]
    np.testing.assert_array_equal(read_vector(tmp_path / "x.h5"), [1, 2])
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["c"] = [3.0]
    with pytest.raises(ValueError, match=r"choose one of \['b', 'c'\]"):
        read_vector(tmp_path / "x.h5")


def replace(group, name, values):
    """Put other values in the place of an array, which has no checksum then."""
    del group[name]
    group[name] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.modify("type", "mmf"), "type 'mmf', expected 'csr'"),
        (lambda file: file.attrs.modify("format_version", 2), "version 2, this pympf reads 1"),
        (lambda file: file.attrs.pop("format_version"), "format version 0"),
        (lambda file: file.attrs.pop("shape"), "no shape"),
        (lambda file: file.attrs.create("shape", [7]), "expected 2"),
        (lambda file: file.attrs.modify("shape", [3, 3]), "index pointer size"),
        (lambda file: file.pop("indices"), "indices"),
        (lambda file: file["indices"].write_direct(np.zeros_like(file["indices"])), "checksum"),
        (lambda file: replace(file, "indices", np.full_like(file["indices"], 99)), "0 to 29"),
    ],
)
def test_hdf5_that_is_wrong(tmp_path, change, message):
    path = tmp_path / "A.h5"
    write_matrix(path, random_matrix())
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(OSError, match=rf"A\.h5.*{message}"):
        read_matrix(path)


def test_hdf5_without_a_matrix(tmp_path):
    with create_hdf5(tmp_path / "A.h5") as file:
        file["x"] = [1]
    with pytest.raises(OSError, match=r"A\.h5.*holds no csr"):
        read_matrix(tmp_path / "A.h5")


def test_hdf5_notices_every_changed_byte(tmp_path):
    path = tmp_path / "A.h5"
    write_matrix(path, gallery.poisson(20))
    content = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 200, replace=False):
        damaged = content.copy()
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged.tobytes())
        try:
            A = read_matrix(path)
        except OSError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert_same(A, gallery.poisson(20))


def test_open_hdf5_names_the_file(tmp_path):
    with create_hdf5(tmp_path / "A.h5") as file:
        file["x"] = [1]
    with (
        pytest.raises(OSError, match=r"A\.h5: expected a frame file"),
        open_hdf5(tmp_path / "A.h5", "frame") as file,
    ):
        file["y"][...]


# Edge lists


def test_edges(tmp_path):
    text = "# Nodes: 3 Edges: 4\n% a comment\n7\t100\n100 7\n\n7 3\n5000000000 5000000000\n"
    A = read_matrix(write_text(tmp_path / "graph.txt", text))
    # Nodes 3, 7, 100, 5000000000 become 0 to 3.
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = expected[1, 2] = expected[2, 1] = expected[3, 3] = 1
    np.testing.assert_array_equal(A.toarray(), expected)


def test_weighted_edges_take_the_largest_weight(tmp_path):
    path = write_text(tmp_path / "graph.edges", "0 1 0.5\n1 0 2.5\n0 1 1.5\n1 2 -3\n2 1 -4\n")
    np.testing.assert_array_equal(
        read_matrix(path).toarray(), [[0, 2.5, 0], [2.5, 0, -3], [0, -3, 0]]
    )


@pytest.mark.parametrize("suffix", [".txt.gz", ".edges.gz"])
def test_compressed_edges(tmp_path, suffix):
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(gzip.compress(b"# SNAP\n0 1\n"))
    np.testing.assert_array_equal(read_matrix(path).toarray(), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends within a line"),
        ("# nothing\n", "no numbers"),
        ("1 2\n3 4", "ends within a line"),
        ("1 2\n3\n", "columns"),
        ("1\n2\n", "has 1 columns"),
        ("1 2 3 4\n", "has 4 columns"),
        ("1 2\na b\n", "a"),
        ("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 1\n", "suffix is .mtx"),
        ("# pympf vector, shape 1 x 2\n1 2\n", "holds a vector"),
        ("1.5 2\n", "1.5"),
        ("1 2 x\n", "x"),
        ("# Nodes: 4 Edges: 3\n1 2\n2 3\n", "3 edges are announced, there are 2"),
    ],
)
def test_edges_that_are_wrong(tmp_path, text, message):
    path = write_text(tmp_path / "graph.edges", text)
    with pytest.raises(OSError, match=rf"graph\.edges.*{message}"):
        read_matrix(path)


def test_edge_lists_are_not_written(tmp_path):
    with pytest.raises(OSError, match=r"cannot write a matrix with this suffix; allowed: .*\.npz"):
        write_matrix(tmp_path / "A.txt", np.eye(2))


@pytest.mark.parametrize(
    ("suffix", "text", "labels"),
    [
        (".edges", "b a\na c\n", ["a", "b", "c"]),
        (".txt", "1 2 {}\n1 3 {'weight': 1, 'color': 'red'}\n", [1, 2, 3]),
        (".edges", "b a {}\na c {}\n", ["a", "b", "c"]),
        (".csv", "source,target\n20,10\n10,30\n", [10, 20, 30]),
        (".csv", "20;10\n10;30\n", [10, 20, 30]),
        (".csv", "Source,Target\nb,a\na,c\n", ["a", "b", "c"]),
        (".csv", "x,y,weight\nb,a,1\na,c,1D0\n", ["a", "b", "c"]),
        (".csv", 'b,"a, jr"\n"a, jr",c\n', ["a, jr", "b", "c"]),
        (".csv", "b,a\r\na,c\r\n", ["a", "b", "c"]),
        (".tsv", "b b\ta a\t+1\na a\tc c\t1\n", ["a a", "b b", "c c"]),
        (".tsv", "20\t10\n10\t30\n", [10, 20, 30]),
        (".csv.gz", "\ufeffb,a\na,\u00e7\n", ["a", "b", "\u00e7"]),
    ],
)
def test_edges_between_labels(tmp_path, suffix, text, labels):
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    assert read_labels(path).tolist() == labels
    expected = np.zeros((3, 3))
    expected[0, 1:] = expected[1:, 0] = 1
    np.testing.assert_array_equal(read_matrix(path).toarray(), expected)


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".csv", "a,b\nc\n", "line 2: expected 2 or 3 columns, got 1"),
        (".csv", "a,b\nc,\n", "line 2: expected the number or name of a node, got ''"),
        (".csv", "a,b,1\nc,d,x\n", "line 2: expected a number, got 'x'"),
        (".csv", "a,b,1\nc,d,1e999\n", "line 2: the number 1e999 is out of range"),
        (".csv", "a,b\n1.5,c\n", "line 2: expected the number or name of a node, got '1.5'"),
        (".csv", "1,2\n3,b\n", "line 2: expected an integer, got 'b'"),
        (".csv", "1,2\n3;4\n", "line 2: expected an integer, got '3;4'"),
        (".csv", "a;b;3,5\nb;c;2,5\n", "both ',' and ';': expected one of them"),
        (".csv", "1;2;3,5\n", "both ',' and ';': expected one of them"),
        (".csv", "a,b\nc,\x00d\n", "line 2: expected text"),
        (".edges", "a b\n<c d\n", "line 2: .* got '<c'"),
        (".edges", "1 2 {'weight': x}\n", "line 1: expected a number, got 'x'"),
    ],
)
def test_labels_that_are_wrong(tmp_path, suffix, text, message):
    path = write_text(tmp_path / f"graph{suffix}", text)
    with pytest.raises(OSError, match=rf"graph\{suffix}.*{message}"):
        read_matrix(path)


def test_labels_that_are_not_utf8(tmp_path):
    (tmp_path / "graph.csv").write_bytes(b"a,b\nc,\xe9\n")
    with pytest.raises(OSError, match=r"graph\.csv.*line 2: expected UTF-8"):
        read_matrix(tmp_path / "graph.csv")


def test_vectors_next_to_labels(tmp_path):
    path = tmp_path / "x.csv"
    labels, x = np.array(["a, jr", "b", "10"]), random_vector(3)
    for values in (x, random_vector(3, 2)):
        write_vector(path, values, labels=labels)
        np.testing.assert_array_equal(read_vector(path, labels=labels), values)
        np.testing.assert_array_equal(read_vector(path, labels=labels[::-1]), values[::-1])
    write_vector(path, x, labels=labels)
    assert path.read_text().splitlines()[:2] == ["node,value", f'"a, jr",{float(x[0])!r}']
    with pytest.raises(ValueError, match=r"x\.csv: its rows belong to nodes.*labels="):
        read_vector(path)
    with pytest.raises(ValueError, match=r"x\.csv: the node '10' is not in the graph"):
        read_vector(path, labels=labels[:2])
    with pytest.raises(ValueError, match=r"x\.csv: the node 'c' is not in the file"):
        read_vector(path, labels=[*labels, "c"])
    with pytest.raises(ValueError, match=r"labels: expected 3 of them, got shape \(2,\)"):
        write_vector(path, x, labels=labels[:2])
    with pytest.raises(ValueError, match="only tables"):
        write_vector(tmp_path / "x.txt", x, labels=labels)
    with pytest.raises(OSError, match="line 3: the node 'a' has two rows"):
        read_vector(write_text(path, "node,value\na,1\na,2\n"), labels=["a"])


def test_only_edge_lists_have_labels(tmp_path):
    write_matrix(tmp_path / "A.mtx", np.eye(2))
    with pytest.raises(OSError, match=r"A\.mtx: only edge lists have labels of nodes; .*\.csv"):
        read_labels(tmp_path / "A.mtx")


# Vectors as text, .npy


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1\n2.5\n", [1, 2.5]),
        ("# x\n1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("1 2\n", [[1, 2]]),
        ("\ufeff1.0D0\r\n +2 # two\r\n\r\n% three\r\n-3d-1\r\n", [1, 2, -0.3]),
    ],
)
def test_text_vectors_of_others(tmp_path, text, values):
    np.testing.assert_array_equal(read_vector(write_text(tmp_path / "x.txt", text)), values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends within a line"),
        ("# x\n", "no numbers"),
        ("1\n2", "ends within a line"),
        ("1\n2 3\n", "expected 1 column"),
        ("1\nx\n", "x"),
        ("# pympf vector, shape 3\n1\n2\n", "reshape"),
    ],
)
def test_text_vectors_that_are_wrong(tmp_path, text, message):
    path = write_text(tmp_path / "x.txt", text)
    with pytest.raises(OSError, match=rf"x\.txt.*{message}"):
        read_vector(path)


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


# Truncated and foreign files


def sample_files(directory):
    """One file of every format, with the function that reads it."""
    samples = []
    for suffix in MATRIX_SUFFIXES:
        write_matrix(directory / f"A{suffix}", gallery.poisson((4, 5)))
        samples.append((directory / f"A{suffix}", read_matrix))
    for suffix in VECTOR_SUFFIXES:
        write_vector(directory / f"x{suffix}", random_vector(9, 2))
        samples.append((directory / f"x{suffix}", read_vector))
    scipy.io.savemat(directory / "five.mat", {"A": gallery.poisson(20).tocsc()})
    scipy.io.savemat(directory / "four.mat", {"A": gallery.poisson(20).tocsc()}, format="4")
    with matlab73(directory / "seven.mat") as file:
        add_sparse(file, "A", gallery.poisson(20))
    write_text(directory / "graph.edges", "# Nodes: 4 Edges: 3\n0 1\n1 2\n2 3\n")
    (directory / "graph.txt.gz").write_bytes(gzip.compress(b"0 1\n1 2\n2 3\n"))
    for name in ("five.mat", "four.mat", "seven.mat", "graph.edges", "graph.txt.gz"):
        samples.append((directory / name, read_matrix))
    return samples


def test_every_format_is_refused_when_cut(tmp_path):
    for path, read in sample_files(tmp_path):
        content = path.read_bytes()
        read(path)
        cuts = {0, 1, 4, 100, *np.linspace(0, len(content) - 1, 40, dtype=int)}
        for cut in sorted(cut for cut in cuts if cut < len(content)):
            path.write_bytes(content[:cut])
            with pytest.raises(OSError, match=re.escape(str(path))):
                read(path)


def test_every_format_is_refused_when_foreign(tmp_path):
    rng = np.random.default_rng(0)
    foreign = [b"\n", b"<html>\n<body>not found</body>\n", bytes(1000), rng.bytes(5000)]
    for path, read in sample_files(tmp_path):
        for content in foreign:
            path.write_bytes(content)
            with pytest.raises(OSError, match=re.escape(str(path))):
                read(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("A.npz", "expected a SciPy .npz file, .* failed: it is no zip archive"),
        ("A.h5", "expected an HDF5 file"),
        ("A.txt", "expected an edge list"),
        ("A.mtx", "expected a Matrix Market file"),
    ],
)
def test_what_is_said_of_a_foreign_file(tmp_path, name, message):
    path = write_text(tmp_path / name, "<html>not found</html>\n")
    with pytest.raises(OSError, match=message) as caught:
        read_matrix(path)
    assert "pickle" not in str(caught.value)


def test_every_format_is_refused_under_the_suffix_of_another(tmp_path):
    kinds = {".hdf5": ".h5", ".dat": ".petsc", ".bin": ".petsc", ".edges": ".txt", ".csv": ".txt"}
    kinds |= {".tsv.gz": ".txt.gz"}

    def kind(name):
        suffix = re.sub(r"^[^.]*", "", name)
        return kinds.get(suffix, suffix)

    samples = sample_files(tmp_path)
    contents = {path.name: path.read_bytes() for path, _ in samples}
    for path, read in samples:
        for other, content in contents.items():
            # MATLAB 7.3 is HDF5, so that its variables can be read as such.
            if kind(path.name) != kind(other) and other != "seven.mat":
                path.write_bytes(content)
                with pytest.raises(OSError, match=re.escape(str(path))):
                    read(path)


def test_damaged_bytes_never_crash(tmp_path):
    """Random changes give an error that names the file, or a matrix of wrong values."""
    rng = np.random.default_rng(0)
    for path, read in sample_files(tmp_path):
        if path.name == "seven.mat":
            continue  # HDF5 itself crashes on damaged files without checksums.
        content = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(30):
            damaged = content.copy()
            damaged[rng.integers(len(damaged), size=2)] = rng.integers(256, size=2)
            path.write_bytes(damaged.tobytes())
            try:
                read(path)
            except (OSError, TypeError, ValueError) as error:
                assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("read", [read_matrix, read_vector])
def test_files_that_cannot_be_opened(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"missing\.h5"):
        read(tmp_path / "missing.h5")
    (tmp_path / "folder.mtx").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.mtx"):
        read(tmp_path / "folder.mtx")
    for name in ("A.xls", "A", "A.gz", "A.mtx.zip"):
        (tmp_path / name).touch()
        with pytest.raises(OSError, match=rf"{name}: cannot read a .* allowed: .*\.mtx"):
            read(tmp_path / name)


def test_key_where_there_are_no_keys(tmp_path):
    write_matrix(tmp_path / "A.mtx", np.eye(2))
    with pytest.raises(ValueError, match=r"A\.mtx: a Matrix Market file holds one object"):
        read_matrix(tmp_path / "A.mtx", key="A")


# Writing never damages a file


def test_atomic_write_replaces_at_the_end(tmp_path):
    path = write_text(tmp_path / "file", "old")
    path.chmod(0o640)
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["file"]


def test_atomic_write_obeys_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def half_a_write(path, error):
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error("failed half-way")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_atomic_write_after_an_error(tmp_path, error):
    path = write_text(tmp_path / "file", "old")
    with pytest.raises(error, match="failed half-way"):
        half_a_write(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_atomic_write_follows_links(tmp_path):
    target = write_text(tmp_path / "target", "old")
    (tmp_path / "link").symlink_to(target)
    with atomic_write(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"


def test_atomic_write_spares_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match=f"{path}: expected a regular file"), atomic_write(path):
            pass
    assert not Path("/dev/null").is_file()


def test_atomic_write_into_no_directory(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="there is no directory"),
        atomic_write(tmp_path / "none" / "file"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("x.npz", "vector", "cannot write a vector with this suffix"),
        ("A.npy", "matrix", "cannot write a matrix with this suffix"),
        ("none/x.npy", "vector", "there is no directory"),
        (".", None, "expected a regular file"),
    ],
)
def test_check_output(tmp_path, name, kind, message):
    with pytest.raises(OSError, match=message):
        check_output(tmp_path / name, kind)


def test_check_output_creates_nothing(tmp_path):
    check_output(tmp_path / "x.npy", "vector")
    check_output(tmp_path / "anything")
    assert names(tmp_path) == []


@pytest.fixture(params=["tmpfs", "file size limit"])
def full_disk(request, tmp_path):
    """A directory in which files of more than 64 kB cannot be written."""
    directory = tmp_path / "disk"
    directory.mkdir()
    if request.param == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"cannot mount a small disk here: {error}")
        yield directory
        subprocess.run(["umount", str(directory)], check=True)
    else:
        with file_size_limit(64 * 1024):
            yield directory


@pytest.mark.parametrize("suffix", MATRIX_SUFFIXES)
def test_full_disk_while_a_matrix_is_written(full_disk, suffix):
    path = full_disk / f"A{suffix}"
    small, large = gallery.poisson(3), random_matrix(500, 500)
    write_matrix(path, small)
    content = path.read_bytes()
    with pytest.raises(OSError, match=f"cannot write {re.escape(str(path))}"):
        write_matrix(path, large)
    assert path.read_bytes() == content
    assert names(full_disk) == [path.name]
    assert_same(read_matrix(path), small)


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_full_disk_while_a_vector_is_written(full_disk, suffix):
    path = full_disk / f"x{suffix}"
    write_vector(path, [1.0, 2.0])
    with pytest.raises(OSError, match=f"cannot write {re.escape(str(path))}"):
        write_vector(path, random_vector(20_000))
    np.testing.assert_array_equal(read_vector(path), [1, 2])
    assert names(full_disk) == [path.name]


def test_full_disk_has_its_error_number(full_disk):
    with pytest.raises(OSError, match="cannot write") as caught:
        write_matrix(full_disk / "A.petsc", random_matrix(500, 500))
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)


@pytest.mark.parametrize("suffix", MATRIX_SUFFIXES)
def test_disk_that_lacks_one_byte_for_a_matrix(tmp_path, suffix):
    path, fits = tmp_path / f"A{suffix}", tmp_path / f"B{suffix}"
    write_matrix(fits, gallery.poisson(9))
    path.write_text("old")
    with file_size_limit(fits.stat().st_size - 1), pytest.raises(OSError, match="cannot write"):
        write_matrix(path, gallery.poisson(9))
    assert path.read_text() == "old"


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_disk_that_lacks_one_byte_for_a_vector(tmp_path, suffix):
    path, fits = tmp_path / f"x{suffix}", tmp_path / f"y{suffix}"
    write_vector(fits, random_vector(9))
    path.write_text("old")
    with file_size_limit(fits.stat().st_size - 1), pytest.raises(OSError, match="cannot write"):
        write_vector(path, random_vector(9))
    assert path.read_text() == "old"
