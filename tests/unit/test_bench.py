"""The benchmarks run, their systems are what their names say, and their tables count right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse.linalg

from pympf import _float64
from pympf._engine import core

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"

pytestmark = pytest.mark.skipif(not BENCH.is_dir(), reason="a source tree without benchmarks")


@pytest.fixture
def families(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCH)
    import families

    monkeypatch.setattr(families, "CACHE", tmp_path)
    return families


@pytest.fixture
def suite(families):
    from cases import suite

    return suite


def result(total_s, **more):
    parts = {"setup_s": total_s / 4, "solve_s": 3 * total_s / 4, "total_s": total_s}
    return {**parts, "iterations": 7, "bytes": 2800, **more}


ROWS = [
    {
        "family": "easy",
        "rows": 10,
        "unknowns": 10,
        "nnz": 28,
        "solvers": {"pympf": result(2.0), "CG ICC": result(1.0), "CG GAMG": result(4.0)},
    },
    {
        "family": "hard",
        "rows": 10,
        "unknowns": 10,
        "nnz": 28,
        "solvers": {
            "pympf": result(1.0),
            "CG ICC": result(0.1, failure="residual 1e-03"),
            "CG GAMG": result(2.0),
        },
    },
]


def test_families_are_positive_definite_and_of_the_size_asked_for(families):
    for family in families.FAMILIES:
        system = families.generated(family, 400)
        rows = system.A.shape[0]
        assert 300 <= rows <= 420, family
        assert not system.definite or np.linalg.eigvalsh(system.A.toarray())[0] > 0, family
        assert system.b.shape == (rows,)


def test_waves_are_indefinite(families):
    for family in families.WAVES:
        system = families.generated(family, 10_000)
        assert not system.definite
        least = scipy.sparse.linalg.eigsh(system.A, k=1, which="SA", tol=1e-2)[0][0]
        assert least < -0.01, family


def test_rigid_body_modes_of_the_suite_fit_its_elasticity(families):
    system = families.generated(families.ELASTICITY, 400)
    inner = system.near_nullspace.copy()
    bent = abs(system.A @ inner).sum(axis=1) > 1e-12
    assert system.block_size == 2
    assert 0 < bent.sum() < len(bent) / 5  # only next to the clamped side


def test_a_singular_laplacian_has_its_right_hand_side_in_its_range(families):
    system = families.stored(str(ROOT / "data/USpowerGrid.mtx.gz"), families.LAPLACIAN)
    assert abs(system.A @ system.kernel).max() < 1e-12
    assert abs(system.kernel.T @ system.b).max() < 1e-10


def test_ratios_compare_with_the_best_peer_that_solved_the_system(suite):
    text = suite.render(ROWS)
    cells = {line[0]: line[1:] for line in map(split, text.splitlines()) if len(line) == 10}
    assert cells["pympf"] == ["2", "2", "1", "1", "1", "2", "easy", "0.25", "100"]
    assert cells["CG ICC"] == ["2", "1", "1", "1", "10", "1", "easy", "0.25", "100"]
    assert cells["CG GAMG"] == ["2", "2", "0", "2", "2", "4", "easy", "0.25", "100"]
    assert "| easy | 10 | 2 000 | CG ICC | 1 000 | 2 |" in text  # a loss, and an honest one
    assert "residual 1e-03" in text


def split(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_profile_is_drawn(suite, tmp_path):
    pytest.importorskip("matplotlib")
    suite.draw(ROWS, tmp_path)
    assert (tmp_path / suite.PICTURE).read_bytes().startswith(b"\x89PNG")


def run_point(case, point, tmp_path):
    """Measure in a process of its own, as the driver does."""
    done = subprocess.run(
        [sys.executable, BENCH / "run.py", case, "--point", json.dumps(point)],
        env=os.environ | {"BUILD": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_points_of_lsh_run(tmp_path, monkeypatch):
    """With and without the peers; more is found with more probes, and all by measuring all."""
    monkeypatch.syspath_prepend(BENCH)
    from cases import lsh

    size = {"features": 64, "threads": 1, "rows": 2000}
    rows = [
        {"task": task, **what, **size, **run_point("lsh", {"task": task, **what, **size}, tmp_path)}
        for task, what in (
            ("hash", {"bits": 64}),
            ("search", {"data": "clusters"}),
            ("search", {"data": "uniform"}),
        )
    ]
    probed = [one["recall"] for name, one in rows[1]["found"].items() if "probes" in name]
    assert probed == sorted(probed)
    ranked = [one["recall"] for name, one in rows[2]["found"].items() if "candidates" in name]
    assert ranked[-1] > 0.999  # 2000 candidates of 2000 points
    text = lsh.render(rows)
    assert all(name in text for row in rows[1:] for name in row["found"])


def test_a_point_of_the_suite_runs(tmp_path):
    """In a process of its own; peers that are not installed say so."""
    row = run_point("suite", {"family": "2-D Poisson", "rows": 400, "threads": 1}, tmp_path)
    found = row["solvers"]["pympf"]
    assert "failure" not in found
    assert found["true_residual"] <= 2e-8
    assert found["total_s"] >= found["solve_s"] > 0
    for name, peer in row["solvers"].items():
        failure = peer.get("failure", "")
        assert not failure or failure.startswith("not installed"), (name, failure)


@pytest.fixture
def unit_costs(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    from cases import unit_costs

    return unit_costs


def costs_of_known_numbers(rows, nnz, half):
    """As the case `unit_costs` would measure them."""
    setup, step = 50 + 3e5 / nnz, 2 + 15 * rows / nnz
    entries, work = (3 + rows % 7) * nnz, (9 + rows % 5) * nnz * rows**0.5
    direct = 90 + (100 * rows + 60 * entries + 0.04 * work) / nnz
    return {
        **{"unknowns": rows, "nnz": nnz, "half": half, "levels": "levels_steps"},
        "costs": {
            "jacobi": {"setup": 2.0, "step": 1.5, "steps": 100 + rows % 97},
            "ict": {"setup": setup, "step": step, "steps": 6 + 0.25 * (100 + rows % 97)},
            "multilevel": {"setup": 3 * setup, "step": 3 * step, "steps": 9},
            "cholmod": {
                **{"setup": direct, "step": 4 * entries / nnz, "steps": 1},
                **{"entries": entries, "work": work},
            },
        },
    }


def test_unit_costs_are_found_again_by_each_half(unit_costs):
    rows = [
        costs_of_known_numbers(int(n), int(n * k), ("even", "odd")[(n + k) % 2])
        for n in (1000, 2117, 5231, 9402, 20011)
        for k in (5, 7, 12, 30)
    ]
    known = {
        **{"factor_setup.entry": 50, "factor_setup.fixed": 3e5, "factor_step.row": 15},
        **{"levels_setup.entry": 150, "levels_step.entry": 6, "diagonal_step.entry": 1.5},
        **{"cholmod.order": 90, "cholmod.work": 0.04, "cholmod.step_entry": 4},
        "levels_steps": 9,
    }

    def regret(row, numbers, least, part):
        steps = least + part * row["costs"]["jacobi"]["steps"]
        return unit_costs._regret_of_diagonal(row, numbers, steps)

    for half in ("even", "odd"):
        fitting = [row for row in rows if row["half"] == half]
        found = unit_costs.fitted(fitting)
        assert {name: pytest.approx(found[name], rel=1e-3) for name in known} == known
        assert not any(name.startswith("mumps") for name in found)  # no row has it
        iterations = found["factor_least"], found["factor_part"]
        numbers = _float64.unit_costs() | found
        tried = [iterations, (6, 0.25), (2, 0.15), (16, 0.8)]
        regrets = [[regret(row, numbers, *guess) for row in fitting] for guess in tried]
        by_fit, *by_others = np.log(regrets).mean(axis=1)
        assert by_fit <= min(by_others)
        assert by_fit < max(by_others)
    assert "| factor_setup.entry | 55 | 50 | 50 | 50 |" in unit_costs.render(rows)


def honest_row(side, seconds, threads=1, **failures):
    known = {"system": "s", "rows": 10, "unknowns": 9, "half": "even", "threads": threads}
    times = {name: {"total_s": s, "wall_s": s / threads} for name, s in seconds.items()}
    for name, why in failures.items():
        times[name]["failure"] = why
    return known | {"side": side, "solvers": times}


def test_held_out_ratios_are_over_peers_and_regrets_over_our_own(unit_costs):
    from cases import honest

    ours = {"pympf": 3.0, "pympf as shipped": 2.0, "jacobi": 2.5, "ict": 1.0}
    peers = {"CG ICC": 1.5, "CHOLMOD": 0.5}
    rows = [
        honest_row("peers", peers, CHOLMOD="residual 1e-3"),
        honest_row("ours", ours, ict="time limit"),
        honest_row("ours", ours, 2),
    ]
    text = honest.render(rows)
    assert "| 10 | 1 | all | 1 | 1 | 2 | 2 | 1.2 | 1.2 | 1 | 1.33 | 1.33 | 0.8 | 0.8 |" in text
    assert "| 10 | 2 | odd | 0 |" in text
    assert "| s | even | 9 | 1 | 3 000 | jacobi 2 500 | CG ICC 1 500 | 1.2 | 2 |" in text
    assert "| s | even | 9 | 2 | 1 500 | ict 500 | – | 3 | – |" in text


def test_a_system_of_the_honest_suite_is_solved_by_all_sides(unit_costs, monkeypatch, tmp_path):
    pytest.importorskip("skfem")
    case = __import__("cases.honest", fromlist=["honest"])
    rows = [point | run_point("honest", point, tmp_path) for point in case.points(tiny=True)]
    assert [row["side"] for row in rows] == ["peers", "ours"]
    ours = rows[1]["solvers"]
    failed = {name for name, found in ours.items() if "failure" in found}
    assert failed == (set() if core.factor_backends()["definite"] else {"direct"}), ours
    assert {"pympf", "pympf as shipped", "jacobi", "ict", "multilevel", "direct"} == set(ours)
    assert "Q1 quads" in case.render(rows)


@pytest.mark.parametrize("name", ["compare", "lsh_suggest"])
def test_points_of_the_choosing_cases_run(name, tmp_path, monkeypatch):
    """What is advised or suggested is measured again, and stands in the table."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(BENCH)
    case = __import__(f"cases.{name}", fromlist=[name])
    (point,) = case.points(tiny=True)
    row = point | run_point(name, point, tmp_path)
    text = case.render([row])
    if name == "compare":
        assert row["advised"] in row["again_s"]
        assert row["ratio_again"] >= 1
        assert row["advised"] in text
    else:
        chosen = [found for search, found in row["found"].items() if search.startswith("suggest")]
        assert len(chosen) == 4
        assert all(found["recall"] > 0.85 for found in chosen)
        assert all(search in text for search in row["found"])


def test_cases_end_well(tmp_path):
    """In processes of their own, as in a real run; a crash at the end would lose the point."""
    for name in ("apply", "work"):
        done = subprocess.run(
            [sys.executable, BENCH / "run.py", name, "--tiny"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


NETWORKS = ["lsh_networks", "lsh_forward", "depth", "modular", "modular_samples", "modular_images"]
NETWORKS += ["patches", "patches_speed", "patches_tasks", "attribution_tables"]
NETWORKS += ["wavelets", "table22"]


@pytest.mark.parametrize("name", NETWORKS)
def test_cases_of_the_networks_measure_render_and_draw(name, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(BENCH)
    case = __import__(f"cases.{name}", fromlist=[name])
    rows = [point | case.run(**point) for point in case.points(tiny=True)]
    json.dumps(rows, allow_nan=False)
    text = case.render(rows)
    for table in text.split("\n\n"):
        counts = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(counts) <= 1, table  # every line has the cells of its header
    if not hasattr(case, "draw"):
        return
    pytest.importorskip("matplotlib")
    case.draw(rows, tmp_path)
    assert list(tmp_path.glob("*.png"))
