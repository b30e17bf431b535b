"""Every solver in a process of its own, on the same system: verdicts, advice, drivers."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf.cli import main
from pympf.comparison import SOLVERS, Comparison, Trial, compare, report
from pympf.comparison.registry import find, selected
from pympf.comparison.system import System, is_definite, kernel_of

FAKES = """
import os, signal, subprocess, sys, time
import numpy as np
from scipy.sparse.linalg import spsolve

def good(A, b):
    print("noise on stdout", flush=True)
    return spsolve(A.tocsc(), b)

def wrong(A, b):
    return np.ones_like(b)

def infinite(A, b):
    return np.full_like(b, np.nan)

def hanging(A, b):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    open("child", "w").write(str(child.pid))
    time.sleep(100)

def crashing(A, b):
    os.kill(os.getpid(), signal.SIGSEGV)

def leaving(A, b):
    print("licence expired", file=sys.stderr, flush=True)
    os._exit(3)

def greedy(A, b):
    return np.ones(10**12)[: len(b)]

def refusing(A, b):
    raise RuntimeError("first line\\nnot for matrices of this colour")

def short(A, b):
    return b[:2]

def slow(A, b):  # the first time it is quick enough, then it hangs
    if os.path.exists("slept"):
        time.sleep(100)
    open("slept", "w").close()
    return spsolve(A.tocsc(), b)
"""


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    (tmp_path / "fakes.py").write_text(FAKES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_what_a_solver_does_to_itself_stays_with_it(fakes):
    """A crash, a hang with a child of its own, all memory: a verdict each, and the rest goes on."""
    names = ["good", "wrong", "infinite", "hanging", "crashing", "leaving", "greedy", "refusing"]
    names += ["short", "slow", "missing"]
    seen = []
    comparison = compare(
        pympf.gallery.poisson((8, 8)),
        solvers=[f"fakes:{name}" for name in names],
        limit_s=2.0,
        runs=2,
        threads=1,
        progress=seen.append,
    )
    found = {trial.solver.removeprefix("fakes:"): trial for trial in comparison}
    assert [trial.solver.removeprefix("fakes:") for trial in seen] == names
    assert {found["good"].verdict, found["slow"].verdict} == {"fastest", "converged"}
    assert found["slow"].runs == 1  # what it had done before it hung counts
    assert found["good"].runs >= 2
    assert found["wrong"].verdict == "wrong residual"
    assert found["wrong"].true_residual > 0.1
    assert found["infinite"].verdict == "wrong residual"
    assert found["hanging"].verdict == "timed out"
    assert not is_alive(int((fakes / "child").read_text()))
    assert (found["crashing"].verdict, found["crashing"].detail) == ("crashed", "SIGSEGV")
    assert found["leaving"].detail == "exit code 3 (licence expired)"
    assert found["greedy"].verdict == "out of memory"
    assert found["refusing"].verdict == "refused"
    assert found["refusing"].detail == "not for matrices of this colour"
    assert "shape (2,)" in found["short"].detail
    assert "missing" in found["missing"].detail
    assert comparison.best.solver in ("fakes:good", "fakes:slow")
    assert comparison.call.endswith("(A, b)")
    assert "timed out: 2 s" in str(comparison)


def test_a_comparison_of_real_solvers(tmp_path):
    """Its numbers are those of solves; the table, the data and the picture have all of them."""
    A = pympf.gallery.poisson((30, 30))
    names = ["pympf multilevel", "SciPy"]
    comparison = compare(A, solvers=names, runs=1, solves=7, threads=1)
    assert comparison.matrix["symmetry"] == "symmetric, positive definite"
    asked = [trial for trial in comparison if trial.verdict != "not suited"]
    assert {t.solver for t in asked} == {"pympf multilevel", "SciPy CG Jacobi", "SciPy splu"}
    for trial in asked:
        assert trial.solved
        assert trial.true_residual <= 2e-8
        assert trial.total_s == pytest.approx(trial.setup_s + 7 * trial.solve_s)
        assert trial.memory_bytes >= 0
    ours = comparison["pympf multilevel"]
    b = A @ np.random.default_rng(0).standard_normal(900)
    assert ours.iterations == pympf.solve(A, b, preconditioner="multilevel").iterations
    seconds, residuals = zip(*ours.history, strict=True)
    assert list(seconds) == sorted(seconds)
    assert residuals[0] == 1
    assert residuals[-1] <= 1e-8
    assert [t.total_s for t in asked] == sorted(t.total_s for t in asked)
    data = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert data["advice"]["solver"] == comparison.advised.solver
    assert data["options"]["solves"] == 7
    text = str(comparison)
    assert all(trial.solver in text for trial in comparison)
    assert comparison.advice in text
    if pytest.importorskip("matplotlib"):
        comparison.plot(tmp_path / "a.svg")
        picture = (tmp_path / "a.svg").read_text()
        assert picture.count("<svg") == 1


DRIVERS = """
import json, sys
import numpy as np, scipy.sparse as sp
import pympf
from pympf.comparison import SOLVERS, _system
from pympf.comparison.timing import timed

grid = pympf.gallery.poisson((12, 12))
graph = pympf.gallery.laplacian(sp.triu(grid, 1) + sp.triu(grid, 1).T != 0)
random = np.random.default_rng(0).standard_normal
points = np.stack(np.unravel_index(np.arange(100), (10, 10)), axis=1)
elastic = {"near_nullspace": pympf.rigid_body_modes(points), "block_size": 2}
kinds = {
    "definite": (grid, {}),
    "elastic": (pympf.gallery.elasticity((10, 10)), elastic),
    "indefinite": (pympf.gallery.shifted(grid, -0.3), {}),
    "singular": (graph, {}),
    "general": (pympf.gallery.convection_diffusion(12, 10.0), {}),
}

def forget(solver):
    if solver.package == "petsc4py" and "petsc4py" in sys.modules:
        from petsc4py import PETSc
        for name in PETSc.Options().getAll():
            PETSc.Options().delValue(name)

found = {}
for kind, (A, more) in kinds.items():
    given = {"near_nullspace": None, "block_size": 1, "definite": None, **more}
    system = _system(A, None, *given.values())
    for solver in SOLVERS.values():
        if not solver.suits(system):
            continue
        result = {}
        try:
            times, answer = timed(solver.prepare(system))
            result["residual"] = system.residual(answer.x)
            result["trouble"] = answer.trouble
            forget(solver)
            space = {"A": system.A, "b": system.b, "pympf": pympf, "np": np}
            space["near_nullspace"] = system.near_nullspace
            exec(solver.call(system), space)
            result["copied"] = system.residual(np.asarray(space["x"]))
        except ImportError as error:
            result["missing"] = str(error)
        except Exception as error:
            result["refused"] = f"{type(error).__name__}: {error}"
        forget(solver)
        found[f"{kind}, {solver.name}"] = result
print(json.dumps(found))
sys.stdout.flush()
import os; os._exit(0)
"""

# Who need not solve what; why.
UNABLE = {
    "singular": ("SciPy splu", "CHOLMOD", "PARDISO", "PyAMG RS", "pympf direct"),  # no kernel
    "indefinite": ("PyAMG", "PETSc CG"),  # nobody knew that it is not definite
    "elastic": ("PyAMG RS",),  # has no unknowns of a node
    "general": (),
    "definite": (),
}


def test_every_driver_solves_and_so_does_the_call_to_copy(tmp_path):
    """On every kind of matrix that they are for; in one process, which PETSc may end."""
    command = [sys.executable, "-c", DRIVERS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum("residual" in result for result in found.values()) >= 30
    for name, result in found.items():
        kind, solver = name.split(", ")
        if "missing" in result or solver.startswith(UNABLE[kind]):
            continue
        by_factor = solver in ("pympf two_level", "pympf direct")
        if by_factor and "is not available" in result.get("refused", ""):
            continue
        assert result.get("residual", 1) <= 2e-8, (name, result)
        assert result.get("copied", 1) <= 1e-6, (name, result)  # some watch another norm


# ---- what is known of a matrix -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("A", "expected"),
    [
        ([[2, -1], [-1, 2]], True),
        ([[1, -1], [-1, 1]], True),
        ([[0, 0], [0, 0]], True),
        ([[0, 1], [1, 0]], False),
        ([[1, 0], [0, -1]], False),
        ([[1, 2], [2, 1]], None),
    ],
)
def test_definite(A, expected):
    assert is_definite(sp.csr_array(np.array(A, dtype=float))) is expected


def test_kernel():
    """Of a graph with two components of which one is held; and of very many components."""
    L = sp.csr_array(np.array([[1.0, -1], [-1, 1]]))
    kernel = kernel_of(sp.csr_array(sp.block_diag([L, L + sp.eye_array(2)])))
    np.testing.assert_allclose(kernel, [[0.5**0.5], [0.5**0.5], [0], [0]])
    many = kernel_of(sp.csr_array(sp.block_diag([L] * 12)))
    np.testing.assert_allclose(many, np.full((24, 1), 24**-0.5))
    assert kernel_of(sp.csr_array(pympf.gallery.poisson((3, 3)))) is None


def test_a_system_is_read_as_it_was_written(tmp_path):
    A = sp.csr_array(pympf.gallery.poisson((3, 3)))
    for system in (
        System(A, np.arange(9.0), definite=None),
        System(A, np.arange(9.0), True, np.ones((9, 1)), np.eye(9)[:, :2], 3, False, 1e-5, 7),
    ):
        system.save(tmp_path / "a.npz")
        again = System.load(tmp_path / "a.npz")
        assert (again.A != system.A).nnz == 0
        for name in ("b", "kernel", "near_nullspace"):
            np.testing.assert_array_equal(getattr(again, name), getattr(system, name))
        for name in ("definite", "block_size", "symmetric", "rtol", "maxiter"):
            assert getattr(again, name) == getattr(system, name)


# ---- the advice ----------------------------------------------------------------------------------


def comparison_of(*trials, singular=False):
    matrix = {"rows": 4, "nnz": 9, "symmetry": "symmetric", "singular": singular}
    options = {"rtol": 1e-8, "solves": 1, "threads": 1, "clock": "wall"}
    return Comparison(report.ranked(trials), matrix, options, {})


def trial(solver, total_s, verdict="converged", **more):
    package = "pympf" if solver.startswith("pympf") else solver
    times = {"setup_s": 0.0, "solve_s": total_s, "total_s": total_s}
    given = {"true_residual": 1e-9, "iterations": 3, "call": f"x = {solver}(A, b)", **more}
    return Trial(solver, package, verdict, **times, **given)


def test_the_advice_is_a_peer_where_we_lose():
    comparison = comparison_of(trial("pympf", 3.0), trial("pympf ict", 2.0), trial("PETSc", 1.0))
    assert comparison.advised.solver == "PETSc"
    assert comparison.call == "x = PETSc(A, b)"
    assert "2 times as fast as pympf ict, the best of pympf" in comparison.advice
    assert "3 times as fast as pympf.solve(A, b) by its own plan" in comparison.advice


def test_our_plan_is_advised_for_its_own_method_only_when_it_is_as_fast():
    near = comparison_of(trial("pympf", 1.05), trial("pympf ict", 1.0), trial("b", 1.02))
    assert (near.best.solver, near.advised.solver) == ("pympf ict", "pympf")
    far = comparison_of(trial("pympf", 1.5), trial("pympf ict", 1.0))
    assert far.advised.solver == "pympf ict"


def test_a_quick_solver_that_is_wrong_is_not_advised():
    comparison = comparison_of(
        trial("fast", 0.1, "wrong residual", true_residual=1e-3),
        trial("stopped", 0.2, "not converged", true_residual=1e-4),
        trial("pympf", 9.0, "timed out"),
        trial("slow", 1.0),
    )
    assert [t.solver for t in comparison] == ["slow", "fast", "stopped", "pympf"]
    assert comparison["slow"].verdict == "fastest"
    assert "by its own plan: timed out" in comparison.advice
    assert "2 did not reach the residual and 1 ran out of time." in comparison.advice


def test_nobody_solved_it():
    failed = [trial(n, 1.0, "not converged", true_residual=r) for n, r in (("a", 0.1), ("b", 0.01))]
    comparison = comparison_of(*failed, singular=True)
    assert comparison.best is None
    assert comparison.call == ""
    assert "nearest is b with 1.0e-02" in comparison.advice
    assert "is b in its range?" in comparison.advice
    nothing = comparison_of(Trial("a", "a", "refused", "no"))
    assert nothing.advice.startswith("No solver gave an x")
    with pytest.raises(KeyError, match="is none of a"):
        nothing["b"]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"solvers": ["pyamg"]}, ValueError, "did you mean"),
        ({"solvers": "pympf"}, TypeError, "expected a list of names"),
        ({"solvers": []}, ValueError, "at least one name"),
        ({"solvers": [3]}, TypeError, "got a int"),
        ({"solvers": [":f"]}, ValueError, "module:function"),
        ({"limit_s": 0}, ValueError, "limit_s"),
        ({"runs": 0}, ValueError, "runs"),
        ({"solves": 0}, ValueError, "solves"),
        ({"clock": "sun"}, ValueError, "clock"),
        ({"rtol": 2}, ValueError, "rtol"),
        ({"block_size": 3}, ValueError, "does not divide"),
        ({"definite": "yes"}, TypeError, "definite"),
        ({"progress": 3}, TypeError, "progress"),
        ({"b": np.ones((4, 2))}, ValueError, "solves=2"),
        ({"b": np.zeros(4)}, ValueError, "nonzero"),
        ({"b": [1, 2, 3, np.nan]}, ValueError, "finite"),
        ({"near_nullspace": np.ones(5)}, ValueError, "near_nullspace"),
    ],
)
def test_bad_options(options, error, text):
    with pytest.raises(error, match=text):
        compare(np.eye(4), **options)


@pytest.mark.parametrize("A", [np.ones((2, 3)), [[np.inf]], np.empty((0, 0))])
def test_bad_matrices(A):
    with pytest.raises(ValueError, match="expected"):
        compare(A)


def test_solvers_are_asked_for_by_name_and_by_first_words():
    assert [solver.name for solver in find("pympf ict")] == ["pympf ict"]
    assert all(solver.package == "petsc4py" for solver in find("PETSc CG"))
    assert [solver.name for solver in find("pympf")] == ["pympf"]
    assert selected(None)[0].name == "pympf"
    assert len(SOLVERS) == len({solver.name for solver in selected(None)})


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(
        "pympf.comparison.registry.SOLVERS",
        {"PARDISO LDLT": replace(SOLVERS["PARDISO LDLT"], package="no_such_package")},
    )
    (only,) = compare(np.eye(3), solvers=["PARDISO LDLT"])
    assert (only.verdict, only.detail) == ("not installed", "pip install no_such_package")


# ---- the command ---------------------------------------------------------------------------------


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pympf.io.write_matrix("A.mtx", pympf.gallery.poisson((10, 10)))
    options = ["--solvers", "SciPy splu", "--runs", "1", "--threads", "1", "--plot", "a.png"]
    assert main(["compare", "A.mtx", *options, "--json"]) == 0
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    assert data["advice"]["solver"] == "SciPy splu"
    assert "SciPy splu: converged" in printed.err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    # Nobody reaches it, with one iteration.
    few = ["--solvers", "pympf jacobi", "--maxiter", "1", "--rhs", "random", "--quiet"]
    assert main(["compare", "A.mtx", *few]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--solvers", "PyAMGG"], 3, "did you mean"),
        (["--plot", "a.txt"], 2, "expected a .png"),
        (["--rhs", "zeros"], 2, "invalid choice"),
        (["-b", "none.npy"], 4, "none.npy"),
        (["--limit", "-1"], 3, "limit_s"),
    ],
)
def test_wrong_use_of_the_command(tmp_path, monkeypatch, capsys, arguments, code, text):
    monkeypatch.chdir(tmp_path)
    pympf.io.write_matrix("A.mtx", sp.eye_array(3, format="csr"))
    try:
        found = main(["compare", "A.mtx", *arguments])
    except SystemExit as exit_:
        found = exit_.code
    assert found == code
    assert text in capsys.readouterr().err
