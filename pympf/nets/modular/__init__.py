"""Modular networks [1]_: their scaling laws, tasks, batches of networks, projections and models.

References
----------
.. [1] A. Boopathy, S. Jiang, W. Yue, J. Hwang, A. Iyer, I. Fiete, "Breaking neural network scaling
   laws with modularity".
"""

from pympf.nets.modular.kernel_rule import kernel_objective, kernel_rule
from pympf.nets.modular.mlp import MLP
from pympf.nets.modular.models import Modular, Monolithic
from pympf.nets.modular.projections import focus, random_similarity, screened, similarity
from pympf.nets.modular.pseudo_inverse import pseudo_inverse_moment, pseudo_inverse_sample
from pympf.nets.modular.pursuit import Pursuit, pursuit
from pympf.nets.modular.sample_complexity import (
    SampleComplexity,
    sample_complexities,
    sample_complexity,
)
from pympf.nets.modular.scaling_laws import (
    Losses,
    PowerLawFit,
    fit_power_law,
    linear_loss,
    modular_loss,
    samples_limit,
    samples_needed,
)
from pympf.nets.modular.spectra import PowerLaw
from pympf.nets.modular.tasks import SineWaves, compose, project

__all__ = [
    "MLP",
    "Losses",
    "Modular",
    "Monolithic",
    "PowerLaw",
    "PowerLawFit",
    "Pursuit",
    "SampleComplexity",
    "SineWaves",
    "compose",
    "fit_power_law",
    "focus",
    "kernel_objective",
    "kernel_rule",
    "linear_loss",
    "modular_loss",
    "project",
    "pseudo_inverse_moment",
    "pseudo_inverse_sample",
    "pursuit",
    "random_similarity",
    "sample_complexities",
    "sample_complexity",
    "samples_limit",
    "samples_needed",
    "screened",
    "similarity",
]
