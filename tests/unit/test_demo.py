"""The demo on a part of its picture: what it solves, prints and draws."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from pympf import demo, factorize, gallery
from pympf.demo import _figure, _scenes, _trials
from pympf.demo._problem import BACKGROUND, FOREGROUND, Problem
from pympf.demo._scenes import CAMERA, RETINA, Scene, Window

pytest.importorskip("skimage", reason="scikit-image ships the pictures of the demo")
image = pytest.importorskip("matplotlib.image", reason="matplotlib draws the picture of the demo")

PART = Window(190, 90, 112)
"""Head, camera and sky."""
ACCURACY = 1e-3
"""Of a probability: pixels that all their edges cut off have an eigenvalue of about 4e-6, which
magnifies a residual of 1e-8; at most others the error is far smaller."""


@dataclass(frozen=True)
class PartOfScene(Scene):
    """A scene whose picture ends at PART, beyond which all is background."""

    def problem(self):
        return super().problem().window(*PART)


@pytest.fixture(scope="module")
def scene():
    scene = PartOfScene(**vars(CAMERA))
    detail = Window(CAMERA.detail.x - PART.x, CAMERA.detail.y - PART.y, CAMERA.detail.size)
    return replace(scene, focus=Window(4, 8, 96), detail=detail)


@pytest.fixture(scope="module")
def problem(scene):
    return scene.problem()


@pytest.fixture(scope="module")
def trials(problem):
    return {name: solver(problem.A, problem.b) for name, solver in _trials.solvers().items()}


@pytest.fixture
def on_a_part(monkeypatch, scene):
    monkeypatch.setattr(demo, "CAMERA", scene)


# The strokes and the system


def labels_of(strokes, shape):
    labels = np.zeros(shape, np.int64)
    _scenes.draw_strokes(labels, strokes, FOREGROUND)
    return labels


def test_a_stroke_is_two_pixels_wide():
    expected = [[0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(labels_of("1,1 3,1", (4, 5)), expected)


def test_a_stroke_outside_is_cut():
    np.testing.assert_array_equal(labels_of("-3,0 0,0\n2,1 9,1", (2, 3)), [[1, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("scene", [CAMERA, RETINA], ids=lambda scene: scene.name)
def test_strokes_of_the_two_labels_do_not_meet(scene):
    import skimage.data

    shape = getattr(skimage.data, scene.name)().shape[:2]
    foreground, background = (labels_of(s, shape) for s in (scene.foreground, scene.background))
    assert foreground.any()
    assert background.any()
    assert not (foreground & background).any()


def test_the_pictures_are_large_enough():
    import skimage.data

    assert skimage.data.camera().size >= 200_000
    assert skimage.data.retina()[..., 0].size >= 1_900_000


def test_window_is_a_principal_submatrix():
    rng = np.random.default_rng(0)
    labels = np.zeros((5, 6), np.int64)
    labels[0, 0], labels[2, 3], labels[4, 5] = FOREGROUND, BACKGROUND, BACKGROUND
    whole = Problem.of(rng.integers(0, 256, (5, 6), np.uint8), labels, beta=1)
    part = whole.window(2, 1, 3)
    pixels = [8, 9, 10, 14, 16, 20, 21, 22]  # without the label at 15
    rows = np.searchsorted(whole.pixels, pixels)
    np.testing.assert_array_equal(part.A.toarray(), whole.A.toarray()[np.ix_(rows, rows)])
    np.testing.assert_array_equal(part.b, whole.b[rows])
    np.testing.assert_array_equal(part.pixels, [0, 1, 2, 3, 5, 6, 7, 8])
    np.testing.assert_array_equal(part.picture, whole.picture[1:4, 2:5])
    assert part.probability(np.full(8, 0.5))[1, 1] == 0


def test_colours_are_segmented_by_their_green():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (4, 4, 3), np.uint8)
    labels = np.diag([FOREGROUND, 0, 0, BACKGROUND])
    green = Problem.of(picture[..., 1], labels, beta=10)
    assert (Problem.of(picture, labels, beta=10).A != green.A).nnz == 0


# The solvers and the segmentation


def test_all_solvers_converge_to_the_same(trials):
    exact = trials[_trials.LU].x
    for name, trial in trials.items():
        assert trial.converged, name
        assert trial.true_residual <= _trials.RTOL * (1 + 1e-6), name
        np.testing.assert_allclose(trial.x, exact, rtol=0, atol=ACCURACY, err_msg=name)


def test_mmf_needs_fewer_iterations_than_the_classic_one_and_that_than_none(trials):
    names = (_trials.MMF, _trials.CLASSIC, _trials.PLAIN)
    few, more, most = (trials[name].iterations for name in names)
    assert few < 30
    assert few < more < most
    assert trials[_trials.MMF].report.method in ("multilevel", "ict")
    assert trials[_trials.CLASSIC].report.rows == len(trials[_trials.MMF].x)


@pytest.mark.parametrize(("solver", "accuracy"), [(_trials.LU, 1e-12), (_trials.MMF, ACCURACY)])
def test_probabilities(problem, trials, solver, accuracy):
    """The discrete maximum principle: a harmonic function lies between its boundary values."""
    p = problem.probability(trials[solver].x)
    assert p.min() >= -accuracy
    assert p.max() <= 1 + accuracy
    assert (p[problem.labels == FOREGROUND] == 1).all()
    assert (p[problem.labels == BACKGROUND] == 0).all()


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [
        (240, 110, True),  # hair
        (215, 165, True),  # cheek
        (290, 158, True),  # camera
        (280, 100, False),  # sky
        (295, 125, False),  # sky
        (255, 188, False),  # sky between chin and camera
    ],
)
def test_segmentation(problem, trials, x, y, inside):
    p = problem.probability(trials[_trials.MMF].x)
    assert problem.labels[y - PART.y, x - PART.x] == 0
    assert (p[y - PART.y, x - PART.x] > 0.5) == inside


# What it prints and draws


def test_run(on_a_part, tmp_path, capsys):
    assert demo.run(output=tmp_path / "new") == 0
    picture = image.imread(tmp_path / "new" / "demo.png")
    assert picture.shape[:2] == (1320, 1600)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["demo.png"]
    out = capsys.readouterr().out
    for name in _trials.solvers():
        assert f"\n{name}  " in out
    assert "level       rows" in out
    assert str(tmp_path / "new" / "demo.png") in out


def test_run_json(on_a_part, tmp_path, capsys, problem):
    assert demo.run(output=tmp_path, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unknowns"] == len(problem.b)
    assert list(report["solvers"]) == list(_trials.solvers())
    for name in (_trials.MMF, _trials.CLASSIC):
        assert report["solvers"][name]["setup"]["rows"] == report["unknowns"]
    assert all(numbers["converged"] for numbers in report["solvers"].values())


def test_a_solver_that_is_cut_off(on_a_part, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(_trials, "MAX_ITERATIONS", 5)
    assert demo.run(output=tmp_path) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "CG + MMF  " in line)
    assert line.endswith("cut off: diverged_max_iterations")
    assert (tmp_path / "demo.png").exists()


def test_quiet(on_a_part, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "draw", lambda *arguments: None)
    assert demo.run(output=tmp_path, quiet=True) == 0
    assert capsys.readouterr().out == ""


def test_without_pyamg(monkeypatch):
    monkeypatch.setattr(_trials, "find_spec", lambda package: None)
    assert _trials.AMG not in _trials.solvers()


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda package: None)
    with pytest.raises(ImportError, match=r"needs matplotlib and skimage.*pmmf\[demo\]"):
        demo.run()


def test_owners():
    """Each row lies in the support of one function of the core, which the basis shows."""
    F = factorize(gallery.poisson((12, 12)), max_stages=3, core_size=1)
    functions = abs(F.basis()[F.level_slice(0)].toarray()) > 1e-9
    assert (functions.sum(axis=0) <= 1).all()
    expected = np.arange(1, F.core_size + 1) @ functions
    np.testing.assert_array_equal(_figure._owners(F), expected)
