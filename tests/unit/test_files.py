"""Saving and loading factorizations: the same bits, and no damage goes unnoticed."""

import subprocess
import zlib

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

from ..helpers import random_spd, random_symmetric, same_bits

KINDS = {
    "pairs": {},
    "order 3": {"order": 3},
    "prenormalized": {"prenormalize": True},
    "all core": {"core_size": 1000},
    "sparse core": {"max_stages": 1, "core_size": 10},
}


def factored(kind="pairs", dtype=np.float64):
    A = gallery.poisson((40, 40) if kind == "sparse core" else (12, 12)).astype(dtype)
    params = {"core_size": 30, **KINDS[kind]}
    return pympf.factorize(A, seed=123_456_789, tolerance=0.7123456789, **params)


# There and back


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_round_trip(tmp_path, rng, kind, dtype):
    F = factored(kind, dtype)
    F.save(tmp_path / "F.h5")
    G = pympf.load(tmp_path / "F.h5")
    assert (G.shape, G.dtype, G.levels, G.core_size) == (F.shape, dtype, F.levels, F.core_size)
    assert same_bits(F, G)
    assert F.params == G.params
    assert F.report() == G.report()
    x = rng.standard_normal((F.shape[0], 3))
    np.testing.assert_array_equal(F @ x, G @ x)
    np.testing.assert_array_equal(F.transform(x), G.transform(x))
    np.testing.assert_array_equal(F.solve(x), G.solve(x))
    assert F.slogdet() == G.slogdet()


@pytest.mark.parametrize("make", [lambda F: F.inverse(rcond=1e-3), lambda F: F.sqrt()])
def test_functions_are_saved_too(tmp_path, make):
    F = make(factored())
    F.save(str(tmp_path / "F.h5"))
    assert same_bits(F, pympf.load(str(tmp_path / "F.h5")))


def test_loaded_factorization_goes_on(tmp_path, rng):
    A = gallery.poisson((12, 12))
    F = pympf.factorize(A, core_size=30)
    F.save(tmp_path / "F.h5")
    G = pympf.load(tmp_path / "F.h5")
    assert G.error(A) == F.error(A)
    assert same_bits(G.refactorize(2 * A), F.refactorize(2 * A))
    b = rng.standard_normal(144)
    solutions = [pympf.solve(A, b, preconditioner=P).x for P in (F, G)]
    np.testing.assert_array_equal(*solutions)


@pytest.mark.parametrize("A", [[[2.0]], np.zeros((150, 150)), np.diag(np.arange(150.0))], ids=len)
def test_small_and_empty_ones(tmp_path, A):
    F = pympf.factorize(A)
    F.save(tmp_path / "F.h5")
    assert same_bits(F, pympf.load(tmp_path / "F.h5"))


def test_file_says_what_it_is(tmp_path):
    F = factored()
    F.save(tmp_path / "F.h5")
    with h5py.File(tmp_path / "F.h5") as file:
        assert file.attrs["type"] == b"mmf"
        assert file.attrs["format_version"] == 1
        assert file["params"].attrs["seed"] == b"123456789"
        assert [key for key in file if key.startswith("stage_")] == [
            f"stage_{level}" for level in range(1, F.levels + 1)
        ]


def test_saving_replaces_whole_files(tmp_path):
    path = tmp_path / "F.h5"
    factored("sparse core").save(path)
    factored().save(path)
    assert same_bits(factored(), pympf.load(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["F.h5"]


# Damage


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "F.h5"
    factored("order 3").save(path)
    return path


def refused(path, message=""):
    with pytest.raises(OSError, match=rf"{path.name}.*{message}"):
        pympf.load(path)


def test_cut_short(saved):
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for size in (0, 1, 8, 100, len(content) - 1, *rng.integers(0, len(content), 40)):
        saved.write_bytes(content[:size])
        refused(saved)


def test_every_changed_byte_is_noticed(saved):
    F, content = pympf.load(saved), np.frombuffer(saved.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(content), 300, replace=False):
        damaged = content.copy()
        damaged[place] ^= 1 << rng.integers(8)
        saved.write_bytes(damaged.tobytes())
        try:
            G = pympf.load(saved)
        except OSError as error:
            assert saved.name in str(error)  # noqa: PT017
        else:  # a byte that nothing is stored in
            assert same_bits(F, G)
            assert F.report() == G.report()


def test_zeros_turned_to_ones_are_noticed(tmp_path):
    """Fletcher's checksum of HDF5 does not see it."""
    path = tmp_path / "F.h5"
    pympf.factorize(gallery.poisson(20), core_size=30).save(path)
    with h5py.File(path) as file:
        core = file["core"]
        assert core.attrs["crc32"] == zlib.crc32(core[()].tobytes())
    content, two = path.read_bytes(), np.array([2.0]).tobytes()
    assert content.count(two) > 0
    path.write_bytes(content.replace(two, b"\xff\xff" * 2 + two[4:]))
    refused(path, "is damaged: its checksum is another one")


def test_files_without_our_checksums_are_read(saved):
    F = pympf.load(saved)
    with h5py.File(saved, "a") as file:
        file.visititems(lambda _, item: item.attrs.pop("crc32", None) and None)
    assert same_bits(F, pympf.load(saved))


def test_foreign_files(tmp_path, rng):
    path = tmp_path / "F.h5"
    for content in (b"", b"text", rng.bytes(5000), b"\x89HDF\r\n\x1a\n" + rng.bytes(5000)):
        path.write_bytes(content)
        refused(path)
    pympf.io.write_matrix(path, gallery.poisson(5))
    refused(path, "expected type 'mmf'.*got type 'csr' in format_version 1$")
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2]
    refused(path, "got type None")


@pytest.mark.parametrize("path", ["missing.h5", "", "folder"])
def test_no_file(tmp_path, path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"No such file|Is a directory"):
        pympf.load(tmp_path / path)


def replace(group, name, array):
    del group[name]
    group[name] = array


def set_entry(name, where, value, stage="stage_1"):
    def change(file):
        group = file[stage] if stage else file
        array = group[name][()]
        array[where] = value
        replace(group, name, array)

    return change


CORRUPTIONS = {
    "later version": (lambda f: f.attrs.modify("format_version", 2), "format_version 1"),
    "another type": (lambda f: f.attrs.modify("type", np.bytes_("cur")), "expected type 'mmf'"),
    "another dtype": (lambda f: f.attrs.modify("dtype", np.bytes_("float32")), ""),
    "integer dtype": (lambda f: f.attrs.modify("dtype", np.bytes_("int64")), "int64"),
    "no rows": (lambda f: f.attrs.modify("rows", 0), "rows"),
    "negative rows": (lambda f: f.attrs.modify("rows", -5), "rows"),
    "too many rows": (lambda f: f.attrs.modify("rows", 145), "order has 144"),
    "very many rows": (lambda f: f.attrs.modify("rows", 2**40), ""),
    "another core": (lambda f: f.attrs.modify("core_size", 31), "core"),
    "negative core": (lambda f: f.attrs.modify("core_size", -1), "core"),
    "unknown stop": (lambda f: f.attrs.modify("stop", np.bytes_("tired")), "tired"),
    "no norm": (lambda f: f.attrs.pop("norm"), "norm"),
    "unknown parameter": (lambda f: f["params"].attrs.create("new", "1"), "unknown parameter new"),
    "wrong parameter": (lambda f: f["params"].attrs.modify("order", "1"), "order = 1"),
    "no parameters": (lambda f: f.pop("params"), "params"),
    "missing stage": (lambda f: f.pop("stage_1"), "stage_"),
    "missing last stage": (lambda f: f.pop("stage_2"), ""),
    "stage is an array": (lambda f: replace(f, "stage_1", [1.0, 2.0]), ""),
    "array is a group": (lambda f: (f.pop("order"), f.create_group("order")), ""),
    "missing line": (lambda f: f["stage_1"].attrs.pop("rows"), "rows"),
    "missing core": (lambda f: f.pop("core"), "core"),
    "core too short": (lambda f: replace(f, "core", f["core"][:-1]), "core"),
    "core of two dimensions": (lambda f: replace(f, "core", np.eye(30)), "1-D"),
    "core of integers": (lambda f: replace(f, "core", np.ones(900, np.int64)), ""),
    "core of strings": (lambda f: replace(f, "core", np.array([b"a"] * 900)), ""),
    "NaN in the core": (set_entry("core", 5, np.nan, None), "core is not finite"),
    "infinite wavelet": (set_entry("diagonal", -1, np.inf, None), "diagonal is not finite"),
    "diagonal too long": (lambda f: replace(f, "diagonal", np.ones(115)), "rows"),
    "order too short": (lambda f: replace(f, "order", f["order"][1:]), "order"),
    "order out of range": (set_entry("order", 0, 144, None), "order"),
    "order twice the same": (lambda f: f["order"].write_direct(np.full(144, 7, "i4")), "order"),
    "order of 64 bits": (lambda f: replace(f, "order", f["order"][()].astype(np.int64)), ""),
    "one scale": (lambda f: replace(f, "scale", np.ones(1)), "scale"),
    "scale of zero": (lambda f: replace(f, "scale", np.zeros(144)), "scale"),
    "index too large": (set_entry("index", 3, 2**31 - 1), "cluster"),
    "index negative": (set_entry("index", 3, -1), "cluster"),
    "index into another stage": (set_entry("index", 0, 80, "stage_2"), "cluster"),
    "missing index": (lambda f: f["stage_1"].pop("index"), "index"),
    "destination twice": (set_entry("destination", 0, 1), "destination"),
    "destination too large": (set_entry("destination", 0, 2**31 - 1), "destination"),
    "destination too short": (
        lambda f: replace(f["stage_1"], "destination", f["stage_1/destination"][:-1]),
        "",
    ),
    "no destination": (lambda f: replace(f["stage_1"], "destination", np.empty(0, "i4")), "keeps"),
    "matrix too short": (
        lambda f: replace(f["stage_1"], "matrix", f["stage_1/matrix"][:-1]),
        "matrix",
    ),
    "NaN in a rotation": (set_entry("matrix", 0, np.nan), "matrix is not finite"),
    "rotation too large": (set_entry("index_start", 1, 10**12), "index_start"),
    "rotation negative": (set_entry("matrix_start", 1, -9), "matrix_start"),
    "missing starts": (lambda f: f["stage_1"].pop("index_start"), ""),
    "clusters decrease": (set_entry("cluster_ptr", 0, 5), "cluster_ptr"),
    "clusters too large": (set_entry("cluster_ptr", -1, 2**31 - 1), "cluster_ptr"),
    "no clusters": (lambda f: replace(f["stage_1"], "cluster_ptr", np.empty(0, "i4")), "cluster"),
    "active too many": (set_entry("active_ptr", -1, 144), "active_ptr"),
    "rotations negative": (set_entry("rotation_ptr", -1, -1), "rotation_ptr"),
    "rotations too many": (set_entry("rotation_ptr", -1, 2**31 - 1), ""),
}


@pytest.mark.parametrize(("change", "message"), CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_parts_that_do_not_fit(saved, change, message):
    with h5py.File(saved, "a") as file:
        change(file)
    refused(saved, message)


def test_sparse_core_that_does_not_fit(tmp_path):
    path = tmp_path / "F.h5"
    for change in (
        set_entry("core_indices", 0, 10**6, None),
        set_entry("core_indptr", 1, -1, None),
        set_entry("core_data", 0, np.nan, None),
        lambda f: replace(f, "core_indices", f["core_indices"][1:]),
        lambda f: f.pop("core_indptr"),
    ):
        factored("sparse core").save(path)
        with h5py.File(path, "a") as file:
            change(file)
        refused(path)


@pytest.mark.parametrize("kind", KINDS)
def test_random_numbers_in_any_array_never_crash(tmp_path, kind):
    path = tmp_path / "F.h5"
    factored(kind).save(path)
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for name in names * 4:
        path.write_bytes(content)
        with h5py.File(path, "a") as file:
            array = file[name][()]
            if array.size == 0:
                continue
            bound = rng.choice([2, 200, 2**31 - 1])
            array[rng.integers(0, array.size, 3)] = rng.integers(-2, bound, 3)
            replace(file, name, array)
        try:
            F = pympf.load(path)
        except OSError:
            continue
        F.apply(np.ones(F.shape[0]))  # values may be wrong, but every index is in range
        F.inverse_transform(np.ones(F.shape[0]))


# Writing that fails


def test_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small disk here: {error}")
    try:
        path = disk / "F.h5"
        small = pympf.factorize(random_spd(20, np.random.default_rng(0)))
        small.save(path)
        with pytest.raises(OSError, match="cannot write"):
            pympf.factorize(gallery.poisson((60, 60))).save(path)
        assert same_bits(small, pympf.load(path))
        assert [entry.name for entry in disk.iterdir()] == ["F.h5"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_places_that_cannot_be_written(tmp_path):
    F = pympf.factorize(sp.csr_array(random_symmetric(10, np.random.default_rng(0))))
    with pytest.raises(OSError, match="no directory"):
        F.save(tmp_path / "missing" / "F.h5")
    with pytest.raises(OSError, match="regular file"):
        F.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
