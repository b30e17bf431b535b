"""The preconditioner over several ranks: in the C program, and over_ranks.py in jobs of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import command, environment

HERE = Path(__file__).parent
SOLVE = re.compile(r"CONVERGED_\w+ iterations (\d+) residual (\S+)")
TIGHT = "-pc_type mmf -ksp_rtol 1e-10"
LEVELS = f"{TIGHT} -pc_mmf_method multilevel"
CLASSIC = f"{TIGHT} -pc_mmf_method classic"
LEAKS = "-malloc_debug -malloc_dump"


@pytest.mark.parametrize("ranks", [2, 3])
def test_from_petsc4py(plugin, ranks):
    pytest.importorskip("pytest_mpi")
    command("mpirun", "MPIRUN")
    # Not `python -m pytest`, which would take the sources for the package.
    start = [HERE.parent / "mpi" / "run", str(ranks), Path(sys.executable).with_name("pytest")]
    done = subprocess.run(
        [*start, HERE / "over_ranks.py", "--with-mpi", "-q", "-p", "no:cacheprovider"],
        env=environment() | {"MPI_TIMEOUT": "240"},
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50
    assert "skipped" not in done.stdout


def assert_solved(run, count=1, residual=1e-8):
    """All solves converged, and nothing else was printed: no block of memory left on any rank."""
    found = SOLVE.findall(run.output)
    assert len(run.output.splitlines()) == len(found) == count, run.output
    assert all(float(reached) < residual for _, reached in found), run.output


@pytest.mark.parametrize(
    ("mat", "block"), [("aij", 1), ("sbaij", 1), ("sbaij", 4), ("baij", 1), ("baij", 4)]
)
def test_matrix_formats(solve, mat, block):
    options = f"{LEVELS} -ksp_type cg -mat_type {mat} -mat_block_size {block} -m 24"
    assert_solved(solve(f"{options} {LEAKS}", ranks=2))


def test_formats_give_the_same_preconditioner(solve):
    runs = [solve(f"{LEVELS} -mat_type {mat}", ranks=2) for mat in ("aij", "sbaij", "baij")]
    assert len({run.output for run in runs}) == 1


@pytest.mark.parametrize("method", ["auto", "multilevel", "ict", "jacobi", "classic"])
@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres"])
def test_methods(solve, method, ksp):
    options = f"{TIGHT} -pc_mmf_method {method} -ksp_type {ksp} -ksp_gmres_restart 200"
    assert_solved(solve(f"{options} {LEAKS}", ranks=3), residual=1e-7)


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_singular(solve, options):
    assert_solved(solve(f"{options} -ksp_type cg -neumann {LEAKS}", ranks=3))


def test_indefinite(solve):
    options = f"{CLASSIC} -ksp_type minres -ksp_max_it 2000 -shift -0.5"
    assert_solved(solve(f"{options} {LEAKS}", ranks=2))
    for ksp in ("cg", "minres"):
        run = solve(f"{LEVELS} -ksp_type {ksp} -shift -0.1", ranks=2, fails=True)
        assert "the matrix is indefinite, its preconditioner then need not be" in run.errors


@pytest.mark.parametrize("ranks", [2, 3, 8])
@pytest.mark.parametrize("problem", ["", "-neumann"])
def test_iterations_as_on_one_rank(solve, problem, ranks):
    """At most a fifth more."""
    options = f"-pc_type mmf -ksp_type cg -ksp_rtol 1e-8 -m 120 {problem}"
    alone, found = (int(SOLVE.search(solve(options, ranks=n).output)[1]) for n in (1, ranks))
    assert found <= 1.2 * alone + 1


@pytest.mark.parametrize("m", [1, 2])
def test_more_ranks_than_rows(solve, m):
    assert_solved(solve(f"{TIGHT} -ksp_type cg -m {m} {LEAKS}", ranks=8))


@pytest.mark.parametrize("options", [f"{LEVELS} -pc_mmf_coarse_size 30", CLASSIC])
def test_transpose_and_several_right_hand_sides(solve, options):
    assert_solved(solve(f"{options} -transpose -ksp_type gmres {LEAKS}", ranks=2))
    assert_solved(solve(f"{options} -columns 3 -ksp_type cg {LEAKS}", ranks=2))


@pytest.mark.parametrize("options", [LEVELS, f"{LEVELS} -pc_mmf_repartition", CLASSIC])
def test_new_values(solve, options):
    run = solve(f"{options} -solves 3 -ksp_view", ranks=2)
    assert re.findall(r"rotations reused: (\d+) times", run.output) == ["0", "1", "2"]
    assert len({iterations for iterations, _ in SOLVE.findall(run.output)}) == 1
    assert_solved(solve(f"{options} -solves 3 {LEAKS}", ranks=2), 3)


@pytest.mark.parametrize("then", ["pattern", "size"])
def test_another_matrix_is_set_up_anew(solve, then):
    for options in (LEVELS, CLASSIC):
        assert_solved(solve(f"{options} -solves 2 -then {then} {LEAKS}", ranks=3), 3)


def test_view(solve):
    run = solve(f"{LEVELS} -ksp_view -m 60 -pc_mmf_rows_per_rank 500", ranks=3)
    lines = re.findall(r"^ +\d+ +(\d+) +\d+ +\d+ +(\d+) +(?:yes|no) ", run.output, re.M)
    assert lines[0] == ("3600", "3")
    assert int(lines[1][1]) < 3
    assert re.search(r"\d MB on 3 ranks, ", run.output)
    run = solve(f"{CLASSIC} -ksp_view -m 60 -pc_mmf_rows_per_rank 500", ranks=3)
    assert re.search(r"^ +1 +3600 +17760(?: +\d+){4} +3 ", run.output, re.M)
    assert re.search(r"levels, core of [1-9]\d* rows, stopped by", run.output)


def test_errors_end_the_job(solve):
    run = solve("-pc_type mmf -pc_mmf_method classic -convection 0.1", ranks=3, fails=True)
    assert run.errors.count("expected a symmetric matrix, got max|a_ij - a_ji| = 0.2") == 1
    run = solve("-pc_type mmf -pc_mmf_order 17", ranks=2, fails=True)
    assert "order = 17 is not an integer in [2, 16]" in run.errors


@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_over_ranks(solve, blocks):
    """Blocks on communicators of several ranks, where PETSc's own choice is an inexact GMRES."""
    options = f"-pc_type bjacobi -pc_bjacobi_blocks {blocks} -sub_ksp_type preonly"
    assert_solved(solve(f"{options} -sub_pc_type mmf -ksp_rtol 1e-10 {LEAKS}", ranks=4))
