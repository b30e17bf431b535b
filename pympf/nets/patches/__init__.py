"""Model patches: small sets of weights that re-purpose a network.

References
----------
.. [1] P. K. Mudrakarta, M. Sandler, A. Zhmoginov, A. Howard, "K for the price of 1:
   parameter-efficient multi-task and transfer learning", ICLR 2019; the thesis's chapter 4.
"""

from pympf.nets.patches.convolution import Convolution, Depthwise, Linear, Pointwise
from pympf.nets.patches.layers import BatchNorm, Chain, GlobalMean, Layer, Pass, ReLU6, Residual
from pympf.nets.patches.network import Network, cross_entropy, mobilenet_v2, residual_network

__all__ = [
    "BatchNorm",
    "Chain",
    "Convolution",
    "Depthwise",
    "GlobalMean",
    "Layer",
    "Linear",
    "Network",
    "Pass",
    "Pointwise",
    "ReLU6",
    "Residual",
    "cross_entropy",
    "mobilenet_v2",
    "residual_network",
]
