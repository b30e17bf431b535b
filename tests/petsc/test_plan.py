"""The same plan from Python, the command line and PETSc, for every family of the suite."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery, io
from pympf.cli import main

BENCH = Path(__file__).parents[2] / "bench"
ROWS = 1000

SYSTEMS = {
    "grid in the plane": lambda: gallery.poisson((60, 60)),
    "grid in space": lambda: gallery.poisson((12, 12, 12)),
    "easy": lambda: gallery.shifted(gallery.poisson((40, 40)), 4),
    "anisotropic": lambda: gallery.anisotropic(50),
    "network": lambda: gallery.laplacian(gallery.barabasi_albert(1500, 3, seed=1), shift=0.1),
    "few rows": lambda: gallery.poisson((9, 9)),
}


def of_bench(module, table):
    """The systems that a module of the benchmarks names; none where it cannot be had."""
    if not BENCH.is_dir():
        return {}
    sys.path.insert(0, str(BENCH))
    try:
        return getattr(importlib.import_module(module), table)
    except ImportError:  # scikit-fem, which only the benchmarks need
        return {}
    finally:
        sys.path.remove(str(BENCH))


FAMILIES = of_bench("families", "FAMILIES")
ELEMENTS = of_bench("elements", "ELEMENTS")


def check_one_plan(A, solves, PETSc, mat, folder, capsys):
    A = sp.csr_array(A)
    io.write_matrix("A.mtx", A)
    main(["solve", "A.mtx", "--solves", str(solves), "--json"])
    printed = json.loads(capsys.readouterr().out)["plan"]
    solved = pympf.solve(A, np.ones(A.shape[0]), solves=solves).plan.as_dict()
    assert printed == solved  # of the same right-hand side, ones

    M = pympf.as_preconditioner(A, solves=solves)
    text = seen_by_petsc(A, solves, PETSc, mat, folder)
    assert f"method {M.plan.method}: {M.plan.reason}" in text
    totals = [
        "-" if np.isinf(total := o.setup / solves + o.step * o.steps) else str(int(total + 0.5))
        for o in M.plan.offers
    ]
    assert ", ".join(f"{o.method} {t}" for o, t in zip(M.plan.offers, totals, strict=True)) in text
    return M.plan, solved


def seen_by_petsc(A, solves, PETSc, mat, folder):
    pc = PETSc.PC().create()
    pc.setOptionsPrefix("same_plan_")
    options = PETSc.Options()
    options["same_plan_pc_mmf_solves"] = solves
    pc.setType("mmf")
    pc.setOperators(mat(A))
    pc.setFromOptions()
    pc.setUp()
    viewer = PETSc.Viewer().createASCII("view.txt")
    pc.view(viewer)
    viewer.flush()
    options.delValue("same_plan_pc_mmf_solves")
    pc.destroy()
    return (folder / "view.txt").read_text()


@pytest.mark.parametrize("solves", [1, 100])
@pytest.mark.parametrize("name", SYSTEMS)
def test_one_plan_from_all_ways_in(name, solves, PETSc, mat, tmp_path, monkeypatch, capsys):
    """A solve takes what the preconditioner is, but where its run with the diagonal suffices."""
    monkeypatch.chdir(tmp_path)
    made, solved = check_one_plan(SYSTEMS[name](), solves, PETSc, mat, tmp_path, capsys)
    offers = made.as_dict()["offers"]
    if solved["method"] == "jacobi" and solves == 1:  # its own run says how many steps it takes
        costs = [
            [(o["method"], o["setup"], o["step"]) for o in each]
            for each in (solved["offers"], offers)
        ]
        assert costs[0] == costs[1]
    else:
        assert solved["method"] == made.method
        assert solved["reason"] == made.reason
        assert solved["offers"] == offers


@pytest.mark.parametrize("family", FAMILIES)
def test_one_plan_for_each_family(family, PETSc, mat, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_one_plan(FAMILIES[family](ROWS), 1, PETSc, mat, tmp_path, capsys)


@pytest.mark.parametrize("element", ELEMENTS)
def test_one_plan_for_each_element(element, PETSc, mat, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check_one_plan(ELEMENTS[element](ROWS).A, 1, PETSc, mat, tmp_path, capsys)


def test_a_plan_that_the_command_line_printed_is_taken_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    io.write_matrix("A.mtx", gallery.poisson((110, 110)))
    assert main(["solve", "A.mtx", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    (tmp_path / "plan.json").write_text(json.dumps(first))
    assert main(["solve", "A.mtx", "--plan", "plan.json", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["plan"]["method"] == first["plan"]["method"]
    begun = 2  # with the diagonal, before there is a plan
    assert again["iterations"] == first["iterations"] - begun
    (tmp_path / "plan.json").write_text("no plan")
    assert main(["solve", "A.mtx", "--plan", "plan.json"]) != 0
    assert "plan.json" in capsys.readouterr().err
