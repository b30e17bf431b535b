"""Every public class of the networks that is evaluated comes back from a pickle to the last bit."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf import nets
from pympf.lsh import HyperplaneHash

POINTS = np.random.default_rng(0).standard_normal((40, 3))
VALUES = np.sin(POINTS).sum(axis=1)
CLASSES = (POINTS[:, :2] > 0).astype(int)
BITS = np.sign(POINTS)


def first_sign(X):
    return np.sign(X[:, 0])


def normalized(seed):
    net = nets.MLP([3, 4, 1], copies=2, normalize=True, seed=seed)
    net.forward(np.stack([POINTS, POINTS[::-1]]))
    return net


def lsh(seed):
    return nets.LSH(HyperplaneHash(3, 2, seed=seed), degree=1).fit(POINTS, VALUES)


def bounded(seed):
    return nets.BoundedNetwork.random([3, 5, 1], seed=seed).fit(POINTS, VALUES, epochs=2)


def shared(seed):
    net = nets.Modular(3, 2, (4,), shared=True, bottleneck=2, outputs=(2, 2), seed=seed)
    return net.fit(POINTS, CLASSES, steps=2)


def distilled(seed):
    return nets.distill(bounded(seed), nets.BoundedNetwork.random([3, 4, 1]), POINTS, epochs=2)


def perturbed(seed):
    face = nets.CubeFace(3)
    return nets.Perturbation(face, np.eye(4)[3], 0.5, first_sign)


def first_two(X):
    return np.tile([0, 1], (len(X), 1))


def routed(routing, seed):
    """A model with this routing: what a routing gives is seen in what the model is."""
    rng = np.random.default_rng(seed)
    layer = nets.Layer(rng.standard_normal((8, 3)), routing=routing)
    return nets.DSM(layer, rng.standard_normal(8))


MAKERS = {
    nets.Adversary: lambda seed: nets.theorem1(3, 3.0, 4).adversary([0, 1], share=0.1, seed=seed),
    nets.BoundedNetwork: bounded,
    nets.Bumps: lambda seed: nets.Bumps(nets.Subspace(3, 2), height=1.0, seed=seed),
    nets.DSM: lambda seed: nets.dsm(3, 2, 8, seed=seed).fit(POINTS, VALUES),
    nets.Distilled: distilled,
    nets.Hypercube: lambda seed: nets.Hypercube(3, seed=seed),
    nets.Lipschitz: lambda seed: nets.Lipschitz(POINTS, seed=seed),
    nets.LSH: lsh,
    nets.MLP: normalized,
    nets.Modular: lambda seed: nets.Modular(3, 2, (4,), seed=seed).fit(POINTS, VALUES, steps=2),
    nets.Monolithic: lambda seed: nets.Monolithic(3, (4,), seed=seed).fit(POINTS, VALUES, steps=2),
    nets.Perturbation: perturbed,
    nets.Polynomial: lambda seed: nets.Polynomial(3, 2, seed=seed),
    nets.Pursuit: lambda seed: nets.pursuit(POINTS, VALUES, n_starts=20, patience=1, seed=seed),
    nets.RadialWave: lambda seed: nets.RadialWave(1.5),
    nets.SineWaves: lambda seed: nets.SineWaves(3, seed=seed),
    nets.Theorem1: lambda seed: nets.theorem1(3, 3.0, 4),
    shared: shared,
    nets.Expert: lambda seed: routed(nets.Expert(POINTS[:2]), seed),
    nets.Mask: lambda seed: routed(nets.Mask(first_two, 2), seed),
    nets.Nearest: lambda seed: routed(nets.Nearest(POINTS[:8]), seed),
    nets.OnePerBlock: lambda seed: routed(nets.OnePerBlock(4), seed),
    nets.RandomHash: lambda seed: routed(nets.RandomHash(2, seed=seed), seed),
    nets.Separate: lambda seed: routed(nets.Separate(np.tile(POINTS[:4], (2, 1)), 2), seed),
    nets.TopK: lambda seed: routed(nets.TopK(2), seed),
}
"""How to make one; `shared` is a second kind of `Modular`."""


def evaluated(model):
    if isinstance(model, nets.MLP):
        return model.predict(np.stack([POINTS, POINTS]))
    if isinstance(model, nets.Theorem1):
        return model.f(np.hstack([BITS, POINTS[:, :1]]))
    if isinstance(model, nets.Adversary):
        return model(np.hstack([BITS, POINTS[:, :1]]))
    if isinstance(model, nets.Perturbation):
        return model.sample(20, seed=3)
    if isinstance(model, nets.Distilled):
        return model.student(POINTS)
    return (model.predict if hasattr(model, "predict") else model)(POINTS)


def test_every_class_that_is_evaluated_has_a_maker():
    public = [
        getattr(room, name) for room in (nets, nets.depth, nets.modular) for name in room.__all__
    ]
    found = {
        kind
        for kind in public
        if inspect.isclass(kind) and not inspect.isabstract(kind)
        if kind.__module__.startswith("pympf.nets") and "estimators" not in kind.__module__
        if hasattr(kind, "predict") or "__call__" in vars(kind)
    }
    assert found - set(MAKERS) <= {nets.Layer, nets.Model}, found - set(MAKERS)


@pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31), protocol=st.sampled_from([2, 5]))
def test_a_pickle_and_a_copy_are_the_same_to_the_last_bit(kind, seed, protocol):
    model = MAKERS[kind](seed)
    value = np.asarray(evaluated(model))
    for again in (pickle.loads(pickle.dumps(model, protocol)), copy.deepcopy(model)):
        assert type(again) is type(model)
        np.testing.assert_array_equal(evaluated(again), value)


@pytest.mark.parametrize("kind", [nets.BoundedNetwork, nets.DSM, nets.Modular, nets.Monolithic])
def test_what_came_back_learns_on_by_itself(kind):
    model = MAKERS[kind](1)
    before = evaluated(model)
    again = pickle.loads(pickle.dumps(model))
    again.fit(POINTS, 2 * VALUES)
    assert not np.array_equal(evaluated(again), before)
    np.testing.assert_array_equal(evaluated(model), before)
