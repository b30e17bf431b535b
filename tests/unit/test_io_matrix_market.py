"""Matrix Market files."""

import bz2
import gzip
import os
import re

import numpy as np
import pytest
import scipy.sparse as sp

from pympf import gallery
from pympf.io import (
    _lines,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from .io_files import (
    MATRIX_SUFFIXES,
    assert_same,
    random_matrix,
    random_vector,
    write_text,
)


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
    monkeypatch.setattr(_lines, "ALWAYS_ALLOWED", 1000)
    (tmp_path / "x.txt.bz2").write_bytes(bz2.compress(b"1 2\n" * 10**6))
    for read in (read_matrix, read_vector):
        with pytest.raises(OSError, match="compressed more than 1100 times"):
            read(tmp_path / "x.txt.bz2")
    monkeypatch.setattr(_lines, "LONGEST_LINE", 1000)
    with pytest.raises(OSError, match="line 1 has more than 1000 bytes"):
        read_vector(write_text(tmp_path / "x.txt", "1 " * 10**5 + "\n"))


@pytest.mark.parametrize("pieces", [1, 7, 64])
def test_text_is_read_in_pieces(tmp_path, monkeypatch, pieces):
    monkeypatch.setattr(_lines, "PIECE", pieces)
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
