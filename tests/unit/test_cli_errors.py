"""What the command line refuses, and the exit codes that a batch script tests."""

import json
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import io
from pympf.cli import main

from .cli_matrix import N, matrix


def bad_files():
    io.write_matrix("asymmetric.mtx", np.array([[1.0, 2], [3, 4]]))
    io.write_matrix("rectangular.mtx", np.ones((2, 3)))
    io.write_matrix("empty.npz", sp.csr_array((0, 0)))
    io.write_matrix("nan.npz", np.full((2, 2), np.nan))
    io.write_matrix("indefinite.mtx", np.diag([1.0, -1.0]))
    io.write_matrix("singular.mtx", np.array([[1.0, 1], [1, 1]]))
    io.write_vector("short.npy", [1.0, 2.0])
    io.write_vector("nan.npy", np.full(N, np.nan))
    with open("complex.mtx", "w") as stream:
        stream.write("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 1\n")
    with open("cut.mtx", "w") as stream:
        stream.write("%%MatrixMarket matrix coordinate real general\n2 2 2\n1 1 1\n")


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("factor asymmetric.mtx -o G.h5", 3, "expected a symmetric matrix"),
        ("factor rectangular.mtx -o G.h5", 3, "expected a square matrix"),
        ("factor empty.npz -o G.h5", 3, "at least one row"),
        ("factor nan.npz -o G.h5", 3, "expected finite entries"),
        ("factor complex.mtx -o G.h5", 3, "complex.mtx: the matrix: expected real numbers"),
        ("factor A.mtx -o G.h5 --core-size 0", 3, "core_size"),
        ("factor A.mtx -o G.h5 --key K", 3, "holds one object"),
        ("factor asymmetric.mtx -o G.h5 --laplacian", 3, "asymmetric.mtx: expected a symmetric"),
        ("factor cut.mtx -o G.h5", 4, "cut.mtx"),
        ("factor missing.mtx -o G.h5", 4, "missing.mtx"),
        ("factor A.mtx -o none/G.h5", 4, "there is no directory"),
        ("factor A.mtx -o .", 4, "expected a regular file"),
        ("factor A.mtx -o A.mtx", 4, "A.mtx: a factorization is saved as HDF5; allowed: .h5 .hdf5"),
        ("solve A.mtx -b short.npy", 3, r"expected shape \(300,\)"),
        ("solve A.mtx -b nan.npy", 3, "b: expected finite values"),
        ("solve A.mtx -o y.npz", 4, "cannot write a vector with this suffix"),
        ("solve A.mtx --history none/h.csv", 4, "there is no directory"),
        ("solve A.mtx --factorization A.mtx", 4, "A.mtx"),
        ("solve asymmetric.mtx --method cg", 3, "symmetric"),
        ("solve asymmetric.mtx --preconditioner classic", 3, "preconditioner='mmf' takes A as it"),
        ("solve asymmetric.mtx --cycle w", 3, "is for symmetric matrices"),
        ("solve asymmetric.mtx --left-near-nullspace none.npy", 4, "none.npy"),
        ("solve A.mtx --near-nullspace short.npy", 3, r"near_nullspace: expected shape \(300,\)"),
        ("solve A.mtx --near-nullspace nan.npy", 3, "near_nullspace: expected finite values"),
        ("solve A.mtx --near-nullspace none.npy", 4, "none.npy"),
        ("solve A.mtx --block-size 7", 3, "block_size = 7 does not divide the 300 rows"),
        ("solve A.mtx --strength 2", 3, "strength = 2.* is not a number in"),
        ("solve A.mtx --method cg --preconditioner multilevel --cycle k", 3, "fgmres"),
        ("apply F.h5 short.npy -o y.npy", 3, r"shape \(300,\)"),
        ("apply A.h5 x.npy -o y.npy", 4, "A.h5"),
        ("apply I.h5 short.npy -o y.npy --function sqrt", 5, "negative"),
        ("apply S.h5 short.npy -o y.npy", 5, "singular|zero"),
        ("info missing.h5", 4, "missing.h5"),
        ("info cut.mtx", 4, "cut.mtx"),
        ("convert A.mtx A.txt", 4, "cannot write a matrix"),
        ("convert A.mtx B.mtx --index-bits 64", 3, "only PETSc files"),
    ],
)
def test_exit_code_and_message(factored, capsys, command, code, message):
    bad_files()
    io.write_matrix("A.h5", matrix())
    for name, source in (("I.h5", "indefinite.mtx"), ("S.h5", "singular.mtx")):
        assert main(["factor", source, "-o", name, "--quiet"]) == 0
    before = {path: path.read_bytes() for path in factored.iterdir()}
    assert main(command.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    line = err.splitlines()[-1]
    assert line.startswith(f"pympf {command.split()[0]}: ")
    assert re.search(message, line)
    assert "Traceback" not in err
    assert before == {path: path.read_bytes() for path in factored.iterdir()}


@pytest.mark.parametrize(
    "command",
    [
        "factor A.mtx -o F.h5",
        "solve A.mtx -o x.npy",
        "apply F.h5 x.npy -o x.npy",
        "convert A.mtx A.npz",
        "solve A.mtx --rhs random --rtol 1e-12 --preconditioner none --history h.json",
    ],
)
def test_full_disk_leaves_every_file_as_it_was(factored, capsys, command):
    (factored / "h.json").write_text("[]")
    (factored / "A.npz").write_text("old")
    before = {path: path.read_bytes() for path in factored.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Stands for a full disk: no file may grow beyond 256 bytes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, hard))
    try:
        code = main(command.split())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot write" in err.splitlines()[-1]
    assert before == {path: path.read_bytes() for path in factored.iterdir()}


@pytest.mark.parametrize(
    "command",
    [
        "",
        "factr A.mtx",
        "factor A.mtx",
        "factor A.mtx -o F.h5 --core-size ten",
        "factor A.mtx -o F.h5 --criterion best",
        "factor A.mtx -o F.h5 --core 10",
        "solve A.mtx -b x.npy --rhs ones",
        "solve A.mtx --factorization F.h5 --preconditioner jacobi",
        "solve A.mtx --factorization F.h5 --core-size 50",
        "solve A.mtx --preconditioner jacobi --core-size 50",
        "solve A.mtx --core-size 50",
        "solve A.mtx --preconditioner classic --cycle v",
        "solve A.mtx --factorization F.h5 --cycle v",
        "solve A.mtx --cycle x",
        "solve A.mtx --block-size 0",
        "solve A.mtx --history h.txt",
        "solve A.mtx --threads 0",
        "apply F.h5 x.npy -o y.npy --function cube",
    ],
)
def test_wrong_usage(folder, capsys, command):
    with pytest.raises(SystemExit) as caught:
        main(command.split())
    assert caught.value.code == 2
    assert "usage: pympf" in capsys.readouterr().err


def test_traceback_on_request(folder, capsys):
    assert main(["info", "missing.mtx", "-vv"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_not_enough_memory(folder, capsys, monkeypatch):
    def too_large(*args, **kwargs):
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(pympf, "factorize", too_large)
    assert main(["factor", "A.mtx", "-o", "F.h5"]) == 6
    assert capsys.readouterr().err == "pympf factor: not enough memory: std::bad_alloc\n"
    assert not (folder / "F.h5").exists()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=str)
def test_report_that_cannot_be_written(folder, options):
    """A batch script that lost the report must see so: exit code 4, not Python's own."""
    command = [sys.executable, "-m", "pympf", "info", "A.mtx", *options]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 4
    assert result.stderr == "pympf info: [Errno 28] No space left on device\n"


@pytest.mark.parametrize(
    "arguments",
    [["info", "A.mtx"], ["solve", "A.mtx", "--json"], ["--help"], ["solve", "--help"]],
    ids=" ".join,
)
@pytest.mark.parametrize("buffered", [True, False])
def test_nobody_reads_on(folder, arguments, buffered):
    """As in `pympf info A.mtx | head -1`: no traceback, and the exit code of a closed pipe."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    if not buffered:
        environment["PYTHONUNBUFFERED"] = "1"
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pympf", *arguments]
    with open(writing, "w") as pipe:
        done = subprocess.run(
            command, env=environment, stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert done.stderr == ""
    # argparse takes it for a success when a long help meets the closed pipe.
    assert done.returncode == 141 or ("--help" in arguments and done.returncode == 0)


def test_nobody_reads_the_progress(folder):
    """The work goes on, and its report is written."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pympf", "factor", "A.mtx", "-o", "F.h5", "--json"]
    with open(writing, "w") as pipe:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=pipe, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["output"] == "F.h5"
    assert (folder / "F.h5").exists()


def test_interrupt(folder, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(pympf, "factorize", interrupted)
    assert main(["factor", "A.mtx", "-o", "F.h5"]) == 130
    assert capsys.readouterr().err == "pympf factor: interrupted\n"
    assert not (folder / "F.h5").exists()
