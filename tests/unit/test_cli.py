"""The command line: results, reports, progress, and the exit codes that a batch script tests."""

import csv
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery, io
from pympf.cli import main

from .cli_matrix import N, matrix


def printed_json(capsys):
    """The one line of JSON on stdout, and nothing else there."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line, parse_constant=pytest.fail)


# factor


def test_factor(folder, capsys):
    assert main(["factor", "A.mtx", "-o", "F.h5", "--core-size", "50"]) == 0
    out, err = capsys.readouterr()
    F = pympf.load("F.h5")
    assert str(F.report()) in out
    assert err.startswith(f"stage 1: {N} rows, ")
    x = np.arange(float(N))
    expected = pympf.factorize(matrix(), core_size=50)
    np.testing.assert_array_equal(F.apply(x), expected.apply(x))


def test_factor_json(folder, capsys):
    assert main(["factor", "A.mtx", "-o", "F.h5", "--json"]) == 0
    report = printed_json(capsys)
    assert report["matrix"] == "A.mtx"
    assert report["output"] == "F.h5"


@pytest.mark.parametrize("command", [["factor", "-o", "F.h5"], ["solve"], ["info"]])
def test_quiet(folder, capsys, command):
    assert main([command[0], "A.mtx", *command[1:], "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def flag(field, value):
    name = field["name"].replace("_", "-")
    if field["kind"] == "bool":
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"


@pytest.mark.parametrize("field", pympf.Params.fields(), ids=lambda field: field["name"])
def test_every_parameter_has_a_flag(folder, monkeypatch, field):
    values = {
        "int": int(field["minimum"]),
        "real": field["maximum"],
        "bool": not field["default"],
        "choice": next((c for c in field["choices"] if c != field["default"]), None),
    }
    value = values[field["kind"]]
    seen = {}

    def factorize(A, *, comm, progress, **params):
        seen.update(params)
        raise ValueError("seen")

    monkeypatch.setattr(pympf, "factorize", factorize)
    assert main(["factor", "A.mtx", "-o", "F.h5", flag(field, value)]) == 3
    assert seen == {field["name"]: value}
    assert type(seen[field["name"]]) is type(field["default"])


# solve

OF_SOLVE = [field for field in pympf.Preconditioner.fields() if field["name"] != "method"]


SHARED = {"rows_per_rank"}


@pytest.mark.parametrize("field", OF_SOLVE, ids=lambda field: field["name"])
def test_every_parameter_of_the_preconditioner_has_a_flag(folder, capsys, field):
    value = {
        "int": int(field["minimum"]),
        "real": field["maximum"],
        "bool": not field["default"],
        "choice": field["choices"][-1] if field["choices"] else None,
    }[field["kind"]]
    assert main(["solve", "A.mtx", flag(field, value), "-v"]) == 0
    assert "rows, float64" in capsys.readouterr().err
    if field["name"] in SHARED:
        return
    with pytest.raises(SystemExit):
        main(["solve", "A.mtx", flag(field, value), "--preconditioner", "classic"])
    with pytest.raises(SystemExit):
        main(["factor", "A.mtx", "-o", "F.h5", flag(field, value)])


def test_a_name_in_both_lists_of_parameters_is_known_to_mean_the_same():
    of_solve = {field["name"] for field in OF_SOLVE}
    assert of_solve & {field["name"] for field in pympf.Params.fields()} == SHARED


def test_a_parameter_in_both_lists_goes_to_what_is_built(folder, capsys):
    for preconditioner in ("multilevel", "classic"):
        command = ["solve", "A.mtx", "--rows-per-rank", "7", "--preconditioner", preconditioner]
        assert main(command) == 0
    with pytest.raises(SystemExit):
        main([*command[:-1], "jacobi"])
    assert "--rows-per-rank: only" in capsys.readouterr().err


def test_solve_with_the_classic_preconditioner(folder, capsys):
    command = ["solve", "A.mtx", "--preconditioner", "classic", "--core-size", str(N), "--json"]
    assert main(command) == 0
    report = printed_json(capsys)
    assert (report["preconditioner"], report["iterations"]) == ("classic", 1)
    assert report["choice"].startswith("classic; cg: ")


def test_solve_prints_what_it_chose_and_why(folder, capsys):
    solution = pympf.solve(matrix(), np.ones(N))
    assert main(["solve", "A.mtx"]) == 0
    assert f"choice          {solution.choice}\n" in capsys.readouterr().out
    assert main(["solve", "A.mtx", "--json"]) == 0
    assert printed_json(capsys)["choice"] == solution.choice


def test_solve_with_a_near_nullspace(folder, capsys):
    A = gallery.elasticity((20, 20))
    io.write_matrix("sheet.mtx", A)
    io.write_vector("B.npy", pympf.rigid_body_modes(np.indices((20, 20)).reshape(2, -1).T))
    command = ["solve", "sheet.mtx", "--rhs", "random", "--preconditioner", "multilevel"]
    options = ["--near-nullspace", "B.npy", "--block-size", "2"]
    assert main([*command, *options, "--json"]) == 0
    assert printed_json(capsys)["iterations"] <= 10
    with pytest.raises(SystemExit):
        main([*command[:-1], "jacobi", *options])
    assert "--near-nullspace, --block-size: only" in capsys.readouterr().err


@pytest.mark.parametrize("rhs", [[], ["--rhs", "random"], ["-b", "x.npy"]])
@pytest.mark.parametrize(
    "preconditioner", ["mmf", "multilevel", "ict", "classic", "jacobi", "none"]
)
def test_solve(folder, capsys, rhs, preconditioner):
    command = ["solve", "A.mtx", *rhs, "-o", "y.npy", "--rtol", "1e-10", "--method", "cg"]
    assert main([*command, "--preconditioner", preconditioner]) == 0
    b = {
        0: np.ones(N),
        "--rhs": np.random.default_rng(0).standard_normal(N),
        "-b": np.arange(float(N)),
    }[rhs[0] if rhs else 0]
    residual = b - matrix() @ io.read_vector("y.npy")
    assert np.linalg.norm(residual) < 1e-8 * np.linalg.norm(b)
    out = capsys.readouterr().out
    assert "true residual" in out
    assert "iterations" in out


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_solve_report_and_history(folder, capsys, suffix):
    history = f"history.{suffix}"
    assert main(["solve", "A.mtx", "--json", "--history", history, "--preconditioner", "none"]) == 0
    report = printed_json(capsys)
    assert report["converged"] is True
    assert report["rows"] == N
    assert len(report["history"]) == report["iterations"] + 1
    with open(history) as stream:
        if suffix == "json":
            written = json.load(stream)
        else:
            rows = list(csv.DictReader(stream))
            assert [int(row["iteration"]) for row in rows] == list(range(len(rows)))
            written = [float(row["residual"]) for row in rows]
    assert written == report["history"]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_solve_a_block_of_right_hand_sides(folder, capsys, suffix):
    B, history = np.random.default_rng(0).standard_normal((N, 3)), f"history.{suffix}"
    B[:, 1] = 0
    io.write_vector("B.npy", B)
    assert (
        main(["solve", "A.mtx", "-b", "B.npy", "-o", "X.h5", "--json", "--history", history]) == 0
    )
    report, X = printed_json(capsys), io.read_vector("X.h5")
    expected = pympf.solve(matrix(), B)
    assert report["columns"] == 3
    assert report["converged"] is True
    assert report["iterations"] == expected.iterations.tolist()
    assert report["reason"] == list(expected.reasons)
    np.testing.assert_array_equal(X, expected.x)
    with open(history) as stream:
        if suffix == "json":
            assert json.load(stream) == report["history"]
        else:
            rows = list(csv.DictReader(stream))
            for c, norms in enumerate(report["history"]):
                written = [row[f"residual_{c}"] for row in rows if row[f"residual_{c}"]]
                assert [float(norm) for norm in written] == norms
    assert main(["solve", "A.mtx", "-b", "B.npy", "-v"]) == 0
    captured = capsys.readouterr()
    assert "columns" in captured.out
    assert "column 2, iteration 1: residual" in captured.err


def test_solve_that_stops_early_still_writes(folder, capsys):
    command = ["solve", "A.mtx", "--rhs", "random", "--maxiter", "2", "--preconditioner", "none"]
    assert main([*command, "-o", "y.npy", "--history", "h.json", "--json"]) == 1
    assert printed_json(capsys)["converged"] is False
    assert io.read_vector("y.npy").shape == (N,)
    assert (folder / "h.json").exists()


def test_solve_with_a_saved_factorization(factored, capsys):
    assert main(["solve", "A.mtx", "--factorization", "F.h5", "--json"]) == 0
    assert printed_json(capsys)["converged"] is True


def test_solve_laplacian_with_shift(folder):
    io.write_matrix("W.mtx", gallery.random_geometric_graph(N, seed=1))
    options = ["--laplacian", "--shift", "0.1", "--rtol", "1e-10", "--quiet"]
    assert main(["solve", "W.mtx", "-o", "y.npy", *options]) == 0
    np.testing.assert_allclose(matrix() @ io.read_vector("y.npy"), np.ones(N), atol=1e-6)


def test_solve_on_a_graph_of_names(folder):
    Path("graph.csv").write_text("source,target,weight\nBo,Cy,2.5\nAl,Bo,1\n")
    Path("b.tsv").write_text("node\tvalue\nCy\t1\nAl\t0\nBo\t0\n")
    options = ["--laplacian", "--shift", "1", "--rtol", "1e-12", "--quiet"]
    assert main(["solve", "graph.csv", "-b", "b.tsv", "-o", "x.csv", *options]) == 0
    L = np.array([[1.0, -1, 0], [-1, 3.5, -2.5], [0, -2.5, 2.5]]) + np.eye(3)
    lines = Path("x.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["node", "Al", "Bo", "Cy"]
    x = io.read_vector("x.csv", labels=["Al", "Bo", "Cy"])
    np.testing.assert_allclose(x, np.linalg.solve(L, [0, 0, 1]), rtol=1e-10)
    Path("b.tsv").write_text("node\tvalue\nCy\t1\nAl\t0\n")
    assert main(["solve", "graph.csv", "-b", "b.tsv", *options]) == 3


def test_verbose_prints_every_iteration(folder, capsys):
    assert main(["solve", "A.mtx", "-v", "--json", "--rhs", "random"]) == 0
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("iteration ")]
    assert len(lines) >= json.loads(out)["iterations"]


# apply


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (None, lambda F, x: F.solve(x)),
        ("solve", lambda F, x: F.solve(x)),
        ("multiply", lambda F, x: F @ x),
        ("sqrt", lambda F, x: F.sqrt() @ x),
        ("inv_sqrt", lambda F, x: F.inv_sqrt() @ x),
        ("transform", lambda F, x: F.transform(x)),
        ("inverse_transform", lambda F, x: F.inverse_transform(x)),
    ],
)
def test_apply(factored, function, expected):
    chosen = ["--function", function] if function else []
    assert main(["apply", "F.h5", "x.npy", "-o", "y.npy", *chosen]) == 0
    y = expected(pympf.load("F.h5"), np.arange(float(N)))
    np.testing.assert_array_equal(io.read_vector("y.npy"), y)


def test_apply_to_a_block(factored, capsys):
    io.write_vector("X.npy", np.eye(N, 3))
    assert main(["apply", "F.h5", "X.npy", "-o", "Y.npy", "--function", "multiply", "--json"]) == 0
    assert io.read_vector("Y.npy").shape == (N, 3)
    assert printed_json(capsys)["norm_in"] == pytest.approx(np.sqrt(3))


# info, convert


def test_info_of_a_matrix(folder, capsys):
    A = sp.csr_array(np.array([[4.0, -1, 0], [-1, 4, 0], [0, 0, 0]]))
    io.write_matrix("small.npz", A)
    assert main(["info", "small.npz", "--json"]) == 0
    report = printed_json(capsys)
    expected = {
        "file": "small.npz",
        "type": "matrix",
        "rows": 3,
        "columns": 3,
        "nnz": 4,
        "dtype": "float64",
        "nnz_per_row_min": 0,
        "nnz_per_row_mean": 4 / 3,
        "nnz_per_row_max": 2,
        "empty_rows": 1,
        "largest_entry": 4,
        "finite": True,
        "frobenius_norm": pytest.approx(np.sqrt(34)),
        "asymmetry": 0,
        "diagonal_min": 0,
        "diagonal_max": 4,
        "connected_components": 2,
    }
    assert report == expected
    assert main(["info", "small.npz"]) == 0
    assert "connected components  2" in capsys.readouterr().out


@pytest.mark.parametrize("A", [sp.csr_array((0, 0)), sp.csr_array((2, 3)), [[np.nan]]])
def test_info_of_odd_matrices(folder, capsys, A):
    io.write_matrix("odd.npz", A)
    assert main(["info", "odd.npz", "--json"]) == 0
    assert printed_json(capsys)["type"] == "matrix"


def test_info_of_a_factorization(factored, capsys):
    assert main(["info", "F.h5"]) == 0
    assert str(pympf.load("F.h5").report()) in capsys.readouterr().out
    assert main(["info", "F.h5", "--json"]) == 0
    assert printed_json(capsys)["type"] == "mmf"


def test_solve_without_a_solution_writes_the_least_squares_one(folder, capsys):
    A = gallery.laplacian(gallery.poisson(40) - 2 * sp.eye_array(40))
    b = np.arange(40.0)
    io.write_matrix("singular.mtx", A)
    io.write_vector("b.npy", b)
    assert main(["solve", "singular.mtx", "-b", "b.npy", "-o", "least.npy", "--json"]) == 1
    said = printed_json(capsys)
    assert (said["converged"], said["reason"]) == (False, "diverged_inconsistent")
    assert said["norm"] == "plain"
    np.testing.assert_allclose(A @ io.read_vector("least.npy"), b - b.mean(), atol=1e-6)


def test_convert_a_matrix(folder, capsys):
    assert main(["convert", "A.mtx", "A.h5", "--json"]) == 0
    assert printed_json(capsys)["shape"] == [N, N]
    assert (io.read_matrix("A.h5") != matrix()).nnz == 0
    assert main(["convert", "A.h5", "A.petsc", "--index-bits", "64", "--shift", "1"]) == 0
    assert (io.read_matrix("A.petsc") != gallery.shifted(matrix(), 1)).nnz == 0


def test_convert_a_vector(folder):
    assert main(["convert", "x.npy", "x.mtx", "--quiet"]) == 0
    assert main(["convert", "x.mtx", "x.txt", "--vector", "--quiet"]) == 0
    np.testing.assert_array_equal(io.read_vector("x.txt"), np.arange(N))


# demo


@pytest.mark.parametrize(
    ("options", "expected"),
    [([], (False, None)), (["--large", "--output", "out"], (True, Path("out")))],
)
def test_demo(monkeypatch, options, expected):
    seen = []
    demo = types.ModuleType("pympf.demo")
    demo.run = lambda *, large, output, json, quiet: seen.append((large, output)) or 0
    monkeypatch.setitem(sys.modules, "pympf.demo", demo)
    monkeypatch.setattr(pympf, "demo", demo, raising=False)
    assert main(["demo", *options]) == 0
    assert seen == [expected]


# The process


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "pympf", *arguments], capture_output=True, text=True, **options
    )


def test_module_is_the_command(folder):
    done = run("solve", "A.mtx", "--json", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["converged"] is True
    assert run("info", "missing.mtx").returncode == 4
    few = ("--preconditioner", "jacobi", "--maxiter", "1")
    assert run("solve", "A.mtx", "--rhs", "random", *few).returncode == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_file_names_that_are_not_utf8(folder, encoding):
    name = b"A\xff\xe9.mtx"
    shutil.copy("A.mtx", os.fsdecode(name))
    done = subprocess.run(
        [sys.executable, "-m", "pympf", "info", name],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"},
    )
    assert done.returncode == 0, done.stderr
    assert b"A\\udcff\\udce9.mtx" in done.stdout


def test_help_lists_the_exit_codes_and_every_parameter(folder):
    text = run("--help").stdout
    assert "5    numerical failure" in text
    text = run("factor", "--help", env={**os.environ, "COLUMNS": "400"}).stdout
    for field in pympf.Params.fields():
        assert f"--{field['name'].replace('_', '-')}" in text
        assert field["doc"] in text
    text = run("solve", "--help", env={**os.environ, "COLUMNS": "400"}).stdout
    for field in [*OF_SOLVE, *pympf.Params.fields()]:
        assert f"--{field['name'].replace('_', '-')}" in text
        if field["name"] in SHARED and field not in OF_SOLVE:
            continue
        assert field["doc"] in text


def test_progress_on_a_terminal_stays_on_one_line(folder):
    """On a pseudo-terminal every line of progress goes over the one before."""
    primary, secondary = os.openpty()
    with os.fdopen(primary, "rb", buffering=0) as terminal:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pympf", "factor", "A.mtx", "-o", "F.h5"],
                stdout=subprocess.PIPE,
                stderr=secondary,
            )
        finally:
            os.close(secondary)
        shown = terminal.read(100_000).decode()
    assert done.returncode == 0
    assert shown.startswith("\r\x1b[Kstage 1: ")
    assert shown.count("\n") == 1
    assert shown.endswith("\r\n")


def test_version_says_what_it_was_built_with(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"pympf {pympf.__version__}\n")
    libraries = ("MPI", "BLAS", "SuperLU", "CHOLMOD", "MUMPS", "PETSc", "HDF5")
    for word in (*libraries, "threads", "Python"):
        assert word in text
    assert "BLAS and LAPACK  none" not in text


def test_a_misspelt_flag_is_told_what_it_may_mean(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["solve", "A.mtx", "--rtoll", "1e-5"])
    assert ended.value.code == 2
    assert "--rtoll 1e-5; did you mean --rtol?" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".mtx", ".npz"])
def test_solve_with_dirichlet_rows(folder, capsys, suffix):
    """An identity row whose column is there: told in the choice, and x is right."""
    A = pympf.gallery.poisson((9, 10)).tolil()
    fixed = [0, 3, 47]
    for i in fixed:
        A[i, :] = 0
        A[i, i] = 1
    A = sp.csr_array(A)
    b = np.arange(90.0)
    io.write_matrix(f"D{suffix}", A)
    io.write_vector("b.npy", b)
    assert main(["solve", f"D{suffix}", "-b", "b.npy", "-o", "found.npy", "--json"]) == 0
    said = printed_json(capsys)
    assert said["converged"]
    assert "3 unknowns come from Dirichlet rows" in said["choice"]
    found = io.read_vector("found.npy")
    assert (found[fixed] == b[fixed]).all()
    assert np.linalg.norm(A @ found - b) <= 1e-7 * np.linalg.norm(b)


def test_what_a_command_reads_is_not_overwritten(folder, capsys):
    io.write_matrix(folder / "A.mtx", pympf.gallery.poisson((5, 5)))
    np.savetxt(folder / "b.csv", np.ones(25))
    before = {name: (folder / name).read_bytes() for name in ("A.mtx", "b.csv")}
    A, b = str(folder / "A.mtx"), str(folder / "b.csv")
    for words in (
        ["solve", A, "-o", A],
        ["solve", A, "-b", b, "-o", b],
        ["solve", A, "-b", b, "--history", b],
    ):
        assert main(words) == 4
        assert "this command reads it" in capsys.readouterr().err
    assert before == {name: (folder / name).read_bytes() for name in before}
