"""A layer of which each input activates some units: x -> mask(x) ∘ σ(Bx + c).

References
----------
.. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on sparsely
   activated networks", sections 2.1 and 3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pympf._described import Described
from pympf.la import checks
from pympf.nets._checks import Array, as_points, as_values, random_numbers
from pympf.nets.routing import Routing
from pympf.nets.rows import Rows

__all__ = ["ACTIVATIONS", "Layer", "glorot"]

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "identity": (lambda z: z, np.ones_like),
    "one": (np.ones_like, np.zeros_like),
}
"""Each σ with its derivative."""


class Layer(Described):
    """A layer of which each input activates s of t units: x -> mask(x) ∘ σ(Bx + c).

    Parameters
    ----------
    projection : array_like, shape (t, d)
        B.
    offset : array_like, shape (t,), optional
        c; zero by default.
    activation : {"relu", "identity", "one"}
        σ; "one" is 1 whatever its argument.
    routing : Routing, optional
        The mask; by default all units are active.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import Layer, TopK
    >>> layer = Layer([[1.0], [2.0], [-1.0]], routing=TopK(1))
    >>> layer.rows(np.array([[0.5]])).dense()
    array([[0., 1., 0.]])
    """

    def __init__(
        self,
        projection: ArrayLike,
        offset: ArrayLike | None = None,
        *,
        activation: str = "relu",
        routing: Routing | None = None,
    ) -> None:
        self.projection = as_points(projection).copy()
        self.width, self.n_features = self.projection.shape
        self.offset = np.zeros(self.width) if offset is None else as_values(offset, self.width)
        self.activation = checks.choice(activation, "activation", tuple(ACTIVATIONS))
        self.routing = routing
        self.active = self.width if routing is None else routing._count(self.width)

    @classmethod
    def random(
        cls,
        n_features: int,
        width: int,
        *,
        bias: float = False,
        activation: str = "relu",
        routing: Routing | None = None,
        seed: int = 0,
    ) -> Layer:
        """Draw a layer: Glorot's uniform B, and an offset c like one of its columns.

        Not collective.

        Parameters
        ----------
        n_features, width : int
            d and t.
        bias : float
            Size of the offset relative to the entries of B; the paper has none.
        activation : {"relu", "identity", "one"}
            σ.
        routing : Routing, optional
            The mask.
        seed : int
            Seed of B and c.

        Returns
        -------
        Layer
            B is the same with and without offset and routing.

        Examples
        --------
        >>> from pympf.nets import Layer
        >>> Layer.random(8, 64).projection.shape
        (64, 8)
        """
        n_features, width = checks.integer(n_features, "n_features"), checks.integer(width, "width")
        projection = glorot(n_features, width, random_numbers(seed, "projection"))
        offset = None
        if bias:
            limit = float(bias) * np.sqrt(6 / (n_features + width))
            offset = random_numbers(seed, "offset").uniform(-limit, limit, width)
        return cls(projection, offset, activation=activation, routing=routing)

    def pre_activations(self, X: Array) -> Array:
        """Compute Bx + c for all units.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.

        Returns
        -------
        ndarray, shape (n, t)
            In the precision of the points.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer
        >>> Layer([[2.0]], [1.0]).pre_activations(np.array([[3.0]]))
        array([[7.]])
        """
        Z = X @ self.projection.T.astype(X.dtype, copy=False)
        Z += self.offset.astype(X.dtype, copy=False)
        return Z

    def rows(self, X: Array) -> Rows:
        """Compute the activations of the active units.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.

        Returns
        -------
        Rows
            mask(x) ∘ σ(Bx + c).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer
        >>> Layer([[2.0], [-2.0]]).rows(np.array([[3.0]])).values
        array([[6., 0.]])
        """
        Z = self.pre_activations(X)
        sigma = ACTIVATIONS[self.activation][0]
        if self.routing is None:
            return Rows(sigma(Z))
        units = self.routing(X, Z)
        return Rows(sigma(np.take_along_axis(Z, units, axis=1)), units, self.width)

    def mask(self, X: Array, Z: Array) -> Array:
        """Compute the mask of zeros and ones.

        Not collective.

        Parameters
        ----------
        X : ndarray, shape (n, d)
            Points.
        Z : ndarray, shape (n, t)
            Their pre-activations.

        Returns
        -------
        ndarray, shape (n, t)
            mask(x).

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import Layer, TopK
        >>> Layer(np.eye(2), routing=TopK(1)).mask(np.eye(2), np.eye(2))
        array([[1., 0.],
               [0., 1.]])
        """
        if self.routing is None:
            return np.ones_like(Z)
        mask = np.zeros_like(Z)
        np.put_along_axis(mask, self.routing(X, Z), 1, axis=1)
        return mask


def glorot(inputs: int, outputs: int, rng: np.random.Generator) -> Array:
    """Draw Glorot's uniform matrix, shape (outputs, inputs).

    Not collective.

    Parameters
    ----------
    inputs, outputs : int
        Its columns and rows.
    rng : numpy.random.Generator
        Random numbers.

    Returns
    -------
    ndarray, shape (outputs, inputs)
        Uniform within ±(6/(inputs + outputs))^(1/2).

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.layer import glorot
    >>> bool(abs(glorot(2, 4, np.random.default_rng(0))).max() <= 1)
    True
    """
    limit = np.sqrt(6 / (inputs + outputs))
    return rng.uniform(-limit, limit, (outputs, inputs))
