"""PETSc binary files."""

import struct

import numpy as np
import pytest

from pympf.io import (
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

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
