"""Approximations of nonsymmetric matrices on the command line."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import approx, gallery, io
from pympf.cli import main

DIRECT = ["factor", "A.mtx", "-o", "F.h5", "--kind", "direct", "--core-size", "5"]
INVERSE = ["factor", "A.mtx", "-o", "M.h5", "--kind", "iwspai"]


def matrix():
    return sp.csr_array(gallery.poisson((8, 8)) + sp.diags_array(np.ones(63), offsets=1))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    A = matrix()
    io.write_matrix("A.mtx", A)
    io.write_matrix("K.mtx", A - A.T)
    io.write_vector("x.npy", np.arange(64.0))
    return tmp_path


def printed_json(capsys):
    return json.loads(capsys.readouterr().out)


def test_factor_direct(folder, capsys):
    flags = ["--rotations", "50", "--entries", "40", "--drop", "0", "--max-fill", "100"]
    assert main([*DIRECT, "--sparsify", "top", *flags, "--json"]) == 0
    report = printed_json(capsys)
    expected = pympf.factorize_direct(
        matrix(), core_size=5, rotations=50, sparsify="top", entries=40, drop=0, max_fill=100
    )
    F = approx.load("F.h5")
    assert np.array_equal(F @ np.ones(64), expected @ np.ones(64))
    assert report["rotations"] == 50
    assert report["error"] == expected.report().error


@pytest.mark.parametrize(("kind", "name"), [("skew", "K.mtx"), ("additive", "A.mtx")])
def test_other_kinds(folder, capsys, kind, name):
    assert main(["factor", name, "-o", "F.h5", "--kind", kind, "--rotations", "9"]) == 0
    assert f"{9} rotations" in capsys.readouterr().out
    assert approx.load("F.h5").kind == kind
    assert main(["info", "F.h5", "--json"]) == 0
    assert printed_json(capsys)["type"] == kind


@pytest.mark.parametrize(("function", "method"), [("multiply", "apply"), ("solve", "solve")])
def test_apply(folder, capsys, function, method):
    assert main(DIRECT) == 0
    assert main(["apply", "F.h5", "x.npy", "-o", "y.npy", "--function", function]) == 0
    F = approx.load("F.h5")
    assert np.array_equal(np.load("y.npy"), getattr(F, method)(np.arange(64.0)))


def test_compress(folder, capsys):
    command = ["compress", "A.mtx", "--nbytes", "1000", "2000", "-o", "C.h5", "--plot", "C.svg"]
    assert main([*command, "--json"]) == 0
    trials = printed_json(capsys)["trials"]
    assert {trial["limit"] for trial in trials} == {1000, 2000}
    best = min(trial["error"] for trial in trials if trial["limit"] == 2000)
    F = approx.load("C.h5")
    assert F.trial.error == best
    assert F.nbytes <= 2000
    assert b"<svg" in (folder / "C.svg").read_bytes()
    assert main(["compress", "A.mtx", "--fraction", "0.5"]) == 0
    assert "threshold" in capsys.readouterr().out
    assert main(["info", "C.h5"]) == 0
    assert "rotations" in capsys.readouterr().out


def test_compress_leaves_out_sizes_of_its_own_that_hold_no_entry(folder, capsys):
    sp.save_npz("diagonal.npz", sp.csr_array(sp.eye_array(50)))  # 804 bytes; an entry takes 216
    assert main(["compress", "diagonal.npz", "--json"]) == 0
    assert {trial["limit"] for trial in printed_json(capsys)["trials"]} == {402, 603}
    sp.save_npz("one.npz", sp.csr_array([[2.0]]))
    assert main(["compress", "one.npz"]) == 0


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("factor A.mtx -o F.h5 --rotations 3", 2, "--rotations: only --kind direct"),
        ("factor A.mtx -o F.h5 --kind skew --entries 3", 2, "--entries: only --kind direct"),
        ("factor A.mtx -o F.h5 --kind direct --order 3", 2, "--order: only --kind mmf"),
        ("factor A.mtx -o F.h5 --kind skew", 3, "expected a skew-symmetric matrix"),
        ("factor A.mtx -o F.h5 --kind direct --core-size 65", 3, "core_size = 65"),
        ("compress A.mtx --fraction 1.5", 2, "--fraction 1.5"),
        ("compress A.mtx --nbytes 10", 3, "too small for one entry"),
        ("compress A.mtx --nbytes 0", 2, "expected a positive number"),
        ("compress A.mtx --plot C.txt", 2, "expected a .png, .svg or .pdf"),
        ("compress A.h5 -o A.h5", 4, "A.h5: this command reads it"),
        ("apply C.h5 x.npy -o y.npy", 2, "--function solve: C.h5 is of kind additive"),
        ("solve A.mtx --factorization C.h5", 4, "expected type 'mmf'"),
    ],
)
def test_refused(folder, capsys, command, code, message):
    pympf.factorize_additive(matrix(), core_size=4).save("C.h5")
    io.write_matrix("A.h5", matrix())
    try:
        status = main(command.split())
    except SystemExit as end:
        status = end.code
    assert status == code
    assert message in capsys.readouterr().err
    assert not (folder / "F.h5").exists()


# ---- approximate inverses from wavelets ----------------------------------------------------------


@pytest.mark.parametrize(("kind", "flags"), [("wspai", ["--block", "4"]), ("iwspai", [])])
def test_approximate_inverses(folder, capsys, kind, flags):
    basis = ["--grid", "8", "8", "--wavelet-order", "2", "--wavelet-levels", "2"]
    assert main(["factor", "A.mtx", "-o", "M.h5", "--kind", kind, *basis, *flags, "--json"]) == 0
    assert printed_json(capsys)["kind"] == kind
    M = approx.load("M.h5")
    W = pympf.wavelets((8, 8), order=2, levels=2)
    options = {"block": 4} if kind == "wspai" else {}
    expected = getattr(pympf, kind)(matrix(), W, **options) @ np.ones(64)
    assert np.array_equal(M @ np.ones(64), expected)
    assert main(["info", "M.h5", "--json"]) == 0
    assert printed_json(capsys)["type"] == kind
    assert main(["apply", "M.h5", "x.npy", "-o", "y.npy", "--function", "multiply"]) == 0
    assert np.array_equal(io.read_vector("y.npy"), M @ np.arange(64.0))
    capsys.readouterr()
    solve = ["solve", "A.mtx", "--method", "gmres", "--rhs", "random", "--json"]
    assert main([*solve, "--factorization", "M.h5"]) == 0
    with_it = printed_json(capsys)
    assert main([*solve, "--preconditioner", "none"]) == 0
    assert with_it["iterations"] < printed_json(capsys)["iterations"]


def test_wavelets_on_one_axis_and_a_power_of_two(folder, capsys):
    io.write_matrix("B.mtx", gallery.poisson(45))
    assert main(["factor", "B.mtx", "-o", "M.h5", "--kind", "iwspai", "--wavelet-levels", "2"]) == 3
    assert "nearest are 44 and 48" in capsys.readouterr().err
    assert main(["convert", "B.mtx", "C.mtx", "--drop-to-power", "7"]) == 0
    C, _ = approx.drop_to_power(gallery.poisson(45), 7)
    assert (io.read_matrix("C.mtx") != C).nnz == 0
    assert main(["factor", "C.mtx", "-o", "M.h5", "--kind", "iwspai", "--solver", "lsqr"]) == 0
    assert approx.load("M.h5").W.grid == (32,)
    pympf.wavelets(8).save("W.h5")
    capsys.readouterr()
    assert main(["info", "W.h5", "--json"]) == 0
    assert printed_json(capsys)["grid"] == [8]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ([*INVERSE, "--core-size", "3"], "--core-size"),
        (
            [*INVERSE, "--block", "3"],
            "only --kind wspai",
        ),
        (
            [*DIRECT, "--wavelet-order", "3"],
            "wspai or iwspai",
        ),
        (["convert", "x.npy", "y.npy", "--drop-to-power", "1"], "--drop-to-power"),
    ],
)
def test_inverses_refuse(folder, capsys, command, text):
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err
