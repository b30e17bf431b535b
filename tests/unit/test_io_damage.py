"""Files that are cut, damaged or foreign, full disks, and what a failed write leaves."""

import errno
import gzip
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from pympf import gallery
from pympf.io import (
    atomic_write,
    check_output,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from ..helpers import file_size_limit
from .io_files import (
    MATRIX_SUFFIXES,
    VECTOR_SUFFIXES,
    add_sparse,
    assert_same,
    matlab73,
    names,
    random_matrix,
    random_vector,
    write_text,
)

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
