"""`PatchClassifier` keeps scikit-learn's rules."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from pympf.nets.patches import PatchClassifier, digits, residual_network

BLOCKS = [(1, 4, 1), (2, 8, 2), (2, 8, 1)]


@parametrize_with_checks([PatchClassifier(), PatchClassifier(patch="last")])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def images():
    found = digits(n_test=400)
    flat = [X.reshape(len(X), -1) for X in (found.X_train[:500], found.X_test)]
    return flat[0], found.y_train[:500], flat[1], found.y_test


@pytest.fixture(scope="module")
def base(images):
    """Pretrained to tell whether a digit is below 5."""
    X, y, _, _ = images
    net = residual_network((1, 8, 8), 2, BLOCKS, stem=8, stem_stride=1, head=32)
    return net.fit(X.reshape(-1, 1, 8, 8), (y < 5).astype(int), epochs=6, batch=32)


def test_images_are_told_with_and_without_a_base(images, base):
    X, y, X_test, y_test = images
    options = {"epochs": 8, "random_state": 0}
    alone = PatchClassifier((1, 8, 8), patch="all", **options).fit(X, y)
    assert alone.score(X_test, y_test) > 0.8
    patched = PatchClassifier(base=base, learning_rate=0.03, **options).fit(X, y)
    assert patched.network_.active_patch == "fitted"
    assert base.patches == {}
    again = PatchClassifier(base=patched.network_, patch="last", **options).fit(X, y)
    assert list(again.network_.patches) == ["fitted"]
    assert patched.score(X_test, y_test) > 0.4  # of ten classes, from two


def test_figure_4_5_is_a_grid_search(images, base):
    X, y, _, _ = images
    pipeline = make_pipeline(FunctionTransformer(), PatchClassifier(base=base, random_state=0))
    grid = {
        "patchclassifier__patch": ["last", "scale-bias+last"],
        "patchclassifier__learning_rate": [0.001, 0.03],
        "patchclassifier__epochs": [2],
    }
    search = GridSearchCV(pipeline, grid, cv=2).fit(X[:200], y[:200])
    assert search.best_params_["patchclassifier__learning_rate"] == 0.03
    assert clone(pipeline).fit(X[:100], y[:100]).predict(X[:3]).shape == (3,)


def test_partial_fit_and_warm_start_go_on(images):
    X, y, X_test, y_test = images
    options = {"patch": "all", "random_state": 0, "learning_rate": 0.003}
    model, scores = PatchClassifier((1, 8, 8), **options), []
    for _ in range(4):
        model.partial_fit(X, y, classes=np.arange(10))
        scores.append(model.score(X_test, y_test))
    assert scores[-1] > scores[0]
    model = PatchClassifier((1, 8, 8), epochs=1, warm_start=True, **options)
    first = model.fit(X, y).network_
    losses = first.losses
    assert model.fit(X, y).network_ is first
    assert first.losses[0] < losses[0]
    model.set_params(warm_start=False)
    assert_array_equal(model.fit(X, y).network_.losses, losses)


def test_bad_input(images, base):
    X, y, _, _ = images
    with pytest.raises(ValueError, match=r"64 numbers for shape \(1, 8, 8\), got 60"):
        PatchClassifier((1, 8, 8)).fit(X[:, :60], y)
    with pytest.raises(ValueError, match="scale-bias\\+last"):
        PatchClassifier(patch="bias").fit(X, y)
    with pytest.raises(TypeError, match="Network"):
        PatchClassifier(base="mobilenet").fit(X, y)
    with pytest.raises(ValueError, match="classes in the first call"):
        PatchClassifier(base=base).partial_fit(X, y)
    model = PatchClassifier(base=base, random_state=0).partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match="expected labels of"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="n_samples=1"):
        model.fit(X[:1], y[:1])


def test_the_room_needs_no_scikit_learn(tmp_path):
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from pympf.nets import patches\n"
        "patches.residual_network((3, 16, 16), 10)\n"
        "try:\n    patches.PatchClassifier\nexcept ImportError:\n    print('ok')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "ok", done.stderr
