"""Sparsely activated networks in numpy: data-dependent sparse models, LSH models, their theory.

A forward pass activates s of t units, and a routing function of the input chooses which: the
largest pre-activations, an expert, a unit of each block, or the buckets of locality-sensitive
hash tables [1]_.

>>> import numpy as np
>>> from pympf.nets import Cube, Hypercube, dsm
>>> f, X = Hypercube(4, seed=1), Cube(4).sample(4000)
>>> model = dsm(4, active=64, width=256).fit(X, f(X))
>>> Y = Cube(4).sample(500, seed=1)
>>> bool(((model.predict(Y) - f(Y)) ** 2).mean() < 0.1 * f(Y).var())
True

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", NeurIPS 2022.
"""

from typing import Any

from pympf.nets.architectures import (
    dense,
    dsm,
    interpolation,
    nearest_neighbors,
    random_hash,
    scaling,
    switch,
)
from pympf.nets.bounds import (
    DenseBound,
    SparseBound,
    dense_analytic_bound,
    dense_bound,
    forward_times,
    lsh_bound,
    lsh_manifold_bound,
    nonempty_buckets_bound,
)
from pympf.nets.cost import Cost
from pympf.nets.depth import (
    Adversarial,
    Adversary,
    Ball,
    BoundedNetwork,
    CompressionError,
    CubeFace,
    Distilled,
    Finite,
    HeavyParity,
    Parity,
    Perturbation,
    RadialWave,
    RecoveryBounds,
    SliceError,
    Theorem1,
    compress,
    compression_error,
    corners,
    distill,
    gadget,
    gf2_solve,
    goldreich_levin,
    goldreich_levin_pairs,
    heavy_parities,
    identity,
    influence,
    least_complexity,
    least_norm,
    locally_compressible,
    parity,
    parity_tree,
    parity_values,
    product,
    random_corners,
    read_parity,
    recover,
    recovery_bounds,
    ruled_out,
    separation,
    staggered,
    statistical_dimension,
    theorem1,
    total_variation,
    triangle,
    vstat,
    vstat_samples,
    walsh_hadamard,
)
from pympf.nets.layer import Layer
from pympf.nets.lsh import LSH
from pympf.nets.lstsq import least_squares
from pympf.nets.model import Model
from pympf.nets.modular import (
    MLP,
    Losses,
    Modular,
    Monolithic,
    PowerLaw,
    PowerLawFit,
    Pursuit,
    SampleComplexity,
    SineWaves,
    compose,
    fit_power_law,
    focus,
    kernel_objective,
    kernel_rule,
    linear_loss,
    modular_loss,
    project,
    pseudo_inverse_moment,
    pseudo_inverse_sample,
    pursuit,
    random_similarity,
    sample_complexities,
    sample_complexity,
    samples_limit,
    samples_needed,
    screened,
    similarity,
)
from pympf.nets.routing import (
    Expert,
    Mask,
    Nearest,
    OnePerBlock,
    RandomHash,
    Separate,
    TopK,
)
from pympf.nets.rows import Rows
from pympf.nets.sparse_model import DSM
from pympf.nets.targets import (
    Bumps,
    Cube,
    Hypercube,
    Lipschitz,
    Manifold,
    Polynomial,
    Subspace,
    monomials,
)
from pympf.nets.train import SGD, Adam, Cosine, Exponential, RMSProp, descend, loss_and_gradient

__all__ = [
    "DSM",
    "LSH",
    "MLP",
    "SGD",
    "Adam",
    "Adversarial",
    "Adversary",
    "Ball",
    "BoundedNetwork",
    "Bumps",
    "CompressionError",
    "Cosine",
    "Cost",
    "Cube",
    "CubeFace",
    "DSMRegressor",
    "DenseBound",
    "Distilled",
    "Expert",
    "Exponential",
    "Finite",
    "HeavyParity",
    "Hypercube",
    "LSHRegressor",
    "Layer",
    "Lipschitz",
    "Losses",
    "Manifold",
    "Mask",
    "Model",
    "Modular",
    "Monolithic",
    "Nearest",
    "OnePerBlock",
    "Parity",
    "Perturbation",
    "Polynomial",
    "PowerLaw",
    "PowerLawFit",
    "Pursuit",
    "PursuitRegressor",
    "RMSProp",
    "RadialWave",
    "RandomHash",
    "RecoveryBounds",
    "Rows",
    "SampleComplexity",
    "Separate",
    "SineWaves",
    "SliceError",
    "SparseBound",
    "Subspace",
    "Theorem1",
    "TopK",
    "compose",
    "compress",
    "compression_error",
    "corners",
    "dense",
    "dense_analytic_bound",
    "dense_bound",
    "descend",
    "distill",
    "dsm",
    "fit_power_law",
    "focus",
    "forward_times",
    "gadget",
    "gf2_solve",
    "goldreich_levin",
    "goldreich_levin_pairs",
    "heavy_parities",
    "identity",
    "influence",
    "interpolation",
    "kernel_objective",
    "kernel_rule",
    "least_complexity",
    "least_norm",
    "least_squares",
    "linear_loss",
    "locally_compressible",
    "loss_and_gradient",
    "lsh_bound",
    "lsh_manifold_bound",
    "modular_loss",
    "monomials",
    "nearest_neighbors",
    "nonempty_buckets_bound",
    "parity",
    "parity_tree",
    "parity_values",
    "product",
    "project",
    "pseudo_inverse_moment",
    "pseudo_inverse_sample",
    "pursuit",
    "random_corners",
    "random_hash",
    "random_similarity",
    "read_parity",
    "recover",
    "recovery_bounds",
    "ruled_out",
    "sample_complexities",
    "sample_complexity",
    "samples_limit",
    "samples_needed",
    "scaling",
    "screened",
    "separation",
    "similarity",
    "staggered",
    "statistical_dimension",
    "switch",
    "theorem1",
    "total_variation",
    "triangle",
    "vstat",
    "vstat_samples",
    "walsh_hadamard",
]

ESTIMATORS = ("DSMRegressor", "LSHRegressor", "PursuitRegressor")


def __getattr__(name: str) -> Any:
    """Import the estimators when they are asked for: they need scikit-learn."""
    if name in ESTIMATORS:
        from pympf.nets import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
