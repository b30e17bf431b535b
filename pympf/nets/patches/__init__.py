"""Model patches: small sets of weights that re-purpose a network.

References
----------
.. [1] Thesis, chapter 4.
"""

from pympf.nets.patches.folding import (
    components,
    convex_hull_keeps_class,
    fold_function,
    preimage,
)
from pympf.nets.patches.images import ImageSet, digits, load_images, resize
from pympf.nets.patches.scales import ScaleBiasNetwork
from pympf.nets.patches.scenes import SHAPES, Scenes

__all__ = [
    "SHAPES",
    "ImageSet",
    "ScaleBiasNetwork",
    "Scenes",
    "components",
    "convex_hull_keeps_class",
    "digits",
    "fold_function",
    "load_images",
    "preimage",
    "resize",
]
