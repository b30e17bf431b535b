"""What scikit-learn asks of whatever is made from settings: get_params and set_params."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, TypeVar

from pympf.la.checks import unknown

__all__ = ["Settings"]

Self = TypeVar("Self", bound="Settings")


class Settings(ABC):
    """The settings of a constructor, under scikit-learn's conventions (`sklearn.base.clone`)."""

    @abstractmethod
    def _parameters(self) -> dict[str, Any]:
        """Give what the constructor was called with."""

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn 1.6 and later what this is: it needs no y."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(sparse=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that an empty one works too."""
        return True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings: what the constructor was called with.

        Not collective.

        Parameters
        ----------
        deep : bool
            Also those of a setting that has some of its own, as ``family__n_functions``.

        Returns
        -------
        dict

        Examples
        --------
        >>> from pympf.lsh import HyperplaneHash
        >>> HyperplaneHash(2, n_functions=4).get_params()["n_functions"]
        4
        """
        found = self._parameters()
        if deep:
            for name, value in self._parameters().items():
                if isinstance(value, Settings):
                    inner = value.get_params()
                    found |= {f"{name}__{key}": setting for key, setting in inner.items()}
        return found

    def set_params(self: Self, **params: Any) -> Self:
        """Make this anew with other settings, as the constructor does: without points or buckets.

        Not collective. A setting of a setting has the name ``family__n_functions``.

        Parameters
        ----------
        **params
            Some of the settings of `get_params`; the others stay.

        Returns
        -------
        Settings
            This one.

        Raises
        ------
        ValueError, TypeError
            If there is no such setting, or the constructor refuses its value.

        Examples
        --------
        >>> from pympf.lsh import BucketIndex, HyperplaneHash
        >>> index = BucketIndex(HyperplaneHash(2, n_functions=4))
        >>> index.set_params(family__n_functions=8).family
        HyperplaneHash(n_features=2, n_functions=8, n_tables=1, offset=0.0, seed=0)
        """
        if not params:
            return self
        settings = self._parameters()
        inner: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            outer, _, rest = name.partition("__")
            if outer not in settings:
                raise ValueError(f"{type(self).__name__}: {unknown(outer, settings)}")
            if rest:
                inner.setdefault(outer, {})[rest] = value
            else:
                settings[name] = value
        for name, changes in inner.items():
            if not isinstance(settings[name], Settings):
                raise ValueError(f"{name} has no settings of its own: {', '.join(changes)}")
            settings[name] = copy.copy(settings[name]).set_params(**changes)
        self.__dict__ = type(self)(**settings).__dict__  # all of it, or an error and nothing
        return self
