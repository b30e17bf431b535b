"""MATLAB files, before 7.3 and of it."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from pympf.io import (
    _matlab,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from .io_files import add_sparse, assert_same, matlab73, names, random_matrix, random_vector


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
