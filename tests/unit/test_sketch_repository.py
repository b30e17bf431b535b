"""Repositories of sketches: what they keep, find, forget, and survive."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from pympf.cli import main
from pympf.io import _files
from pympf.sketch import Repository, Scheme, Sketch
from pympf.sketch.repository import widths_within

D, HEAD = 1050, 66
SCHEME = Scheme(D, b=42, seed=3)


def draw(n, seed=0, kinds=None):
    """Give n rows; around a few directions if there are kinds."""
    rng = np.random.default_rng(seed)
    if kinds is None:
        return rng.standard_normal((n, D)).astype(np.float32)
    centres = np.random.default_rng(1).standard_normal((kinds, D))
    rows = centres[np.arange(n) % kinds] + 0.2 * rng.standard_normal((n, D))
    return rows.astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "repository"


@pytest.fixture
def filled(path):
    with Repository.create(path, SCHEME) as repository:
        repository.add(draw(40, kinds=5), labels=[f"object {i}" for i in range(40)])
    return path


def content(repository):
    """Give all that is there, by id."""
    sketches = repository.sketches(repository.ids)
    return {i: s.values[: s.kept] for i, s in zip(repository.ids.tolist(), sketches, strict=True)}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[i], b[i]) for i in a)


def test_what_was_added_comes_back(filled):
    repository = Repository(filled)
    assert len(repository) == 40
    assert repository.bytes == 40 * D * 4
    assert repository.labels([7, 0]) == ["object 7", "object 0"]
    for i, sketch in zip((39, 0), repository.sketches([39, 0]), strict=True):
        assert np.array_equal(sketch.values, draw(40, kinds=5)[i].astype(np.float64))
        assert (sketch.kept, sketch.scheme) == (D, SCHEME.checksum)
    assert repository.scheme.checksum == SCHEME.checksum
    repository.check()


def test_sketches_of_several_widths(path):
    rows = draw(6)
    sketches = [
        Sketch(row, SCHEME.checksum, kept)
        for row, kept in zip(rows, (D, 500, D, 66, 500, D), strict=True)
    ]
    with Repository.create(path, SCHEME) as repository:
        ids = repository.add(sketches)
        assert ids.tolist() == [0, 1, 2, 3, 4, 5]
        repository.commit()
        assert repository.kept(ids).tolist() == [D, 500, D, 66, 500, D]
        for sketch, back in zip(sketches, repository.sketches(ids), strict=True):
            assert np.array_equal(back.values, sketch.values)


def brute_force(X, Q, k):
    unit = [
        a / np.linalg.norm(a, axis=1, keepdims=True) for a in (X.astype(float), Q.astype(float))
    ]
    cosine = unit[1] @ unit[0].T
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosine, order, axis=1), order


def test_query_is_exact_when_it_looks_everywhere(path):
    X, Q = draw(300), draw(20, seed=5)
    with Repository.create(path, SCHEME, functions=2, tables=1) as repository:
        repository.add(X[:100])
        repository.commit()
        repository.query(Q[:1])  # the index grows with what comes later
        repository.add(X[100:])
        repository.commit()
        similarity, ids = repository.query(Q, 5, probes=4, candidates=300)
    expected, order = brute_force(X, Q, 5)
    assert np.array_equal(ids, order)
    assert np.abs(similarity - expected).max() < 1e-12
    again = Repository(path, functions=2, tables=1).query(Q, 5, probes=4, candidates=300)
    assert np.array_equal(again[1], order)


def test_query_compares_what_both_have(path):
    X = draw(30)
    with Repository.create(path, SCHEME) as repository:
        repository.add(X[:10], kept=200)
        repository.add(X[10:])
    found = Repository(path).query([Sketch(X[3], SCHEME.checksum)], 1)
    assert found[1][0, 0] == 3
    assert abs(found[0][0, 0] - 1) < 1e-12
    found = Repository(path).query([Sketch(X[20], SCHEME.checksum, 100)], 1)
    assert found[1][0, 0] == 20
    assert abs(found[0][0, 0] - 1) < 1e-12


def test_fewer_than_asked_for(path):
    with Repository.create(path, SCHEME) as repository:
        assert repository.query(draw(2), 3)[1].tolist() == [[-1] * 3] * 2
        assert repository.clusters(0.5) == []
        repository.add(draw(1))
        repository.commit()
        similarity, ids = repository.query(draw(1), 3)
        assert ids.tolist() == [[0, -1, -1]]
        assert similarity[0, 1] == -np.inf
    assert len(Repository(path).add.__doc__) > 0


def test_clusters_become_summaries(filled):
    X = draw(40, kinds=5)
    with Repository(filled, "a") as repository:
        groups = repository.clusters(0.8)
        assert [group.tolist() for group in groups] == [list(range(i, 40, 5)) for i in range(5)]
        new = [repository.merge(group, f"module {i}") for i, group in enumerate(groups)]
        assert repository.ids.tolist() == new == [40, 41, 42, 43, 44]
        assert repository.counts(new).tolist() == [8] * 5
        # What is seen later belongs to the module whose summary is nearest.
        _, found = repository.query(draw(10, seed=9, kinds=5), 1)
        assert repository.labels(found[:, 0]) == [f"module {i % 5}" for i in range(10)]
    mean = X[1::5].astype(np.float64).mean(axis=0)
    values = Repository(filled).sketches([41])[0].values
    assert np.abs(values - mean).max() < 1e-6
    with Repository(filled, "a") as repository:  # a summary of summaries weighs them
        repository.merge([40, 41])
        assert repository.counts([45]).tolist() == [16]
        mean = np.concatenate([X[0::5], X[1::5]]).astype(np.float64).mean(axis=0)
        assert np.abs(repository.sketches([45])[0].values - mean).max() < 1e-6


def test_forgetting_takes_from_what_was_not_used(filled):
    with Repository(filled, "a") as repository:
        for _ in range(30):
            repository.touch([5, 6])
        before, whole = content(repository), repository.bytes
        for share in (0.5, 0.25, 0.1):
            repository.forget(share * whole)
            assert repository.bytes <= share * whole
            kept = repository.kept(repository.ids)
            assert kept[[5, 6]].min() >= kept.max()
        after = content(Repository(filled))
        assert all(np.array_equal(after[i], before[i][: len(after[i])]) for i in before)
        with pytest.raises(ValueError, match="merge or remove"):
            repository.forget(40 * HEAD * 4 - 1)
        repository.forget(40 * HEAD * 4)
        assert (repository.kept(repository.ids) == HEAD).all()
        _, found = repository.query(draw(40, kinds=5), 1, candidates=40, probes=12)
        assert (found[:, 0] == np.arange(40)).mean() > 0.9


@hypothesis.given(st.integers(0, 2**32), st.integers(1, 50), st.floats(0, 1))
def test_widths_within(seed, n, share):
    rng = np.random.default_rng(seed)
    head = int(rng.integers(1, 20))
    now = head * 2 ** rng.integers(0, 5, n)
    worth = rng.random(n) + 1e-3
    total = head * n + share * (now.sum() - head * n)
    widths = widths_within(total, worth, now, head)
    assert widths.sum() <= total
    assert (widths >= head).all()
    assert (widths <= now).all()
    full = now == now.max()
    order = np.argsort(worth[full], kind="stable")
    smooth = widths[full][order]
    assert (smooth[:-1] <= 2 * smooth[1:]).all()  # worth more, kept as much, up to one rounding
    assert np.array_equal(widths_within(now.sum(), worth, now, head), now)


def test_removing(filled):
    with Repository(filled, "a") as repository:
        repository.query(draw(1))
        repository.remove([3, 4])
        assert 3 not in repository.ids
        assert len(repository) == 38
        assert 3 not in repository.query(draw(40, kinds=5), 38, candidates=40, probes=12)[1]
        with pytest.raises(ValueError, match="no sketch with the id 3"):
            repository.sketches([3])
        with pytest.raises(ValueError, match="no sketch with the id 3"):
            repository.remove([3])
    assert 3 not in Repository(filled).query(draw(40, kinds=5), 38, candidates=40, probes=12)[1]


def test_many_commits_make_few_files(path):
    X = draw(60)
    with Repository.create(path, SCHEME) as repository:
        for i in range(30):
            repository.add(X[2 * i : 2 * i + 2])
            repository.commit()
        assert repository.report()["segments"] < 12
        assert len(list(path.glob("segment-*"))) == repository.report()["segments"]
        back = content(repository)
    assert same(back, dict(enumerate(X.astype(np.float64))))
    assert same(content(Repository(path)), back)


def test_readers_see_commits(filled):
    reader = Repository(filled)
    with Repository(filled, "a") as writer:
        assert not reader.refresh()
        writer.add(draw(1, seed=8))
        assert not reader.refresh()  # not committed
        writer.commit()
        assert reader.refresh()
        assert len(reader) == 41
        old = Repository(filled)
        for _ in range(9):  # files that `old` has open are put together and deleted
            writer.add(draw(1))
            writer.commit()
        assert len(old) == 41
        assert np.array_equal(old.sketches([40])[0].values[:5], draw(1, 8)[0, :5])
    with pytest.raises(OSError, match="open for reading"):
        reader.add(draw(1))


def test_one_writer(filled):
    with Repository(filled, "a"):
        with pytest.raises(OSError, match="another process writes"):
            Repository(filled, "a")
        assert len(Repository(filled)) == 40
    Repository(filled, "a").close()


def test_an_error_drops_what_was_not_committed(filled):
    repository = Repository(filled, "a")
    repository.add(draw(3))
    repository.__exit__(KeyError, KeyError(), None)
    assert len(Repository(filled)) == 40
    Repository(filled, "a").close()


# ---- bad input -----------------------------------------------------------------------------------


def test_bad_sketches(filled):
    other = Scheme(D, b=42, seed=4)
    with Repository(filled, "a") as repository:
        for sketches, error, words in (
            ([Sketch(draw(1)[0], other.checksum)], ValueError, "of the scheme"),
            (draw(2)[:, :-1], ValueError, "expected shape"),
            (draw(2) * np.nan, ValueError, "finite"),
            (draw(2).astype(float) * 1e39, ValueError, "finite"),
            (draw(1) * 1j, TypeError, "real"),
            ([Sketch(draw(1)[0], SCHEME.checksum, HEAD - 1)], ValueError, "at least 66 numbers"),
            ([Sketch(draw(1)[0], SCHEME.checksum), "sketch"], TypeError, "a str among them"),
        ):
            with pytest.raises(error, match=words):
                repository.add(sketches)
        for call in (lambda: repository.add(draw(2), labels=["one"]), lambda: repository.merge([])):
            with pytest.raises(ValueError, match="expected"):
                call()
        with pytest.raises(ValueError, match="other"):
            repository.query([Sketch(draw(1)[0], "other")])
    assert len(Repository(filled)) == 40
    with pytest.raises(ValueError, match="mode"):
        Repository(filled, "w")
    with pytest.raises(FileExistsError):
        Repository.create(filled, SCHEME)


def test_bad_files(filled, tmp_path):
    segment = next(filled.glob("segment-*"))
    image, manifest = segment.read_bytes(), (filled / "manifest.h5").read_bytes()
    for damaged in (image[:-1], image[: len(image) // 2], b"", b"something else"):
        segment.write_bytes(damaged)
        with pytest.raises(OSError, match="segment-00000000"):
            Repository(filled)
    flipped = bytearray(image)
    flipped[-5000] ^= 1  # within a tail
    segment.write_bytes(flipped)
    with pytest.raises(OSError, match="damaged"):
        Repository(filled).check()
    segment.unlink()
    with pytest.raises(OSError, match="segment-00000000"):
        Repository(filled)
    segment.write_bytes(image)
    for damaged in (manifest[:-1], manifest[: len(manifest) // 2], b"", image):
        (filled / "manifest.h5").write_bytes(damaged)
        with pytest.raises(OSError, match="manifest"):
            Repository(filled)
    (filled / "manifest.h5").unlink()
    with pytest.raises(FileNotFoundError, match="no manifest"):
        Repository(filled)
    with pytest.raises(OSError, match="nothing"):
        Repository(tmp_path / "nothing")
    (filled / "manifest.h5").write_bytes(manifest)
    Repository(filled).check()


# ---- crashes -------------------------------------------------------------------------------------


class Crash(BaseException):
    """Stands for the end of the process."""


OPERATIONS = {
    "add": lambda r: (r.add(draw(3, seed=1)), r.commit()),
    "forget": lambda r: r.forget(r.bytes / 3),
    "merge": lambda r: r.merge([1, 2, 3]),
    "remove": lambda r: r.remove([1, 2, 3]),
    "touch": lambda r: r.touch([1, 2]),
    "compact": lambda r: (r.add(draw(1)), r.commit()),  # with seven small segments before it
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_crash_at_any_renaming(filled, monkeypatch, name):
    """Before and after each renaming of a file: what is there is a state between two commits."""
    if name == "compact":
        with Repository(filled, "a") as repository:
            for _ in range(7):
                repository.add(draw(1))
                repository.commit()
        assert repository.report()["segments"] == 8
    replace = os.replace
    for fatal in range(1, 40):
        calls, states = 0, [content(Repository(filled))]

        def dying(source, target, *, fatal=fatal, states=states):
            nonlocal calls
            calls += 1
            if calls == fatal // 2 + 1 and fatal % 2:
                raise Crash
            replace(source, target)
            if target.name == "manifest.h5":
                states.append(content(Repository(filled)))
            if calls == fatal // 2 and not fatal % 2:
                raise Crash

        monkeypatch.setattr(_files.os, "replace", dying)
        survived = False
        try:
            with Repository(filled, "a") as repository:
                OPERATIONS[name](repository)
            survived = True
        except Crash:
            pass
        monkeypatch.setattr(_files.os, "replace", replace)
        now = content(Repository(filled))
        assert same(now, states[-1])
        with Repository(filled, "a"):  # sweeps what was left behind
            pass
        assert len(list(filled.glob("segment-*"))) == Repository(filled).report()["segments"]
        if survived:
            return
        if name in ("merge", "remove") and 1 not in now:
            return  # it was committed before the crash
    raise AssertionError("the operation never came to its end")


WRITER = """
import sys, numpy as np
from pympf.sketch import Repository
with Repository(sys.argv[1], "a") as repository:
    for i in range(10**6):
        rng = np.random.default_rng(len(repository))
        repository.add(rng.standard_normal((5, 1050)))
        repository.commit()
        print(len(repository), flush=True)
"""


def test_a_writer_that_is_killed(path, tmp_path):
    Repository.create(path, SCHEME).close()
    rng = np.random.default_rng(0)
    total = 0
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as child:
            committed = [int(child.stdout.readline())]  # it runs
            time.sleep(rng.uniform(0.01, 0.3))
            child.send_signal(signal.SIGKILL)
            committed += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        repository = Repository(path)
        repository.check()
        assert committed[-1] <= len(repository) <= committed[-1] + 5
        assert committed[0] == total + 5
        total = len(repository)
    for start in range(0, total, 5):
        rows = np.random.default_rng(start).standard_normal((5, D)).astype(np.float32)
        back = repository.sketches(range(start, start + 5))
        assert all(np.array_equal(s.values, row) for s, row in zip(back, rows, strict=True))


def test_a_full_disk(filled, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = content(Repository(filled))
    with Repository(filled, "a") as repository:
        repository.add(draw(3))
        with monkeypatch.context() as patch:
            patch.setattr(_files.os, "replace", full)
            for operation in (repository.commit, lambda: repository.forget(1e5)):
                with pytest.raises(OSError, match="No space left"):
                    operation()
            assert same(content(Repository(filled)), before)
        repository.commit()  # there is room again
    assert len(Repository(filled)) == 43


# ---- the command line ----------------------------------------------------------------------------


def test_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("some.npy", draw(30, kinds=3))
    np.save("one.npy", draw(30, kinds=3)[4])

    def report(*arguments):
        code = main(["sketch", *arguments, "--json"])
        captured = capsys.readouterr()
        return json.loads(captured.out) if code == 0 else (code, captured.err)

    made = report("add", "store", "some.npy", "--block", "42", "--seed", "3", "--label", "first")
    assert (made["added"], made["sketches"], made["scheme"]["checksum"]) == (
        30,
        30,
        SCHEME.checksum,
    )
    assert report("add", "store", "one.npy")["sketches"] == 31
    found = report("query", "store", "one.npy", "-k", "3", "--touch")
    assert found["ids"][0][:2] == [4, 30]
    assert found["labels"][0][:2] == ["first", ""]
    after = report("forget", "store", "--budget", "65.1k")
    assert after["bytes"] <= 65100 < after["bytes_before"]
    assert Repository("store").kept([4])[0] == max(Repository("store").kept(range(31)))
    assert report("info", "store", "--check")["stand_for"] == 31
    assert report("forget", "store", "--budget", "1k")[0] == 3
    assert report("query", "nowhere", "one.npy")[0] == 4
    np.save("short.npy", np.ones(7))
    assert "7" in report("add", "store", "short.npy")[1]
