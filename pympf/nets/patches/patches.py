"""Patches: small sets of a network's weights, of which one at a time is in place of the pretrained.

To activate a patch is to let the layers work with its arrays: nothing is copied, and training a
patch cannot reach anything outside it. Every patch has its own running statistics μ and σ, as the
normalizations of another task measure other images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pympf.la import checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.patches._storage import read_patch, write_patch
from pympf.nets.patches.checks import GROUPS, as_groups
from pympf.nets.patches.convolution import Linear
from pympf.nets.patches.model import LayeredModel

__all__ = ["DepthwiseFilters", "LastLayer", "Patch", "Patchable", "ScaleBias", "Stored"]


@dataclass(frozen=True)
class Patch:
    """What a patch consists of; `a | b` has what a and b have.

    Parameters
    ----------
    groups : tuple of {"scale-bias", "depthwise", "pointwise", "last"}
        Groups of parameters that it has and that learn.
    own_last : bool
        Whether it has a last layer of its own; one that learns always is.
    n_classes : int, optional
        Classes of its last layer, which then starts at random; by default it starts as the
        pretrained one.
    seed : int
        Seed of its last layer.

    Examples
    --------
    >>> from pympf.nets.patches import LastLayer, ScaleBias
    >>> (ScaleBias() | LastLayer(10, trained=False)).groups
    ('scale-bias',)
    """

    groups: tuple[str, ...]
    own_last: bool = False
    n_classes: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        groups = as_groups(self.groups) if self.groups else ()
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "own_last", bool(self.own_last) or "last" in groups)
        checks.integer(self.seed, "seed", 0)
        if self.n_classes is not None:
            checks.integer(self.n_classes, "n_classes")
            if not self.own_last:
                raise ValueError("expected n_classes with a last layer of the patch's own")

    def __or__(self, other: Patch) -> Patch:
        if not isinstance(other, Patch):
            return NotImplemented
        if self.own_last and other.own_last:
            raise ValueError("expected one last layer in a patch, got two")
        last = self if self.own_last else other
        groups = as_groups((*self.groups, *other.groups)) if self.groups + other.groups else ()
        return Patch(groups, last.own_last, last.n_classes, last.seed)


class ScaleBias(Patch):
    """The patch of all γ and β of the batch normalizations, with their μ and σ.

    Examples
    --------
    >>> from pympf.nets.patches import ScaleBias
    >>> ScaleBias().groups
    ('scale-bias',)
    """

    def __init__(self) -> None:
        super().__init__(("scale-bias",))


class DepthwiseFilters(Patch):
    """The patch of all depthwise filters.

    Examples
    --------
    >>> from pympf.nets.patches import DepthwiseFilters, ScaleBias
    >>> (ScaleBias() | DepthwiseFilters()).groups
    ('scale-bias', 'depthwise')
    """

    def __init__(self) -> None:
        super().__init__(("depthwise",))


class LastLayer(Patch):
    """The patch of a last layer.

    Parameters
    ----------
    n_classes : int, optional
        Its classes; it starts at random. By default it starts as the pretrained one.
    trained : bool
        Whether it learns. If not, it stays what it is at the start.
    seed : int
        Seed of the random start.

    Examples
    --------
    >>> from pympf.nets.patches import LastLayer
    >>> LastLayer(10).groups, LastLayer(10, trained=False).groups
    (('last',), ())
    """

    def __init__(self, n_classes: int | None = None, trained: bool = True, seed: int = 0) -> None:
        super().__init__(("last",) if trained else (), True, n_classes, seed)


class Stored(NamedTuple):
    """A patch with its arrays, by name."""

    patch: Patch
    arrays: dict[str, Array]


class Patchable(LayeredModel):
    """A model that keeps its pretrained weights, and patches for them by name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._patches: dict[str, Stored] = {}
        self._active: str | None = None
        self._pretrained: dict[str, Array] | None = None  # None where there are no patches

    @property
    def patches(self) -> dict[str, Patch]:
        """The patches by name."""
        return {name: stored.patch for name, stored in self._patches.items()}

    @property
    def active_patch(self) -> str | None:
        """Name of the active patch; None while the pretrained weights are active."""
        return self._active

    def pretrained(self) -> dict[str, Array]:
        """Give the pretrained parameters and statistics, whatever patch is active.

        Not collective.

        Returns
        -------
        dict of ndarray
            By name, in the order of the layers: parameters, then statistics.

        Examples
        --------
        >>> from pympf.nets.patches import residual_network
        >>> len(residual_network((3, 16, 16), 10).pretrained())
        82
        """
        if self._pretrained is None:
            return self.parameters() | self.statistics()
        return dict(self._pretrained)

    def checksum(self) -> str:
        """Compute the SHA-256 of the layers and of the pretrained weights.

        Not collective.

        Returns
        -------
        str
            64 hexadecimal digits.

        Examples
        --------
        >>> from pympf.nets.patches import residual_network
        >>> a, b = (residual_network((3, 16, 16), 10, seed=seed) for seed in (0, 1))
        >>> a.checksum() == b.checksum()
        False
        """
        found = hashlib.sha256(json.dumps(self.structure).encode())
        for name, array in self.pretrained().items():
            found.update(f"{name} {array.shape} {array.dtype.str}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def add_patch(self, name: str, patch: Patch) -> None:
        """Add a patch, with the pretrained values, whatever patch is active.

        Not collective. It is not activated: `set_patch` does that.

        Parameters
        ----------
        name : str
            A new name.
        patch : Patch
            What it has: `ScaleBias() | LastLayer(10)`, say.

        Examples
        --------
        >>> from pympf.nets.patches import LastLayer, ScaleBias, residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("digits", ScaleBias() | LastLayer(4))
        >>> net.set_patch("digits")
        >>> net.n_classes
        4
        """
        self._check_new(name)
        if not isinstance(patch, Patch):
            raise TypeError(
                f"expected a Patch, such as ScaleBias() | LastLayer(10), got {type(patch).__name__}"
            )
        if not patch.groups and not patch.own_last:
            raise ValueError("expected a patch that has something, got an empty one")
        self._store(name, Stored(patch, self._first_arrays(patch)))

    def _check_new(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"expected a text as the name of a patch, got {name!r}")
        if name in self._patches:
            raise ValueError(
                f"expected a new name, got {name!r}, which a patch has; delete it, or choose "
                f"another than {self._names()}"
            )

    def _store(self, name: str, stored: Stored) -> None:
        self._pretrained = self.pretrained()
        self._patches[name] = stored

    def _first_arrays(self, patch: Patch) -> dict[str, Array]:
        pretrained = self.pretrained()
        names = [name for name in self.parameters(patch.groups or GROUPS) if patch.groups]
        names = [name for name in names if not name.startswith("last.")]
        arrays = {name: pretrained[name].copy() for name in [*names, *self.statistics()]}
        if patch.own_last:
            last = {key: pretrained[f"last.{key}"].copy() for key in ("weights", "bias")}
            if patch.n_classes is not None:
                rng, features = random_numbers(patch.seed, "last"), last["weights"].shape[1]
                last = Linear(features, patch.n_classes, rng=rng, dtype=self.dtype).parameters
            arrays |= {f"last.{key}": array for key, array in last.items()}
        return arrays

    def set_patch(self, name: str | None) -> None:
        """Activate a patch.

        Not collective. Arrays change places; none is copied.

        Parameters
        ----------
        name : str or None
            The patch; None for the pretrained weights.

        Examples
        --------
        >>> from pympf.nets.patches import ScaleBias, residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("a", ScaleBias())
        >>> net.set_patch("a")
        >>> net.active_patch
        'a'
        """
        stored = None if name is None else self._stored(name)
        if self._pretrained is not None:
            self.bind(self._pretrained)
        if stored is not None:
            self.bind(stored.arrays)
        self._active = name

    def delete_patch(self, name: str) -> None:
        """Delete a patch.

        Not collective.

        Parameters
        ----------
        name : str
            A patch that is not active.

        Examples
        --------
        >>> from pympf.nets.patches import ScaleBias, residual_network
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("a", ScaleBias())
        >>> net.delete_patch("a")
        >>> net.patches
        {}
        """
        self._stored(name)
        if name == self._active:
            raise ValueError(
                f"expected a patch that is not active, got {name!r}, which is; activate another "
                f"one first, or None"
            )
        del self._patches[name]
        if not self._patches:
            self._pretrained = None

    def _stored(self, name: str) -> Stored:
        if name not in self._patches:
            raise ValueError(
                f"expected the name of a patch, got {name!r}; allowed: {self._names()}"
            )
        return self._patches[name]

    def _names(self) -> str:
        return ", ".join(map(repr, self._patches)) or "none, as there are no patches"

    def _check_changeable(self) -> None:
        """Refuse to change the pretrained weights that patches have been made for."""
        if self._pretrained is not None and self._active is None:
            raise ValueError(
                f"expected an active patch, as the pretrained weights of a network with patches do "
                f"not change, got None; activate one of {self._names()}"
            )

    def _learning(self, groups: Iterable[str] | str | None) -> tuple[str, ...]:
        """Check which groups are to learn, by default all that may."""
        self._check_changeable()
        allowed = GROUPS if self._active is None else self._stored(self._active).patch.groups
        wanted = allowed if groups is None else as_groups(groups)
        outside = [group for group in wanted if group not in allowed]
        if outside or not wanted:
            raise ValueError(
                f"expected groups of patch {self._active!r}, got {', '.join(outside) or 'none'}; "
                f"allowed: {', '.join(allowed) or 'none, as nothing of it learns'}"
            )
        return wanted

    # ---- files -----------------------------------------------------------------------------------
    def save_patch(self, name: str, path: str | os.PathLike[str]) -> None:
        """Write one patch to an HDF5 file, whole or not at all.

        Not collective. The file has the patch's parameters, its μ and σ², and the checksum of the
        pretrained weights, but not these.

        Parameters
        ----------
        name : str
            The patch.
        path : str or os.PathLike
            The file.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.nets.patches import ScaleBias, residual_network
        >>> path = os.path.join(tempfile.mkdtemp(), "a.h5")
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("a", ScaleBias())
        >>> net.save_patch("a", path)
        >>> residual_network((3, 16, 16), 10).load_patch(path)
        'a'
        """
        write_patch(path, name, self._stored(name), self.checksum())

    def load_patch(self, path: str | os.PathLike[str], name: str | None = None) -> str:
        """Add a patch from a file.

        Not collective. It is not activated.

        Parameters
        ----------
        path : str or os.PathLike
            The file. OSError if it is no whole patch; ValueError if it was made for other
            pretrained weights than this network's.
        name : str, optional
            Its name here; by default the one it had.

        Returns
        -------
        str
            Its name.

        Examples
        --------
        >>> import os, tempfile
        >>> from pympf.nets.patches import ScaleBias, residual_network
        >>> path = os.path.join(tempfile.mkdtemp(), "a.h5")
        >>> net = residual_network((3, 16, 16), 10)
        >>> net.add_patch("a", ScaleBias())
        >>> net.save_patch("a", path)
        >>> net.load_patch(path, "b")
        'b'
        """
        saved, stored, checksum = read_patch(path, self)
        name = saved if name is None else name
        if checksum != self.checksum():
            raise ValueError(
                f"expected a patch of these pretrained weights (checksum {self.checksum()[:12]}…), "
                f"got {path} for others ({checksum[:12]}…); load it onto the network that it is of"
            )
        self._check_new(name)
        self._store(name, stored)
        return name
