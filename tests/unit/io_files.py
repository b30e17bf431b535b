"""What the tests of files share."""

import struct
from contextlib import contextmanager

import h5py
import numpy as np
import scipy.sparse as sp

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


def write_text(path, text):
    path.write_text(text)
    return path


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
