"""Modular networks: their scaling laws, tasks, batches of networks, projections and models.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity".
"""

from pympf.nets.modular.mlp import MLP
from pympf.nets.modular.scaling_laws import (
    Losses,
    PowerLaw,
    PowerLawFit,
    fit_power_law,
    linear_loss,
    modular_loss,
    pseudo_inverse_moment,
    pseudo_inverse_sample,
    samples_limit,
    samples_needed,
)
from pympf.nets.modular.tasks import SineWaves, compose, project

__all__ = [
    "MLP",
    "Losses",
    "PowerLaw",
    "PowerLawFit",
    "SineWaves",
    "compose",
    "fit_power_law",
    "linear_loss",
    "modular_loss",
    "project",
    "pseudo_inverse_moment",
    "pseudo_inverse_sample",
    "samples_limit",
    "samples_needed",
]
