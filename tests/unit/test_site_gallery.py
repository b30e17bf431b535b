"""The scripts of docs/gallery run, draw, and find what is right; the programs: tests/petsc."""

import runpy
from pathlib import Path

import numpy as np
import pytest

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"

# What must hold of the variables that a script ends with.
RIGHT = {
    "attention": lambda v: v["error"] < 0.1 < 0.7 < v["low_rank"],
    "elasticity": lambda v: v["error"] < 1e-7 and max(v["told"].values()) < 20,
    "gaussian_process": lambda v: v["error"] < 4 and v["best"] == 6.0 and v["rms"] < 0.1,
    "heat": lambda v: v["error"] < 1e-7 and max(v["iterations"]) < 12,
    "near_duplicates": lambda v: v["recall"][-1] > 0.99 and v["original"] > 0.99,
    "patched_network": lambda v: (
        v["before"] == v["after"] > 0.9 and v["scores"]["+ depthwise filters"] > 0.85
    ),
    "power_grid": lambda v: (
        abs(v["total"] / (v["n"] - 1) - 1) < 0.02 and v["error"] < np.sqrt(2 / v["k"])
    ),
    "question": lambda v: v["worst"] < 0.01 and len(v["found"].selections) >= 2,
    "right_hand_sides": lambda v: v["same"] and v["off"] < 10 and v["together"].converged,
    "segmentation": lambda v: v["error"] < 1e-5 and v["solution"].converged,
    "sketch_repository": lambda v: (
        v["right"][0] > 0.9 * v["exact"] and np.diff(v["sizes"]).max() < 0
    ),
    "spectral_clustering": lambda v: v["error"] < 1e-6 and v["by_sign"] > 0.9 > v["by_means"],
    "transport": lambda v: v["error"] < 1e-6 and v["solution"].iterations < 20,
}
NEEDS = {"elasticity": "skfem"}


@pytest.mark.parametrize("script", sorted(GALLERY.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_finds_what_is_right(script, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if script.stem in NEEDS:
        pytest.importorskip(NEEDS[script.stem])
    matplotlib.use("Agg")
    (tmp_path / "data").symlink_to(GALLERY.parents[1] / "data")
    monkeypatch.chdir(tmp_path)
    with threadpoolctl.threadpool_limits(1):
        found = runpy.run_path(str(script))
    matplotlib.pyplot.close("all")
    assert RIGHT[script.stem](found)
    picture = matplotlib.image.imread(tmp_path / f"{script.stem}.png")
    assert min(picture.shape[:2]) >= 200
    assert picture[..., :3].std() > 0.05, "the picture is empty"


def test_a_script_begins_with_what_a_reader_learns():
    for script in GALLERY.glob("*.py"):
        text = script.read_text()
        assert "You learn" in text.split('"""')[1], script
        assert len(text.splitlines()) <= 75, script
