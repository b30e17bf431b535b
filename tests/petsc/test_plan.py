"""The same plan from Python, the command line and PETSc."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery, io
from pympf.cli import main

SYSTEMS = {
    "grid in the plane": lambda: gallery.poisson((60, 60)),
    "grid in space": lambda: gallery.poisson((12, 12, 12)),
    "easy": lambda: gallery.shifted(gallery.poisson((40, 40)), 4),
    "anisotropic": lambda: gallery.anisotropic(50),
    "network": lambda: gallery.laplacian(gallery.barabasi_albert(1500, 3, seed=1), shift=0.1),
    "few rows": lambda: gallery.poisson((9, 9)),
}


@pytest.mark.parametrize("solves", [1, 100])
@pytest.mark.parametrize("name", SYSTEMS)
def test_one_plan_from_all_ways_in(name, solves, PETSc, mat, tmp_path, monkeypatch, capsys):
    A = sp.csr_array(SYSTEMS[name]())
    M = pympf.as_preconditioner(A, solves=solves)
    monkeypatch.chdir(tmp_path)
    io.write_matrix("A.mtx", A)
    assert main(["solve", "A.mtx", "--solves", str(solves), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)["plan"]
    solved = pympf.solve(A, np.ones(A.shape[0]), solves=solves).plan
    for plan in (printed, solved.as_dict()):
        assert (plan["method"], plan["reason"]) == (M.plan.method, M.plan.reason)
        assert plan["offers"] == M.plan.as_dict()["offers"]

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
    text = (tmp_path / "view.txt").read_text()
    assert f"method {M.plan.method}: {M.plan.reason}" in text
    totals = [
        "-" if np.isinf(total := o.setup / solves + o.step * o.steps) else f"{total:.0f}"
        for o in M.plan.offers
    ]
    assert ", ".join(f"{o.method} {t}" for o, t in zip(M.plan.offers, totals, strict=True)) in text


def test_a_plan_that_the_command_line_printed_is_taken_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    io.write_matrix("A.mtx", gallery.poisson((60, 60)))
    assert main(["solve", "A.mtx", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    (tmp_path / "plan.json").write_text(json.dumps(first))
    assert main(["solve", "A.mtx", "--plan", "plan.json", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["plan"]["method"] == first["plan"]["method"]
    assert again["iterations"] == first["iterations"]
    (tmp_path / "plan.json").write_text("no plan")
    assert main(["solve", "A.mtx", "--plan", "plan.json"]) != 0
    assert "plan.json" in capsys.readouterr().err
