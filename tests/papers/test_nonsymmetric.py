"""Matrices that are not symmetric: convection and diffusion, walks, those of the collection."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import pympf
from pympf import gallery

SHARED = Path(os.environ.get("PYMPF_SHARED", Path(__file__).parents[3] / "shared"))
FOLDER = SHARED / "data" / "matrices"

# It is singular far beyond its nullity: no LU, incomplete LU or multigrid solves it, for any b.
UNSOLVED = {"rw5151"}


def solved(A, b):
    solution = pympf.solve(A, b, maxiter=500)
    assert solution.converged, solution.choice
    assert np.linalg.norm(b - A @ solution.x) <= 1e-7 * np.linalg.norm(b)
    return solution


@pytest.mark.parametrize("speed", [1.0, 1e2, 1e3, 1e4, 1e5])
@pytest.mark.parametrize("flow", ["constant", "recirculating"])
@pytest.mark.parametrize(("n", "dimensions"), [(128, 2), (24, 3)])
def test_convection_and_diffusion(n, dimensions, flow, speed, rng):
    A = gallery.convection_diffusion(n, speed, flow=flow, dimensions=dimensions)
    solution = solved(A, rng.standard_normal(A.shape[0]))
    report = solution.operator.report()
    assert solution.iterations <= 12
    assert report.operator_complexity <= 2.5
    assert report.setup_work + solution.iterations * (report.work + A.nnz) <= 140 * A.nnz


@pytest.mark.parametrize("speed", [1e2, 1e3, 1e4])
def test_jumps_of_a_million_are_no_harder(speed, rng):
    n = 128
    flow = gallery.convection_diffusion(n, speed) - gallery.convection_diffusion(n, 0.0)
    A = (gallery.disc(n) * (n + 1.0) ** 2 + flow).tocsr()
    assert solved(A, rng.standard_normal(n * n)).iterations <= 12


@pytest.mark.parametrize(("alpha", "most"), [(0.85, 6), (0.99, 10), (0.999, 14)])
def test_page_rank_on_a_directed_neighbour_graph(alpha, most, rng):
    P = gallery.directed_neighbours(30_000)
    A = (sp.eye_array(30_000) - alpha * P.T).tocsr()
    assert solved(A, rng.standard_normal(30_000)).iterations <= most


def collection():
    manifest = FOLDER / "MANIFEST.csv"
    if not manifest.is_file():
        skip = pytest.mark.skip(reason=f"no matrix collection at {FOLDER}: set PYMPF_SHARED")
        return [pytest.param(None, id="collection", marks=skip)]
    with open(manifest) as stream:
        return [
            pytest.param(entry["name"], id=entry["name"])
            for entry in csv.DictReader(stream)
            if entry["kind"] == "asym" and entry["rows"] == entry["cols"]
        ]


@pytest.mark.parametrize("name", collection())
def test_every_asymmetric_matrix_of_the_collection(name):
    A = pympf.io.read_matrix(FOLDER / "asym" / f"{name}.mtx.gz")
    b = A @ np.random.default_rng(0).standard_normal(A.shape[0])
    if name in UNSOLVED:
        solution = pympf.solve(A, b, maxiter=500)
        assert not solution.converged
        assert "A is singular to rounding" in solution.choice
        return
    solution = solved(A, b)
    assert solution.iterations <= 20  # watt_1: symmetric without its Dirichlet rows, by MINRES
