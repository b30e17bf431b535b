"""Obstacles to depth compression: networks of bounded norm, parities, and what they show."""

from pympf.nets.depth.activations import triangle
from pympf.nets.depth.bounded import BoundedNetwork
from pympf.nets.depth.combinations import identity, product
from pympf.nets.depth.compress import Distilled, compress, distill
from pympf.nets.depth.compression import CompressionError, compression_error
from pympf.nets.depth.distributions import CubeFace, Finite, Perturbation, total_variation
from pympf.nets.depth.local import (
    Ball,
    RadialWave,
    SliceError,
    gadget,
    locally_compressible,
    staggered,
)
from pympf.nets.depth.parities import (
    corners,
    influence,
    least_norm,
    parity,
    parity_tree,
    parity_values,
    random_corners,
)
from pympf.nets.depth.parity_learning import (
    HeavyParity,
    Parity,
    gf2_solve,
    goldreich_levin,
    goldreich_levin_pairs,
    heavy_parities,
    read_parity,
)
from pympf.nets.depth.queries import (
    Adversarial,
    least_complexity,
    ruled_out,
    statistical_dimension,
    vstat,
    vstat_samples,
    walsh_hadamard,
)
from pympf.nets.depth.reduction import (
    Adversary,
    RecoveryBounds,
    Theorem1,
    recover,
    recovery_bounds,
    separation,
    theorem1,
)

__all__ = [
    "Adversarial",
    "Adversary",
    "Ball",
    "BoundedNetwork",
    "CompressionError",
    "CubeFace",
    "Distilled",
    "Finite",
    "HeavyParity",
    "Parity",
    "Perturbation",
    "RadialWave",
    "RecoveryBounds",
    "SliceError",
    "Theorem1",
    "compress",
    "compression_error",
    "corners",
    "distill",
    "gadget",
    "gf2_solve",
    "goldreich_levin",
    "goldreich_levin_pairs",
    "heavy_parities",
    "identity",
    "influence",
    "least_complexity",
    "least_norm",
    "locally_compressible",
    "parity",
    "parity_tree",
    "parity_values",
    "product",
    "random_corners",
    "read_parity",
    "recover",
    "recovery_bounds",
    "ruled_out",
    "separation",
    "staggered",
    "statistical_dimension",
    "theorem1",
    "total_variation",
    "triangle",
    "vstat",
    "vstat_samples",
    "walsh_hadamard",
]
