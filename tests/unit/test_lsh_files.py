"""Copies and files of families and tables."""

import copy
import pickle

import numpy as np
import pytest

from pympf.lsh import BucketIndex, HyperplaneHash, Table

from ..helpers import file_size_limit
from .lsh_families import FAMILIES


@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_copies_and_files_answer_alike(family, dtype, rng, tmp_path):
    X = rng.standard_normal((300, 6)).astype(dtype)
    table = Table(family).fit(X)
    table.remove([5, 17, 299])
    path = tmp_path / "table.h5"
    table.save(path)
    for other in (Table.load(path), pickle.loads(pickle.dumps(table)), copy.deepcopy(table)):
        assert other.family == family
        assert other.dtype == dtype
        for a, b in zip(table.query(X, 4), other.query(X, 4), strict=True):
            assert np.array_equal(a, b)
        assert other.add(X[:1]).tolist() == [300]
    index = BucketIndex(family).fit(X)
    again = pickle.loads(pickle.dumps(index))
    assert np.array_equal(again.transform(X), index.transform(X))
    assert np.array_equal(again.partial_fit(-X).transform(-X), index.partial_fit(-X).transform(-X))


def test_an_empty_table_is_saved(tmp_path):
    Table(FAMILIES[0]).save(tmp_path / "table.h5")
    table = Table.load(tmp_path / "table.h5")
    assert table.dtype is None
    assert len(table) == 0
    assert table.add(np.ones((2, 6), dtype=np.float32)).tolist() == [0, 1]
    assert table.dtype == np.float32


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "table.h5"
    Table(FAMILIES[1]).fit(np.arange(60.0).reshape(10, 6)).save(path)
    return path


def change(name, value, group=None):
    def edit(file):
        (file[group] if group else file).attrs[name] = value

    return edit


def replace(name, value):
    def edit(file):
        del file[name]
        file[name] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("type", b"mmf"), "expected type 'lsh_table'"),
        (change("format_version", 2), "format_version 2"),
        (change("kind", b"MinHash"), "'MinHash' is not one of"),
        (change("dtype", b"int32"), "int32"),
        (change("width", b"-1.0", "family"), "width = -1.0"),
        (change("n_features", b"7", "family"), r"expected shape \(n, 7\)"),
        (change("colour", b"1", "family"), "colour"),
        (change("rows", 11), "reshape"),
        (change("next_id", 3), "id 3 is not above 2 and below 3"),
        (replace("ids", np.zeros(10, dtype=np.int64)), "id 0 is not above 0"),
        (replace("ids", np.arange(9)), "10 points have ids of shape"),
        (replace("points", np.full(60, np.nan)), "not finite"),
        (replace("points", np.full(60, 1e300)), "beyond"),
        (lambda file: file.__delitem__("points"), "points"),
    ],
)
def test_foreign_files_are_refused(saved, edit, message):
    import h5py

    with h5py.File(saved, "r+") as file:
        edit(file)
    with pytest.raises(OSError, match=message):
        Table.load(saved)


def test_zeros_turned_to_ones_are_noticed(tmp_path):
    """Fletcher's checksum of HDF5 does not see it."""
    path = tmp_path / "table.h5"
    Table(HyperplaneHash(2, n_functions=4)).fit([[1.0, 4.0], [3.0, 5.0]]).save(path)
    content, four = path.read_bytes(), np.array([4.0]).tobytes()
    path.write_bytes(content.replace(four, b"\xff\xff" * 2 + four[4:]))
    with pytest.raises(OSError, match="/points is damaged: its checksum is another one"):
        Table.load(path)


def test_damaged_files_are_refused(saved, tmp_path):
    whole = saved.read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / "part.h5").write_bytes(whole[:length])
        with pytest.raises(OSError, match=r"part\.h5"):
            Table.load(tmp_path / "part.h5")
    with pytest.raises(FileNotFoundError):
        Table.load(tmp_path / "none.h5")


def test_a_file_that_cannot_be_written_leaves_the_old_one(saved):
    before = saved.read_bytes()
    table = Table(FAMILIES[0]).fit(np.ones((10_000, 6)))
    with file_size_limit(10_000), pytest.raises(OSError, match="File too large"):
        table.save(saved)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]
