"""Files that are read by many ranks: what one process refuses they refuse, in the same words."""

import re
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from pympf import gallery, io

from .jobs import run_command, starts_a_job

pytest.importorskip("mpi4py")
from mpi4py import MPI

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
A = gallery.poisson((5, 4))
PYMPF = str(Path(sys.executable).parent / "pympf")
R = sp.csr_array(np.arange(12.0).reshape(3, 4))


@pytest.fixture
def shared_folder(tmp_path):
    """The folder of rank 0, for all ranks."""
    return COMM.bcast(tmp_path)


def petsc(values=A.data, integer=">i4", lengths=None, indices=A.indices, entries=A.nnz):
    """Give the bytes of a PETSc file, as a build with these types writes it."""
    lengths = np.diff(A.indptr) if lengths is None else lengths
    head = np.array([1211216, *A.shape, entries], integer).tobytes()
    whole = np.concatenate([lengths, indices]).astype(integer).tobytes()
    return head + whole + np.asarray(values).tobytes()


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


PETSC = {
    "complex": petsc(A.data.astype(">c16")),
    "single": petsc(A.data.astype(">f4")),
    "quadruple": petsc(np.repeat(A.data.astype(">f8"), 2)),
    "little endian": petsc(A.data.astype("<f8"), "<i4"),
    "junk behind": petsc(A.data.astype(">f8")) + b"junk!",
    "cut": petsc(A.data.astype(">f8"))[:-3],
    "cut within the columns": petsc(A.data.astype(">f8"))[:130],
    "negative rows": struct.pack(">4i", 1211216, -1, 4, 0),
    "too few in the rows": petsc(A.data.astype(">f8"), lengths=np.full(20, 3)),
    "a negative row": petsc(A.data.astype(">f8"), lengths=changed(np.diff(A.indptr), 13, -3)),
    "column too large": petsc(A.data.astype(">f8"), indices=changed(A.indices, 60, 20)),
    "negative column": petsc(A.data.astype(">f8"), indices=changed(A.indices, 5, -1)),
    "a vector only": struct.pack(">2i2d", 1211214, 2, 0.5, -7),
    "nothing": b"",
}


def refusal(read):
    """Give the words in which a file is refused, without the names of the ranks."""
    kinds = (OSError, ValueError, TypeError)
    with pytest.raises(kinds) as caught:
        read()
    kind = next(kind for kind in kinds if isinstance(caught.value, kind))
    return kind, re.sub(r"^rank [0-9, ]+ of \d+: | on \d+ ranks", "", str(caught.value))


def check_refused(path, write, **options):
    """Compare what ranks say of a file with what one process says."""
    if COMM.rank == 0:
        write(path)
    COMM.Barrier()
    alone = refusal(lambda: io.read_matrix(path, **options))
    together = refusal(lambda: io.read_rows(path, COMM, **options))
    assert together == alone
    assert path.name in alone[1]
    COMM.Barrier()


@pytest.mark.parametrize("content", PETSC.values(), ids=PETSC)
def test_petsc_files_are_refused_alike(content, shared_folder):
    check_refused(shared_folder / "A.petsc", lambda path: path.write_bytes(content))


@pytest.mark.parametrize("integer", [">i4", ">i8"])
def test_petsc_files_of_both_sizes_of_integers(integer, shared_folder):
    path = shared_folder / "A.petsc"
    if COMM.rank == 0:
        path.write_bytes(petsc(A.data.astype(">f8"), integer))
    COMM.Barrier()
    check_rows(path, A)


def check_rows(path, whole, **options):
    part = io.read_rows(path, COMM, **options)
    rows = np.concatenate(COMM.allgather(part.toarray()))
    np.testing.assert_array_equal(rows, whole.toarray())
    np.testing.assert_array_equal(io.read_matrix(path, **options).toarray(), whole.toarray())


def replaced(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def ones_for_zeros(file):
    """Other numbers under the old checksum."""
    file["data"][3] = 7.0


HDF5 = {
    "checksum": ones_for_zeros,
    "column too large": replaced("indices", changed(A.indices, 60, 20)),
    "negative column": replaced("indices", changed(A.indices, 60, -1)),
    "columns of floats": replaced("indices", A.indices + 0.5),
    "too few columns": replaced("indices", A.indices[:-1]),
    "decreasing": replaced("indptr", changed(A.indptr, 14, 0)),
    "not from zero": replaced("indptr", changed(A.indptr, 0, 2)),
    "not to the end": replaced("indptr", changed(A.indptr, -1, A.nnz - 1)),
    "too short": replaced("indptr", A.indptr[:-1]),
    "complex": replaced("data", A.data + 1j),
    "text": replaced("data", np.array([b"x"] * A.nnz)),
    "another type": lambda file: file.attrs.modify("type", np.bytes_("mmf")),
    "a later version": lambda file: file.attrs.modify("format_version", 9),
    "no shape": lambda file: file.attrs.pop("shape"),
    "no data": lambda file: file.pop("data"),
}


@pytest.mark.parametrize("change", HDF5.values(), ids=HDF5)
def test_hdf5_files_are_refused_alike(change, shared_folder):
    def write(path):
        io.write_matrix(path, A)
        with h5py.File(path, "a") as file:
            change(file)

    check_refused(shared_folder / "A.h5", write)


@pytest.mark.parametrize("order", ["csr", "csc"])
def test_hdf5_files_of_others(order, shared_folder):
    path = shared_folder / "A.h5ad"
    if COMM.rank == 0:
        with h5py.File(path, "w") as file:
            group, matrix = file.create_group("X"), R.asformat(order)
            group.attrs.update({"encoding-type": f"{order}_matrix", "shape": R.shape})
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(matrix, name)
            file["dense"] = R.toarray()
    COMM.Barrier()
    check_rows(path, R)
    check_rows(path, R, key="dense")
    check_refused(path, lambda path: None, key="missing")


def test_what_is_asked_of_a_matrix_is_refused_alike(shared_folder):
    unsymmetric = sp.csr_array(A + sp.eye_array(20, k=3))
    for suffix in ("petsc", "h5", "npz"):
        path = shared_folder / f"A.{suffix}"
        check_refused(path, lambda path: io.write_matrix(path, R), shift=1.0)
        check_refused(path, lambda path: io.write_matrix(path, unsymmetric), laplacian=True)
        check_refused(path, lambda path: io.write_matrix(path, A), shift=float("nan"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("A.mtx", b"%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 \x00\n"),
        ("A.csv", b"a,b\nc\n"),
        ("A.npz", b"junk"),
        ("A.mat", bytes(200)),
    ],
)
def test_files_that_one_rank_reads_are_refused_alike(name, content, shared_folder):
    check_refused(shared_folder / name, lambda path: path.write_bytes(content))


@starts_a_job
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [("A.petsc", PETSC["complex"], 4), ("A.petsc", PETSC["cut"], 4), ("A.mtx", b"junk\n", 4)],
)
def test_exit_codes_of_a_job(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    found, output = run_command(tmp_path, PYMPF, "solve", name)
    assert found == code
    assert output.count("pympf solve: ") == 1
