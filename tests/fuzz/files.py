"""Files of every format with bytes changed, cut away and added: read rightly or refused."""

import bz2
import functools
import gzip
import io
import re
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse as sp
from matrices import chance, pick
from outcome import REFUSALS, refusal, require

import pympf
from pympf.io import read_matrix, read_vector, write_matrix, write_vector

LARGEST = 2**24 + 2**20
"""Numbers in a matrix or vector that comes out of a damaged file of some kilobytes."""


def load_table(path):
    """Read a hash table; give its numbers."""
    state = pympf.lsh.Table.load(path).__getstate__()
    return np.concatenate([np.ravel(state["points"]), state["ids"]])


def load_factorization(path):
    """Read a factorization; give what it makes of a vector."""
    F = pympf.load(path)
    return F @ np.ones(F.shape[0])


# ---- one whole file of every kind ----------------------------------------------------------------


def matrix_text(banner, body):
    return f"%%MatrixMarket matrix {banner}\n{body}".encode()


TEXTS = {
    "integer.mtx": matrix_text(
        "coordinate integer symmetric", "4 4 6\n1 1 4\n2 1 -1\n2 2 4\n3 2 -1\n3 3 4\n4 4 4\n"
    ),
    "pattern.mtx": matrix_text("coordinate pattern general", "3 3 4\n1 1\n2 1\n3 2\n3 3\n"),
    "skew.mtx": matrix_text("coordinate real skew-symmetric", "3 3 2\n2 1 1.5\n3 1 -2e3\n"),
    "array.mtx": matrix_text("array real general", "2 3\n1\n2\n3\n4\n5\n6.5\n"),
    "array_symmetric.mtx": matrix_text("array real symmetric", "2 2\n1\n2\n3\n"),
    "fortran.mtx": matrix_text(
        "coordinate real general", "% f\r\n2 2 2\r\n1 1 +1.5D0\r\n2 2 2\r\n"
    ),
    "snap.txt": b"# Nodes: 4 Edges: 3\n# From To\n10\t20\n20\t30\n30\t7\n",
    "weighted.edges": b"% weighted\n1 2 0.5\n2 3 1.5D1\n3 4 +2\n",
    "networkx.edges": b"1 2 {}\n2 3 {'weight': 2.5}\n",
    "numbers.csv": b"source,target,weight\n1,2,0.5\n2,3,1.5\n",
    "names.csv": b'Bo,Cy\nAl,Bo\nCy,"De, jr"\n',
    "names.tsv": b"from\tto\tw\nBo B\tCy\t1\nAl\tBo B\t2.5\n",
}

VECTOR_TEXTS = {
    "plain.txt": b"# numbers\n1.5\n-2\n+3e4\n",
    "block.txt": b"1 2\n3 4\n",
    "block.csv": b"a;b\n1;2\n3;4\n",
}


def of_other_programs(folder):
    """Write the files that the package reads and does not write."""
    A = pympf.gallery.poisson((3, 4))
    for name, text in {**TEXTS, **VECTOR_TEXTS}.items():
        (folder / name).write_bytes(text)
    (folder / "edges.txt.gz").write_bytes(gzip.compress(b"0 1\n1 2\n2 3\n"))
    (folder / "integer.mtx.bz2").write_bytes(bz2.compress(TEXTS["integer.mtx"]))
    scipy.io.savemat(folder / "four.mat", {"A": A.tocsc()}, format="4")
    scipy.io.savemat(folder / "plain.mat", {"A": A.tocsc(), "note": "x"})
    scipy.io.savemat(folder / "struct.mat", {"Problem": {"name": "x", "A": A.tocsc()}})
    sp.save_npz(folder / "csc.npz", A.tocsc())
    sp.save_npz(folder / "dia.npz", A.todia())


@functools.cache
def samples():
    """Give (name, content, reader, value) of a whole file of every kind."""
    found = []
    rng = np.random.default_rng(0)
    A = sp.csr_array(pympf.gallery.poisson((5, 4)) * rng.uniform(0.5, 2))
    readers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of_other_programs(folder)
        readers = dict.fromkeys((path.name for path in folder.iterdir()), read_matrix)
        readers |= dict.fromkeys(VECTOR_TEXTS, read_vector)
        for suffix in ("mtx", "mtx.gz", "mtx.bz2", "npz", "mat", "petsc", "h5"):
            write_matrix(folder / f"A.{suffix}", A)
            readers[f"A.{suffix}"] = read_matrix
        write_matrix(folder / "long.petsc", A, index_bits=64)
        readers["long.petsc"] = read_matrix
        for suffix in ("mtx", "npy", "txt", "csv", "tsv.bz2", "petsc", "mat", "h5"):
            write_vector(folder / f"x.{suffix}", rng.standard_normal((4, 2)))
            readers[f"x.{suffix}"] = read_vector
        pympf.factorize(A, core_size=5).save(folder / "F.h5")
        readers["F.h5"] = load_factorization
        points = rng.standard_normal((7, 3))
        pympf.lsh.Table(pympf.lsh.HyperplaneHash(3, n_functions=4)).fit(points).save(
            folder / "T.h5"
        )
        readers["T.h5"] = load_table
        for path in sorted(folder.iterdir()):
            read = readers[path.name]
            found.append((path.name, path.read_bytes(), read, numbers(read(path))))
    return found


def numbers(thing):
    """Give what was read as an array that tells two of them apart."""
    return thing.toarray() if sp.issparse(thing) else np.asarray(thing)


# ---- damage --------------------------------------------------------------------------------------


def flipped_bits(content, rng):
    content = bytearray(content)
    for place in rng.integers(0, len(content), 1 + int(rng.exponential(2))):
        content[place] ^= 1 << int(rng.integers(8))
    return bytes(content)


def other_bytes(content, rng):
    content = bytearray(content)
    for place in rng.integers(0, len(content), 1 + int(rng.exponential(2))):
        content[place] = pick(rng, [0, 0xFF, 0x80, 0x7F, 10, 13, 32, 45, 43, 46, 48, 57, 101, 68])
    return bytes(content)


def cut(content, rng):
    return content[: rng.integers(len(content))]


def grown(content, rng):
    more = pick(rng, [b"\0" * 8, b"1 1 1\n", b"\xff" * 100, content[-50:], content, b"junk", b"\n"])
    return content + more


def without_a_part(content, rng):
    first, last = np.sort(rng.integers(0, len(content) + 1, 2))
    last = min(last, first + int(pick(rng, [1, 4, 8, 50])))
    return content[:first] + content[last:]


def with_a_part_twice(content, rng):
    first, last = np.sort(rng.integers(0, len(content) + 1, 2))
    last = min(last, first + int(pick(rng, [1, 4, 8, 50])))
    return content[:last] + content[first:]


def other_words(content, rng):
    """Numbers of 4 or 8 bytes that are far too large, negative, or bit patterns of checksums."""
    code = str(pick(rng, ["<i", ">i", "<q", ">q"]))
    width = struct.calcsize(code)
    if len(content) < width:
        return content
    number = int(pick(rng, [-1, 0, 1, 2**31 - 1, -(2**31), 2**20, 2**30, 0xFFFF, 1211216]))
    at = int(rng.integers(0, len(content) - width + 1))
    at -= at % 4 if chance(rng, 0.7) else 0
    return content[:at] + struct.pack(code, number) + content[at + width :]


def words_of_ones(content, rng):
    """Turn 16-bit words of zeros into ones: some checksums do not see it."""
    places = [match.start() for match in re.finditer(rb"\0\0", content)]
    if not places:
        return content
    at = pick(rng, places)
    many = 2 * int(rng.integers(1, 4))
    many = len(re.match(rb"(?:\0\0)*", content[at : at + many])[0])
    return content[:at] + b"\xff" * many + content[at + many :]


def other_numbers(content, rng):
    """Replace a decimal number of a text."""
    found = list(re.finditer(rb"[-+.\deE]+", content))
    if not found:
        return content
    place = pick(rng, found[:12] if chance(rng, 0.5) else found)
    word = pick(
        rng,
        [
            *(b"0", b"-1", b"1", b"99999999999", b"2147483648", b"9223372036854775808", b"1e400"),
            *(b"nan", b"inf", b"1.5", b"1.0D0", b"1d-400", b"+2", b"0x10", b"1_000", b"\xd9\xa1"),
            *(b"", b"\0", b"1,5", b"{}", b'"', b"4" * 400, b"1e99999999999999999999", b"--1"),
        ],
    )
    return content[: place.start()] + word + content[place.end() :]


DAMAGES = (
    *(flipped_bits, other_bytes, cut, grown, without_a_part, with_a_part_twice),
    *(other_words, words_of_ones, other_numbers),
)


PACKED = ((".gz", gzip.decompress, gzip.compress), (".bz2", bz2.decompress, bz2.compress))


def damaged(name, content, rng):
    """Damage a file; a compressed one outside or, with its checksums made anew, inside."""
    damage = pick(rng, DAMAGES)
    if chance(rng, 0.4):
        return damage(content, rng)
    for suffix, unpack, pack in PACKED:
        if name.endswith(suffix):
            return pack(damage(unpack(content), rng))
    return zip_with(content, rng, damage) if name.endswith(".npz") else damage(content, rng)


def zip_with(content, rng, damage):
    """Damage a member of an archive, or leave it out."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = pick(rng, sorted(members))
    members[chosen] = damage(members[chosen], rng)
    if chance(rng, 0.1):
        del members[chosen]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, member in members.items():
            archive.writestr(str(name), member)
    return stream.getvalue()


def read(rng):
    """Read a damaged file: it is refused by name, or read as what it says."""
    name, content, reader, value = pick(rng, samples())
    content = damaged(name, content, rng)
    while content and chance(rng, 0.2):
        content = pick(rng, DAMAGES)(content, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            result = reader(path)
        except REFUSALS as error:
            require(name in str(error), f"{name} is not named: {type(error).__name__}: {error}")
            return refusal(error)
    size = result.nnz + max(result.shape) if sp.issparse(result) else np.size(result)
    require(size <= LARGEST, f"{len(content)} bytes of {name} give {size} numbers")
    if name.endswith(".h5"):
        same = np.array_equal(numbers(result), value, equal_nan=True)
        require(same, f"{name} was damaged and is read with other numbers")
    return "read"
