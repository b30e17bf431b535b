"""Model patches: small sets of weights that re-purpose a network.

References
----------
.. [1] Thesis, chapter 4.
"""

from pympf.nets.patches.images import ImageSet, digits, load_images, resize
from pympf.nets.patches.scenes import SHAPES, Scenes

__all__ = ["SHAPES", "ImageSet", "Scenes", "digits", "load_images", "resize"]
