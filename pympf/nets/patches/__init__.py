"""Model patches [1]_: small sets of weights that re-purpose a network.

References
----------
.. [1] P. K. Mudrakarta, M. Sandler, A. Zhmoginov, A. Howard, "K for the price of 1:
   parameter-efficient multi-task and transfer learning", ICLR 2019; the thesis's chapter 4.
"""

from typing import Any

from pympf.nets.patches.architectures import mobilenet_v2, residual_network
from pympf.nets.patches.convolution import Convolution, Depthwise, Linear, Pointwise
from pympf.nets.patches.folding import (
    components,
    convex_hull_keeps_class,
    fold_function,
    preimage,
)
from pympf.nets.patches.images import ImageSet, digits, load_images, resize
from pympf.nets.patches.layers import BatchNorm, Chain, GlobalMean, Layer, Pass, ReLU6, Residual
from pympf.nets.patches.model import cross_entropy
from pympf.nets.patches.network import Network
from pympf.nets.patches.patches import DepthwiseFilters, LastLayer, Patch, ScaleBias
from pympf.nets.patches.scales import ScaleBiasNetwork
from pympf.nets.patches.scenes import SHAPES, Scenes
from pympf.nets.patches.server import TaskTraining, train_tasks
from pympf.nets.patches.tasks import Task
from pympf.nets.patches.transfer import SETS, Transferred, patch_of, transfer

__all__ = [
    "SETS",
    "SHAPES",
    "BatchNorm",
    "Chain",
    "Convolution",
    "Depthwise",
    "DepthwiseFilters",
    "GlobalMean",
    "ImageSet",
    "LastLayer",
    "Layer",
    "Linear",
    "Network",
    "Pass",
    "Patch",
    "PatchClassifier",
    "Pointwise",
    "ReLU6",
    "Residual",
    "ScaleBias",
    "ScaleBiasNetwork",
    "Scenes",
    "Task",
    "TaskTraining",
    "Transferred",
    "components",
    "convex_hull_keeps_class",
    "cross_entropy",
    "digits",
    "fold_function",
    "load_images",
    "mobilenet_v2",
    "patch_of",
    "preimage",
    "residual_network",
    "resize",
    "train_tasks",
    "transfer",
]


def __getattr__(name: str) -> Any:
    """Import the estimator when it is asked for: it needs scikit-learn."""
    if name == "PatchClassifier":
        from pympf.nets.patches import estimator

        return estimator.PatchClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
