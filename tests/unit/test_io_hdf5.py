"""HDF5 files: of pympf, AnnData, 10x and MATLAB."""

import zlib

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from pympf import gallery
from pympf.io import (
    _sums,
    create_hdf5,
    open_hdf5,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from .io_files import add_sparse, assert_same, random_matrix, random_vector


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
