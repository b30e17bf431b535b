"""The benchmarks run, their systems are what their names say, and their tables count right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse.linalg

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
