"""An ordinary C program that gets the preconditioner by -dll_append."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from pympf import Preconditioner
from pympf._engine import core

SOLVE = re.compile(r"(\w+) iterations (\d+) residual (\S+)")
TIGHT = "-pc_type mmf -ksp_rtol 1e-10"
LEVELS = f"{TIGHT} -pc_mmf_method multilevel"  # on this small grid the default takes ict
CLASSIC = f"{TIGHT} -pc_mmf_method classic"
LEAKS = "-malloc_debug -malloc_dump"
ROOT = Path(__file__).parents[2]


class Solve(NamedTuple):
    reason: str
    iterations: int
    residual: float


def solves(output: str) -> list[Solve]:
    return [Solve(m[1], int(m[2]), float(m[3])) for m in SOLVE.finditer(output)]


def assert_solved(run, count: int = 1, residual: float = 1e-8) -> None:
    """All solves converged, and nothing else was printed: no warning, no block of memory left."""
    found = solves(run.output)
    assert len(run.output.splitlines()) == len(found) == count, run.output
    for solve in found:
        assert solve.reason.startswith("CONVERGED"), run.output
        assert solve.residual < residual


def test_malloc_dump_shows_a_leak(solve):
    assert "bytes MatCreate()" in solve(f"{TIGHT} -forget {LEAKS}").output


@pytest.mark.parametrize("options", [TIGHT, LEVELS, CLASSIC])
@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres", "fcg"])
@pytest.mark.parametrize(
    ("mat", "block"),
    [("seqaij", 1), ("seqsbaij", 1), ("seqsbaij", 4), ("seqbaij", 1), ("seqbaij", 4)],
)
def test_matrix_formats(solve, ksp, mat, block, options):
    format = f"-mat_type {mat} -mat_block_size {block}"
    assert_solved(solve(f"{options} -ksp_type {ksp} {format} {LEAKS}"))


@pytest.mark.parametrize("mat", ["mpiaij", "mpisbaij", "mpibaij", "seqdense"])
def test_other_formats_are_converted(solve, mat):
    assert_solved(solve(f"{TIGHT} -ksp_type cg -mat_type {mat} {LEAKS}"))


def test_formats_give_the_same_preconditioner(solve):
    runs = [
        solve(f"{LEVELS} -mat_type {mat}") for mat in ("seqaij", "seqsbaij", "seqbaij", "mpiaij")
    ]
    assert len({run.output for run in runs}) == 1


@pytest.mark.parametrize("options", [TIGHT, LEVELS, CLASSIC])
@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres"])
def test_singular(solve, ksp, options):
    assert_solved(solve(f"{options} -ksp_type {ksp} -neumann {LEAKS}"))


@pytest.mark.parametrize("problem", ["", "-neumann"])
def test_iterations(solve, problem):
    """The reduction of the residual by 1e-8 on a grid of 200 x 200."""
    run = solve(f"-pc_type mmf -ksp_type cg -ksp_rtol 1e-8 -m 200 {problem}")
    assert_solved(run, residual=1e-7)
    assert solves(run.output)[0].iterations <= 9


def test_near_null_space(solve):
    run = solve(f"{LEVELS} -near -ksp_type cg -ksp_view")
    assert "near-nullspace: 2 vectors of the near-null space of the matrix" in run.output
    assert_solved(solve(f"{LEVELS} -near -ksp_type cg {LEAKS}"))


@pytest.mark.parametrize("ksp", ["minres", "gmres"])
def test_indefinite(solve, ksp):
    """MINRES would refuse a preconditioner that is not positive definite."""
    options = f"{CLASSIC} -ksp_type {ksp} -ksp_gmres_restart 400 -ksp_max_it 2000 -shift -0.5"
    assert_solved(solve(f"{options} {LEAKS}"))


def test_indefinite_by_levels(solve):
    """GMRES takes any preconditioner; the solvers that need a positive definite one say so."""
    run = solve(f"{LEVELS} -ksp_type gmres -shift -0.1 {LEAKS}")
    assert_solved(run)
    for ksp in ("cg", "minres"):
        run = solve(f"{LEVELS} -ksp_type {ksp} -shift -0.1", fails=True)
        assert "the matrix is indefinite, its preconditioner then need not be" in run.errors
        assert f"-ksp_type {ksp} needs that: use -pc_mmf_method classic" in run.errors
        assert "-pc_mmf_definite false with -ksp_type gmres" in " ".join(run.errors.split())
    assert_solved(solve("-pc_type mmf -pc_mmf_definite false -ksp_type gmres -shift -0.1"))


def test_two_level_is_definite_where_the_matrix_is(solve):
    assert_solved(solve(f"{TIGHT} -pc_mmf_method two_level -ksp_type cg"))
    run = solve("-pc_type mmf -pc_mmf_method two_level -ksp_type cg -shift -0.1", fails=True)
    assert "the matrix is indefinite" in run.errors


def test_log_view_has_the_setup_the_levels_and_their_flops(solve):
    run = solve(f"{LEVELS} -ksp_type cg -m 60 -log_view")
    line = r"^(MMFSetUp|MMFLevel \d+|PCApply) +\d+ \S+ \S+ \S+ (\S+)"
    events = dict(re.findall(line, run.output, re.M))
    assert {"MMFSetUp", "MMFLevel 1", "MMFLevel 2", "PCApply"} <= events.keys()
    iterations = int(SOLVE.findall(run.output)[0][1])
    assert float(events["PCApply"]) > 2 * 3 * 17760 * iterations  # three products with A, at least


def test_view_hints_at_solves_where_it_is_applied_once(solve):
    """Under preonly and its like, not under a Krylov method, nor where levels are there."""
    hint = "give -pc_mmf_solves 100"
    once = "-pc_type mmf -m 40 -ksp_view -ksp_type richardson -ksp_max_it 1"
    assert hint in solve(f"{once} -ksp_convergence_test skip").output
    assert hint not in solve("-pc_type mmf -m 40 -ksp_view -ksp_type cg").output
    run = solve(f"{once} -ksp_convergence_test skip -pc_mmf_solves 100")
    assert hint not in run.output
    assert "method multilevel" in run.output


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_transpose(solve, options):
    assert_solved(solve(f"{options} -transpose -ksp_type gmres {LEAKS}"))


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_several_right_hand_sides(solve, options):
    assert_solved(solve(f"{options} -columns 3 -ksp_type cg {LEAKS}"))


@pytest.mark.parametrize(
    "options", [f"{LEVELS} -pc_mmf_coarse_size 400", f"{CLASSIC} -pc_mmf_core_size 400"]
)
def test_several_right_hand_sides_at_once(solve, options):
    """With a dense inverse of the whole matrix: one PCMatApply."""
    assert_solved(solve(f"{options} -columns 3 -ksp_type preonly {LEAKS}"))


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_two_threads_give_the_same(solve, options):
    options = f"{options} -m 120 -ksp_type cg"
    assert solve(options, threads=2).output == solve(options).output


def test_the_user_s_presolve_is_called(solve):
    run = solve(f"{TIGHT} -presolve -solves 2")
    assert run.output.count("before the solve with mmf\n") == len(solves(run.output)) == 2


# ---- solvers that need more than the preconditioner gives ----------------------------------------


@pytest.mark.parametrize("ksp", ["fgmres", "fcg", "gcr"])
def test_k_cycle_in_flexible_solvers(solve, ksp):
    assert_solved(solve(f"{LEVELS} -m 60 -pc_mmf_cycle k -ksp_type {ksp} {LEAKS}"))


@pytest.mark.parametrize("ksp", ["cg", "minres", "gmres", "bcgs"])
def test_k_cycle_is_refused_by_the_others(solve, ksp):
    run = solve(f"{LEVELS} -m 60 -pc_mmf_cycle k -ksp_type {ksp}", fails=True)
    assert f"cycle = k varies from one application to the next, and -ksp_type {ksp}" in run.errors
    assert "use -ksp_type fgmres, fcg or gcr, or -pc_mmf_cycle w" in run.errors


@pytest.mark.parametrize("cycle", ["v", "w", "additive"])
def test_other_cycles_are_fixed(solve, cycle):
    assert_solved(solve(f"{LEVELS} -m 60 -pc_mmf_cycle {cycle} -ksp_type cg {LEAKS}"))


@pytest.mark.parametrize("ksp", ["cg", "fgmres"])
def test_single_precision(solve, ksp):
    assert_solved(solve(f"{LEVELS} -pc_mmf_precision single -ksp_type {ksp}"))


@pytest.mark.parametrize("ksp", ["minres", "gmres"])
def test_single_precision_where_it_is_too_little(solve, ksp):
    """These would report a residual of 1e-10 and have one of 1e-7."""
    run = solve(f"{LEVELS} -pc_mmf_precision single -ksp_type {ksp}", fails=True)
    assert f"too few for -ksp_type {ksp} to reach -ksp_rtol 1e-10" in run.errors
    loose = f"-pc_type mmf -pc_mmf_precision single -ksp_type {ksp} -ksp_rtol 1e-5"
    assert_solved(solve(loose), residual=1e-4)


# ---- set up again --------------------------------------------------------------------------------


def reused(output: str) -> list[int]:
    return [int(count) for count in re.findall(r"rotations reused: (\d+) times", output)]


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_new_values_keep_the_rotations(solve, options):
    run = solve(f"{options} -solves 3 -ksp_view {LEAKS}")
    assert reused(run.output) == [0, 1, 2]
    iterations = {found.iterations for found in solves(run.output)}
    assert len(iterations) == 1  # the matrices differ by a factor
    assert_solved(solve(f"{options} -solves 3 {LEAKS}"), 3)


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
def test_new_values_without_reuse(solve, options):
    run = solve(f"{options} -solves 3 -pc_mmf_reuse_rotations false -ksp_view")
    assert reused(run.output) == [0, 0, 0]


def test_petsc_can_keep_the_whole_preconditioner(solve):
    run = solve(f"{TIGHT} -solves 3 -ksp_reuse_preconditioner -ksp_view")
    assert reused(run.output) == [0, 0, 0]
    assert len(solves(run.output)) == 3


@pytest.mark.parametrize("options", [LEVELS, CLASSIC])
@pytest.mark.parametrize("then", ["pattern", "size"])
def test_another_matrix_is_set_up_anew(solve, then, options):
    run = solve(f"{options} -solves 2 -then {then} -pc_view {LEAKS}")
    assert reused(run.output) == [0, 1, 0]
    assert_solved(solve(f"{options} -solves 2 -then {then} {LEAKS}"), 3)


def test_objects_are_destroyed(solve):
    run = solve(f"{TIGHT} -solves 2 -then size -mat_type seqsbaij -log_view")
    table = run.output.partition("Memory usage")[2] or run.output.partition("Creations")[2]
    counts = re.findall(
        r"^ *(Matrix|Preconditioner|Vector|Krylov Solver) +(\d+) +(\d+)", table, re.M
    )
    assert len(counts) == 4, run.output
    assert all(created == destroyed for _, created, destroyed in counts)


# ---- view and options ----------------------------------------------------------------------------


def test_view(solve):
    run = solve(f"{LEVELS} -ksp_view -pc_mmf_cycle w -pc_mmf_coarse_size 30 -ksp_type cg")
    assert (
        "parameters: method=multilevel cycle=w coarse_size=30 (the others at their defaults)"
        in run.output
    )
    assert re.search(
        r"level +rows +nnz +clusters +ranks +lifted +P per row +factor/nnz +bytes +seconds",
        run.output,
    )
    assert re.search(r"^ +1 +400 +1920 +\d+ +1 +yes +\d\.\d\d +0\.\d\d ", run.output, re.M)
    levels, rows = re.search(r"(\d+) levels, dense solve of (\d+) rows", run.output).groups()
    assert int(rows) <= 30
    lines = re.findall(r"^ +\d+ +\d+ +\d+ +\d+ +\d+ +(yes|no) ", run.output, re.M)
    assert len(lines) == int(levels)
    assert "method multilevel: asked for\n" in run.output
    assert "near-nullspace: constants, adapted where they are poor; block size 1" in run.output
    assert re.search(
        r"operator complexity [12]\.\d+, grid complexity 1\.\d+, \d+\.\d+ MB", run.output
    )


def test_view_says_what_was_chosen_and_why(solve):
    run = solve("-pc_type mmf -ksp_view -m 10")
    assert "method ict: the incomplete Cholesky factorization dropped nothing" in run.output
    assert re.search("method multilevel: .", solve("-pc_type mmf -ksp_view -m 200").output)
    run = solve("-pc_type mmf -ksp_view -m 7")
    assert "method dense: " in run.output
    assert "1 level, dense solve of 49 rows (0 zero and 0 negative eigenvalues)\n" in run.output
    assert "method jacobi: " in solve("-pc_type mmf -pc_mmf_method jacobi -ksp_view").output


def test_view_of_the_classic_method(solve):
    run = solve(f"{CLASSIC} -ksp_view -pc_mmf_core_size 50 -pc_mmf_gram blocks")
    assert "parameters: method=classic core_size=50 gram=blocks (the others" in run.output
    assert re.search(
        r"level +rows +nnz +clusters +bypassed +rotations +retired +ranks +dropped +bytes +seconds",
        run.output,
    )
    assert re.search(r"^ +1 +400 +1920 +\d", run.output, re.M)
    levels = int(re.search(r"(\d+) levels, core of 50 rows, stopped by core_size", run.output)[1])
    lines = re.findall(r"^(?: +\d+){8} +\d\.\d\de-\d\d ", run.output, re.M)
    assert len(lines) == levels
    assert re.search(r"relative Frobenius error 0\.\d+, \d+\.\d+ MB", run.output)


def test_view_of_a_pc_and_short_view(solve):
    run = solve("-pc_type mmf -pc_view -solves 2")
    assert reused(run.output) == [0, 1]
    assert len(re.findall("^ *level ", run.output, re.M)) == 2
    assert "has not been set up" not in run.output
    run = solve("-pc_type mmf -ksp_view ::ascii_info")
    assert "parameters: all at their defaults" in run.output
    assert not re.search("^ *level ", run.output, re.M)
    run = solve("-pc_type mmf -ksp_view -pc_mmf_strength 0.35")  # given, though it is the default
    assert "parameters: strength=0.35 (the others at their defaults)" in run.output


def test_indefinite_with_signs(solve):
    """A sparse direct factor, where there is a library; CG and MINRES refuse what is indefinite."""
    options = "-pc_type mmf -pc_mmf_definite false -m 60 -shift -0.1 -ksp_rtol 1e-10"
    if "without SuperLU" in solve(f"{options} -ksp_type gmres -ksp_view").output:
        pytest.skip("pympf was built without SuperLU")
    run = solve(f"{options} -ksp_type gmres {LEAKS}")
    assert_solved(run)
    assert solves(run.output)[0].iterations <= 2
    for ksp in ("cg", "minres"):
        run = solve(f"{options} -ksp_type {ksp}", fails=True)
        assert "the matrix is indefinite, its preconditioner then need not be" in run.errors
    assert_solved(solve(f"{options} -pc_mmf_method two_level -ksp_type gmres {LEAKS}"))
    for backend in core.factor_backends()["symmetric"]:
        named = f"-pc_mmf_method direct -pc_mmf_factor_backend {backend} -ksp_type gmres -ksp_view"
        run = solve(f"{options} {named}")
        assert re.search(rf"direct: asked for; {backend}, ordered by .* in its factor", run.output)
        assert solves(run.output)[0].iterations <= 2


def test_help(solve):
    text = solve("-pc_type mmf -help").output
    assert "MMF options" in text
    names = re.findall(r"^  -pc_mmf_(\w+) <now", text, re.M)
    fields = {field["name"]: field for field in Preconditioner.fields()}
    assert len(names) == len(set(names)), "two parameters share a name"
    assert set(names) == {*fields, "reuse_rotations"}
    fields["precision"]["default"] = "working"
    for name, field in fields.items():
        default = str(field["default"]).lower() if field["kind"] == "bool" else field["default"]
        line = re.search(rf"^  -pc_mmf_{name} <now (\S+) : .*", text, re.M)
        assert line[1] == (f"{default:g}" if field["kind"] in ("int", "real") else default)
        assert all(choice in line[0] for choice in field["choices"])
    assert "-pc_mmf_order <now 2 : formerly 2>: Order k of the rotations" in text
    assert "Allowed: an integer in [2, 16]" in text
    assert "Allowed: one of auto multilevel ict jacobi two_level direct classic" in text
    assert "-pc_mmf_reuse_rotations <now true" in text


@pytest.mark.parametrize(
    ("option", "code", "says"),
    [
        ("order 1", "out of range", "order = 1 is not an integer in [2, 16]"),
        ("order 2.5", "out of range", "order = 2.5 is not an integer in [2, 16]"),
        ("order two", "out of range", "order = two is not an integer in [2, 16]"),
        ("order", "out of range", "order =  is not an integer in [2, 16]"),
        ("core_size 1e20", "out of range", "is not an integer in [1, 2147483647]"),
        ("core_size -1", "out of range", "core_size = -1 is not an integer in [1, 2147483647]"),
        ("tolerance nan", "out of range", "tolerance = nan is not a number in [0, 1]"),
        ("gram rows", "Invalid", "gram = rows is not one of columns blocks"),
        ("bypass maybe", "Invalid", "bypass = maybe is not true or false"),
        ("eliminate 2 -pc_mmf_method classic", "Invalid", "eliminate = 2 is not below order = 2"),
        ("sweeps 0", "out of range", "sweeps = 0 is not an integer in [1, 100]"),
        ("strength 1.5", "out of range", "strength = 1.5 is not a number in [0, 1]"),
        ("cycle f", "Invalid", "cycle = f is not one of v w k additive"),
        ("method amg", "Invalid", "method = amg is not one of auto multilevel ict jacobi"),
        ("core_size 9", "Invalid", "core_size is a parameter of the method 'classic'"),
        ("cycle w -pc_mmf_method classic", "Invalid", "cycle is not a parameter of the method 'cl"),
        ("wxyz 3", "Invalid", "unknown parameter wxyz; known: reuse_rotations method"),
        (
            "ordr 3",
            "Invalid",
            "unknown parameter ordr; did you mean order?",
        ),
    ],
)
def test_wrong_options(solve, option, code, says):
    run = solve(f"-pc_type mmf -pc_mmf_{option}", fails=True)
    assert code in run.errors
    assert f"PC mmf: {says}" in run.errors or says in run.errors
    assert not run.output


@pytest.mark.parametrize(
    ("word", "value"), [("", True), ("yes", True), ("NO", False), ("0", False)]
)
def test_logical_values_as_petsc_writes_them(solve, word, value):
    run = solve(f"-pc_type mmf -pc_mmf_method classic -pc_mmf_Prenormalize {word} -ksp_view")
    assert ("parameters: method=classic prenormalize=true" in run.output) == value


def test_asymmetric(solve):
    run = solve("-pc_type mmf -pc_mmf_method classic -convection 0.1", fails=True)
    assert "expected a symmetric matrix, got max|a_ij - a_ji| = 0.2" in run.errors
    assert "PC mmf" in run.errors


@pytest.mark.parametrize("pc", ["bjacobi", "asm"])
@pytest.mark.parametrize("mat", ["aij", "sbaij"])
def test_blocks_on_two_processes(solve, pc, mat):
    options = f"-pc_type {pc} -sub_pc_type mmf -ksp_rtol 1e-10 -mat_type {mat} {LEAKS}"
    assert_solved(solve(f"{options} -sub_pc_mmf_coarse_size 30", ranks=2))


def test_a_block_without_rows(solve):
    assert_solved(solve(f"-pc_type bjacobi -sub_pc_type mmf -ksp_rtol 1e-10 -m 1 {LEAKS}", ranks=2))


def test_options_of_blocks(solve):
    run = solve("-pc_type bjacobi -sub_pc_type mmf -sub_pc_mmf_order 17", ranks=2, fails=True)
    assert "order = 17 is not an integer in [2, 16]" in run.errors
    run = solve("-pc_type bjacobi -sub_pc_type mmf -sub_pc_mmf_coarse_size 30 -ksp_view", ranks=2)
    assert "parameters: coarse_size=30" in run.output


@pytest.mark.parametrize("page", ["README.md", "docs/petsc.md"])
def test_commands_of_the_documentation(solve, page):
    lines = re.findall(
        r"^\./\w+ -dll_append \$\(python -m pympf\.petsc\) (.*)$", (ROOT / page).read_text(), re.M
    )
    assert lines
    for options in lines:
        run = solve(options)
        assert solves(run.output)[0].reason.startswith("CONVERGED")
        assert "type: mmf" in run.output
