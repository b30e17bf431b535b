"""Transfer as an estimator of scikit-learn, for pipelines and searches over parameters.

Importing this module needs scikit-learn; the rest of pympf does not.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pympf.nets._checks import Array
from pympf.nets.patches.architectures import residual_network
from pympf.nets.patches.checks import as_shape
from pympf.nets.patches.network import Network
from pympf.nets.patches.transfer import patch_of

__all__ = ["PatchClassifier"]

NAME = "fitted"
"""Of the patch."""


class PatchClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of images: a patch of a pretrained network, or of a random one.

    Parameters
    ----------
    shape : tuple of int, optional
        (channels, height, width) of the images, whose numbers are the features in C order. By
        default that of `base`, and without one each point is an image of 1 × 1 pixel with
        n_features channels.
    base : Network, optional
        The pretrained network, which is copied. By default `residual_network` with random weights;
        then each channel is moved to mean zero and scaled to variance one, and the statistics of
        the random weights are those of the training images.
    patch : str
        What learns: one of `SETS`, such as "scale-bias+last"; "all" for the whole network.
    learning_rate : float, optional
        By default 0.003 for all, 0.1 for the last layer alone, and 0.01.
    epochs, batch_size : int
        How often each image is used, and images of a step.
    optimizer : {"adam", "rmsprop", "sgd"}
        The rule of the steps.
    statistics : {"batch", "running", "frozen"}, optional
        As of `Network.fit`. With "batch" statistics, `fit` ends with those of all its images.
    warm_start : bool
        Whether `fit` goes on from the patch that there is.
    random_state : int, RandomState or None
        Of the random weights, the last layer and the order of the images.

    Attributes
    ----------
    classes_ : ndarray
        The labels.
    network_ : Network
        With the patch active.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.patches import PatchClassifier
    >>> X = np.random.default_rng(0).standard_normal((200, 4))
    >>> y = np.where(X[:, 0] > X[:, 1], "left", "right")
    >>> bool(PatchClassifier(random_state=0).fit(X, y).score(X, y) > 0.85)
    True
    """

    def __init__(
        self,
        shape: tuple[int, int, int] | None = None,
        base: Network | None = None,
        patch: str = "scale-bias+last",
        learning_rate: float | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        optimizer: str = "adam",
        statistics: str | None = None,
        warm_start: bool = False,
        random_state: Any = None,
    ) -> None:
        self.shape = shape
        self.base = base
        self.patch = patch
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.statistics = statistics
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> PatchClassifier:
        """Train the patch.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Flat images.
        y : array_like, shape (n,)
            Their labels.

        Returns
        -------
        PatchClassifier
            This one.

        Examples
        --------
        >>> from pympf.nets.patches import PatchClassifier
        >>> X, y = [[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1]
        >>> PatchClassifier(random_state=0).fit(X, y).predict([[0.0], [1.0]])
        array([0, 1])
        """
        going_on = self.warm_start and hasattr(self, "network_")
        X, y = self._checked(X, y, reset=not going_on)
        classes = np.unique(y)
        if going_on:
            self._check_known(classes)
        else:
            self._start(X, classes)
        self._train(X, y, epochs=self.epochs)
        words = self.network_._choices(None, self.statistics)[1]
        if words == "batch":  # running means of few steps would lag behind
            self.network_.recompute_statistics(self._images(X))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> PatchClassifier:
        """Go on training with some images, each used once, at a constant rate.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Flat images.
        y : array_like, shape (n,)
            Their labels.
        classes : array_like, optional
            All labels that there will be; needed in the first call.

        Returns
        -------
        PatchClassifier
            This one.

        Examples
        --------
        >>> from pympf.nets.patches import PatchClassifier
        >>> X, y = [[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1]
        >>> PatchClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2]).classes_
        array([0, 1, 2])
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            raise ValueError("expected classes in the first call of partial_fit, got None")
        X, y = self._checked(X, y, reset=first)
        if first:
            self._start(X, np.unique(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"expected the classes of the first call, {self.classes_}")
        self._check_known(np.unique(y))
        return self._train(X, y, epochs=1, schedule="constant")

    def predict_proba(self, X: Any) -> Array:
        """Compute the probabilities of the classes.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Flat images.

        Returns
        -------
        ndarray, shape (n, n_classes)
            In the order of `classes_`.

        Examples
        --------
        >>> from pympf.nets.patches import PatchClassifier
        >>> X, y = [[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1]
        >>> PatchClassifier(random_state=0).fit(X, y).predict_proba([[0.0]]).shape
        (1, 2)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self.network_.predict_proba(self._images(X))

    def predict(self, X: Any) -> Array:
        """Give the most likely label of each image.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Flat images.

        Returns
        -------
        ndarray, shape (n,)
            Labels.

        Examples
        --------
        >>> from pympf.nets.patches import PatchClassifier
        >>> X, y = [[0.0], [0.1], [1.0], [1.1]], ["a", "a", "b", "b"]
        >>> PatchClassifier(random_state=0).fit(X, y).predict([[0.0]])
        array(['a'], dtype='<U1')
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], reset=reset)
        check_classification_targets(y)
        if len(X) < 2:
            raise ValueError(f"expected at least 2 images to train with, got n_samples={len(X)}")
        return X, y

    def _check_known(self, labels: Array) -> None:
        new = np.setdiff1d(labels, self.classes_)
        if len(new):
            raise ValueError(f"expected labels of {self.classes_}, got {new}")

    def _start(self, X: Array, classes: Array) -> None:
        """Choose the network and the scale, and add the patch."""
        self.classes_ = classes
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.base is not None and not isinstance(self.base, Network):
            raise TypeError(f"expected a Network as base, got {type(self.base).__name__}")
        shape = self.shape
        if shape is None:
            shape = (X.shape[1], 1, 1) if self.base is None else self.base.shape
        self._shape = as_shape(shape)
        if np.prod(self._shape) != X.shape[1]:
            raise ValueError(
                f"expected images of {np.prod(self._shape)} numbers for shape {self._shape}, "
                f"got {X.shape[1]}"
            )
        self._mean, self._deviation = np.zeros(1), np.ones(1)
        if self.base is None:
            images = X.reshape(-1, *self._shape)
            self._mean = images.mean(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
            spread = images.std(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
            self._deviation = np.where(spread > 0, spread, 1.0)
            network = residual_network(self._shape, len(classes), dtype=X.dtype, seed=self._seed)
            network.recompute_statistics(self._images(X))
        else:
            network = copy.deepcopy(self.base)
            network.set_patch(None)
            for name in network.patches:
                network.delete_patch(name)
        network.add_patch(NAME, patch_of(self.patch, len(classes), self._seed))
        network.set_patch(NAME)
        if self.patch.startswith("statistics"):
            network.recompute_statistics(self._images(X))
        self.network_ = network

    def _train(self, X: Array, y: Array, **options: Any) -> PatchClassifier:
        options |= {"batch": self.batch_size, "seed": self._seed, "statistics": self.statistics}
        if self.learning_rate is not None:
            options["learning_rate"] = self.learning_rate
        labels = np.searchsorted(self.classes_, y)
        self.network_.fit(self._images(X), labels, self.optimizer, **options)
        return self

    def _images(self, X: Array) -> Array:
        images = X.reshape(-1, *self._shape)
        return ((images - self._mean) / self._deviation).astype(X.dtype, copy=False)
