"""The networks as estimators of scikit-learn, for pipelines and searches over parameters.

Importing this module needs scikit-learn; the rest of pympf does not.

The estimators move the points to mean zero and scale them by one common number to mean squared
coordinate one, so that their defaults fit data of any size and place; angles and ratios of
distances stay what they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pympf.la import checks
from pympf.lsh import EuclideanHash, HyperplaneHash
from pympf.nets._checks import Array
from pympf.nets.architectures import dense, dsm
from pympf.nets.lsh import LSH
from pympf.nets.model import Model
from pympf.nets.modular.pursuit import Pursuit, pursuit

__all__ = ["DSMRegressor", "LSHRegressor", "PursuitRegressor"]

DSM_RIDGES = (1e-10, 1e-7, 1e-4, 1e-1)
"""Dampings that a `DSMRegressor` chooses from."""


def _exponent(values: Array) -> int:
    """Return the power of two to divide by: 0 unless squares of values may leave the range."""
    exponent = int(np.frexp(abs(values).max(initial=0))[1])
    return exponent if abs(exponent) > np.finfo(values.dtype).maxexp // 4 else 0


class _Network(RegressorMixin, BaseEstimator, ABC):
    """What the estimators share: the gate, the scaling and the solver."""

    solver: str
    ridge: float | None
    learning_rate: float
    epochs: int
    batch_size: int
    random_state: Any

    @abstractmethod
    def _model(self, n_features: int, seed: int) -> Model:
        """Make the model to fit."""

    def _ridge(self) -> Any:
        return self.ridge

    def fit(self, X: Any, y: Any) -> Any:
        """Fit the model.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.
        y : array_like, shape (n,)
            Target values.

        Returns
        -------
        _Network
            This one.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import DSMRegressor
        >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
        >>> bool(DSMRegressor(random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99)
        True
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], y_numeric=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        y = y.astype(np.float64)
        self._exponents = _exponent(X), _exponent(y)
        X, y = np.ldexp(X, -self._exponents[0]), np.ldexp(y, -self._exponents[1])
        self._mean = X.mean(axis=0, dtype=np.float64)
        self._scale = float(np.sqrt(np.square(X - self._mean).mean())) or 1.0
        self.model_ = self._model(X.shape[1], seed)
        self.model_.fit(self._scaled(X), y, self.solver, **self._options(seed))
        return self

    def predict(self, X: Any) -> Array:
        """Evaluate the model.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, d)
            Points.

        Returns
        -------
        ndarray of float64, shape (n,)
            The values of the model.

        Examples
        --------
        >>> from pympf.nets import LSHRegressor
        >>> LSHRegressor(random_state=0).fit([[0.0], [1.0]], [3.0, 3.0]).predict([[0.5]]).round(9)
        array([3.])
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        values = self.model_.predict(self._scaled(np.ldexp(X, -self._exponents[0])))
        return np.ldexp(values, self._exponents[1])

    def _scaled(self, X: Array) -> Array:
        return ((X - self._mean) / self._scale).astype(X.dtype)

    def _options(self, seed: int) -> dict[str, Any]:
        """Return the options of `Model.fit` for the solver."""
        if self.solver == "per_bucket":
            return {}
        if self.solver == "lstsq":
            return {"ridge": self._ridge(), "seed": seed}
        return {
            "learning_rate": self.learning_rate,
            "epochs": self.epochs,
            "batch": self.batch_size,
            "seed": seed,
        }


class DSMRegressor(_Network):
    """Regression by a data-dependent sparse model.

    Parameters
    ----------
    n_units : int
        t, units of the layer.
    active : float or int
        Active units of each point: a share of (0, 1], or their number.
    routing : {"topk", "topk_abs", "separate", "hash"}
        As of `dsm`. All units active is the dense model.
    bias : bool
        Whether the random bottom layer has offsets.
    solver : {"lstsq", "rmsprop", "adam", "sgd"}
        How the weights are found.
    ridge : float, optional
        Relative damping of "lstsq"; by default one of 1e-10, 1e-7, 1e-4, 0.1 is chosen on an eighth
        of the points.
    learning_rate : float
        Of the optimizers.
    epochs, batch_size : int
        Of the optimizers.
    random_state : int, RandomState or None
        Seed of everything random.

    Attributes
    ----------
    model_ : DSM
        The fitted model, on points that are scaled.
    n_features_in_ : int
        d.

    References
    ----------
    .. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on
       sparsely activated networks", section 2.1.

    Examples
    --------
    >>> from pympf.nets import Cube, DSMRegressor, Hypercube
    >>> f, X = Hypercube(4, seed=1), Cube(4).sample(2000)
    >>> bool(DSMRegressor(random_state=0).fit(X, f(X)).score(X, f(X)) > 0.99)
    True
    """

    def __init__(
        self,
        n_units: int = 512,
        *,
        active: float = 0.5,
        routing: str = "topk_abs",
        bias: bool = True,
        solver: str = "lstsq",
        ridge: float | None = None,
        learning_rate: float = 1e-3,
        epochs: int = 50,
        batch_size: int = 32,
        random_state: Any = None,
    ) -> None:
        self.n_units = n_units
        self.active = active
        self.routing = routing
        self.bias = bias
        self.solver = solver
        self.ridge = ridge
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def _model(self, n_features: int, seed: int) -> Model:
        units = checks.integer(self.n_units, "n_units")
        active = self._active(units)
        if active == units:
            return dense(n_features, units, bias=self.bias, seed=seed)
        return dsm(n_features, active, units, routing=self.routing, bias=self.bias, seed=seed)

    def _ridge(self) -> Any:
        return DSM_RIDGES if self.ridge is None else self.ridge

    def _active(self, units: int) -> int:
        if isinstance(self.active, float):
            share = checks.number(self.active, "active", above=0, most=1)
            return max(1, round(share * units))
        return checks.integer(self.active, "active", 1, units)


class LSHRegressor(_Network):
    """Regression by polynomials in the buckets of hash tables.

    Parameters
    ----------
    n_tables, n_functions : int
        s and m.
    degree : int
        Δ.
    family : {"hyperplane", "euclidean"}
        Signs of projections with an offset, or projections cut into pieces of some width.
    width : float
        Width of the pieces, for points of mean squared coordinate 1.
    solver : {"lstsq", "per_bucket", "rmsprop", "adam", "sgd"}
        All tables jointly; every bucket on its own, and the mean over the tables; or an optimizer.
    ridge : float, optional
        Relative damping of "lstsq"; by default one of 0.01, 0.1 and 1 is chosen on an eighth of
        the points.
    learning_rate : float
        Of the optimizers.
    epochs, batch_size : int
        Of the optimizers.
    random_state : int, RandomState or None
        Seed of everything random.

    Attributes
    ----------
    model_ : LSH
        The fitted model, on points that are scaled.
    n_features_in_ : int
        d.

    References
    ----------
    .. [1] C. Baykal, N. Dikkala, R. Panigrahy, C. Rashtchian, X. Wang, "A theoretical view on
       sparsely activated networks", section 2.2.

    Examples
    --------
    >>> from pympf.nets import Cube, Hypercube, LSHRegressor
    >>> f, X = Hypercube(4, seed=1), Cube(4).sample(2000)
    >>> bool(LSHRegressor(random_state=0).fit(X, f(X)).score(X, f(X)) > 0.95)
    True
    """

    def __init__(
        self,
        n_tables: int = 32,
        n_functions: int = 6,
        *,
        degree: int = 0,
        family: str = "hyperplane",
        width: float = 2.0,
        solver: str = "lstsq",
        ridge: float | None = None,
        learning_rate: float = 1e-3,
        epochs: int = 50,
        batch_size: int = 32,
        random_state: Any = None,
    ) -> None:
        self.n_tables = n_tables
        self.n_functions = n_functions
        self.degree = degree
        self.family = family
        self.width = width
        self.solver = solver
        self.ridge = ridge
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def _model(self, n_features: int, seed: int) -> Model:
        size = (n_features, self.n_functions, self.n_tables)
        hashes: HyperplaneHash | EuclideanHash
        if checks.choice(self.family, "family", ("hyperplane", "euclidean")) == "euclidean":
            hashes = EuclideanHash(*size, width=self.width, seed=seed)
        else:
            # Hyperplanes pass at about a standard deviation of the points from their mean.
            hashes = HyperplaneHash(*size, offset=float(np.sqrt(n_features)), seed=seed)
        return LSH(hashes, self.degree)


class PursuitRegressor(RegressorMixin, BaseEstimator):
    """Projection pursuit regression: a sum of functions of one direction each.

    y ≈ mean + Σ_j f_j(u_j·x), or of |x - u_j|; directions and functions are found by `pursuit`. The
    points are scaled by one number, so features should be of similar size.

    Parameters
    ----------
    n_directions : int, optional
        Modules at most; by default as many as lower the error on held-out points.
    n_starts : int, optional
        Directions that are tried for each; max(500 m, 50 m³) by default, and at most 5·10⁴.
    projection : {"linear", "distance"}
        Functions of u·x, or of |x - u|.
    smoothing : float
        Weight, in points, of sizes and differences of neighbouring hat functions.
    random_state : int, RandomState or None
        Seed of the starts.

    Attributes
    ----------
    model_ : Pursuit
        Directions, functions, held-out errors.
    directions_ : ndarray, shape (K, m)
        Unit vectors, or centres.
    n_features_in_ : int
        m.

    References
    ----------
    .. [1] J. H. Friedman, W. Stuetzle, "Projection pursuit regression", J. Amer. Statist. Assoc.
       76, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets import PursuitRegressor
    >>> X = np.random.default_rng(0).standard_normal((1000, 4))
    >>> y = np.sin(2 * X[:, 0]) + (X[:, 1] - X[:, 2]) ** 2
    >>> bool(PursuitRegressor(random_state=0).fit(X, y).score(X, y) > 0.97)
    True
    """

    def __init__(
        self,
        n_directions: int | None = None,
        *,
        n_starts: int | None = None,
        projection: str = "linear",
        smoothing: float = 2.0,
        random_state: Any = None,
    ) -> None:
        self.n_directions = n_directions
        self.n_starts = n_starts
        self.projection = projection
        self.smoothing = smoothing
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> PursuitRegressor:
        """Find directions and functions.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points, ten or more.
        y : array_like, shape (n,)
            Target values, not all equal.

        Returns
        -------
        PursuitRegressor
            This one.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import PursuitRegressor
        >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
        >>> bool(PursuitRegressor(random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.9)
        True
        """
        X, y = validate_data(
            self, X, y, dtype=[np.float64, np.float32], y_numeric=True, ensure_min_samples=10
        )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        y = y.astype(np.float64)
        self._exponents = _exponent(X), _exponent(y)
        self.model_: Pursuit = pursuit(
            np.ldexp(X, -self._exponents[0]),
            np.ldexp(y, -self._exponents[1]),
            projection=self.projection,
            n_directions=self.n_directions,
            n_starts=self.n_starts,
            smoothing=self.smoothing,
            seed=seed,
        )
        self.directions_ = self.model_.directions
        return self

    def predict(self, X: Any) -> Array:
        """Evaluate the sum of the functions.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, m)
            Points.

        Returns
        -------
        ndarray of float64, shape (n,)
            The values.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets import PursuitRegressor
        >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
        >>> PursuitRegressor(random_state=0).fit(X, X[:, 0]).predict([[0.0]]).shape
        (1,)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        values = self.model_.predict(np.ldexp(X, -self._exponents[0]))
        return np.ldexp(values, self._exponents[1])
