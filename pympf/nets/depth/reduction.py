"""Compressing a network gives away its input distribution: Lemma 1, and Theorems 1 and 2.

    paper                                        here
    η-perturbation x + η s(x, D) v of D_0        Perturbation(base, v, eta, sides)
    Δ-separator                                  separation(f, family) = Δ
    Lemma 1: D̃ from f and g                      recover(f, g, family), again a Perturbation
    TV ≤ Pr(‖g - f‖ ≥ θ) ≤ ε/θ² ≤ 16 ε/Δ²        recovery_bounds(eps, separation, reach)
    Theorems 1 and 2                             theorem1(n, Λ, d), member(bits, noise=…)

The lemma needs reach = ηΛ^d ≤ Δ/4, where Λ^d is a Lipschitz constant of g; θ = Δ/2 - ηΛ^d.

References
----------
.. [1] W. Burstein, J. Wilmes, "Obstacles to depth compression of neural networks", 2020, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import checks
from pympf.nets._checks import Array, as_outputs, as_points
from pympf.nets.depth.bounded import ROUNDING, BoundedNetwork
from pympf.nets.depth.distributions import CubeFace, Perturbation
from pympf.nets.depth.parities import as_bits, least_norm, parity, parity_values
from pympf.nets.depth.parity_learning import gf2_solve

__all__ = [
    "Adversary",
    "RecoveryBounds",
    "Theorem1",
    "recover",
    "recovery_bounds",
    "separation",
    "theorem1",
]

Map = Callable[[Array], Array]


def separation(f: Map, family: Perturbation, X0: ArrayLike | None = None) -> float:
    """Compute Δ, the least ‖f(x + ηv) - f(x - ηv)‖ on the support of D_0.

    Not collective.

    Parameters
    ----------
    f : callable
        Maps points, shape (n, d), to values, shape (n,) or (n, k).
    family : Perturbation
        With the D_0, v and η.
    X0 : array_like, shape (n, d), optional
        Points to look at; the whole support by default, which must then be finite.

    Returns
    -------
    float
        Δ.

    Examples
    --------
    >>> from pympf.nets import separation, theorem1
    >>> found = theorem1(4, norm=3.0, depth=4)
    >>> round(separation(found.f, found.family), 12)
    2.0
    """
    X0 = family.base.points if X0 is None else as_points(X0, len(family.v))
    step = family.eta * family.v
    difference = as_outputs(f(X0 + step), len(X0)) - as_outputs(f(X0 - step), len(X0))
    return float(np.linalg.norm(difference, axis=1).min())


@dataclass(frozen=True)
class RecoveryBounds:
    """What Lemma 1 says of TV(D, D̃): θ, Markov's ε/θ² and the printed 16ε/Δ²."""

    theta: float
    markov: float
    printed: float


def recovery_bounds(eps: float, separation: float, reach: float) -> RecoveryBounds:
    """Evaluate the bounds of Lemma 1.

    Not collective.

    Parameters
    ----------
    eps : float
        E‖f - g‖² over D.
    separation : float
        Δ.
    reach : float
        ηΛ^d: how far g can move along ηv; at most Δ/4.

    Returns
    -------
    RecoveryBounds
        θ = Δ/2 - ηΛ^d, ε/θ² and 16 ε/Δ², which is never smaller.

    Examples
    --------
    >>> from pympf.nets import recovery_bounds
    >>> recovery_bounds(1 / 16, separation=2.0, reach=0.5)
    RecoveryBounds(theta=0.5, markov=0.25, printed=0.25)
    """
    eps = checks.number(eps, "eps", 0)
    separation = checks.positive(separation, "separation")
    if not 0 <= reach <= separation / 4 * ROUNDING:
        raise ValueError(
            f"expected eta Λ^d of at most Δ/4, as Lemma 1 does; got eta Λ^d = {reach:g} and "
            f"Δ/4 = {separation / 4:g}"
        )
    theta = separation / 2 - reach
    return RecoveryBounds(theta, eps / theta**2, 16 * eps / separation**2)


def recover(
    f: Map,
    g: Map,
    family: Perturbation,
    *,
    lipschitz: float | None = None,
    delta: float | None = None,
) -> Perturbation:
    """Read the unknown distribution off a compression: D̃ of Lemma 1.

    Not collective. Its side at x is that of x ± ηv whose f is nearer to g(x): one query of g, two
    of f for each point. It samples, and has densities where D_0 has.

    Parameters
    ----------
    f, g : callable
        The network and its compression over some member of the family.
    family : Perturbation
        D_0, v and η; sides that it may have are not looked at.
    lipschitz : float, optional
        A Lipschitz constant of g, for Λ^d in the hypothesis ηΛ^d ≤ Δ/4: ValueError where it does
        not hold. By default that of a `BoundedNetwork`; of other maps nothing is known, and nothing
        checked.
    delta : float, optional
        Δ of f; by default `separation` on the support of D_0, or on 1024 points of it.

    Returns
    -------
    Perturbation
        D̃.

    Examples
    --------
    >>> from pympf.nets import recover, theorem1, total_variation
    >>> found = theorem1(6, norm=3.0, depth=4)
    >>> D, g = found.member([0, 2, 5]), found.compression([0, 2, 5])
    >>> total_variation(recover(found.f, g, found.family), D)
    0.0
    """
    if lipschitz is None and isinstance(g, BoundedNetwork):
        lipschitz = g.lipschitz_bound("spectral")
    if lipschitz is not None:
        delta = separation(f, family, _some_of(family.base)) if delta is None else delta
        recovery_bounds(0.0, delta, family.eta * checks.positive(lipschitz, "lipschitz"))
    step = family.eta * family.v

    def sides(X0: Array) -> Array:
        middle = as_outputs(g(X0), len(X0))
        near, far = (
            np.linalg.norm(middle - as_outputs(f(X0 + side * step), len(X0)), axis=1)
            for side in (1, -1)
        )
        return np.where(near < far, 1.0, -1.0)

    return family.with_sides(sides)


def _some_of(base: Any) -> Array:
    """Give the support where it is listed, otherwise points of it."""
    if not hasattr(type(base), "points") and not hasattr(base, "points"):
        return base.sample(1024)
    return base.sample(1024) if isinstance(base, CubeFace) and base.n > 16 else base.points


# ---- Theorems 1 and 2 ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Theorem1:
    """The construction of Theorem 1: f(x) = Λ^d x_(n+1), and the perturbations D_h for parities h.

    f is linear, and lies in NN(Λ^(d/(d-1)), d-1) (`shallower`): what is hard is the norm budget of
    one layer, and only for statistical queries: `learn` finds the parity from samples.
    """

    n: int
    norm: float
    depth: int
    f: BoundedNetwork
    family: Perturbation

    @property
    def separation(self) -> float:
        """Δ = 2ηΛ^d = 2."""
        return 2.0

    @property
    def reach(self) -> float:
        """ηΛ^(d-1) = 1/Λ: how far a g of NN(Λ, d-1) can move along ηv."""
        return 1 / self.norm

    def member(self, bits: ArrayLike, *, noise: float = 0.0, seed: int = 0) -> Perturbation:
        """Choose D_h, for a parity h or (Theorem 2) a noisy one.

        Not collective.

        Parameters
        ----------
        bits : array_like of int
            The bits of the parity.
        noise : float
            Share of the corners where the side is the other one, in [0, 1/2). A flipped side costs
            (2)² = 4, so that the parity is an ε-compression only if this is below ε/4; the paper
            prints ε/2.
        seed : int
            Which corners: a function of x, the same at every call.

        Returns
        -------
        Perturbation
            D_h.

        Examples
        --------
        >>> from pympf.nets import theorem1
        >>> theorem1(3, norm=3.0, depth=4).member([0]).sides([[-1.0, 1.0, 1.0, 0.0]])
        array([-1.])
        """
        bits = as_bits(bits, self.n)
        noise = checks.number(noise, "noise", 0, 0.5)

        def sides(X0: Array) -> Array:
            X = np.where(X0[:, : self.n] < 0, -1.0, 1.0)
            h = parity_values(bits, X)
            return h if noise == 0 else np.where(_chance(X, seed) < noise, -h, h)

        return self.family.with_sides(sides)

    def compression(self, bits: ArrayLike, depth: int = 3) -> BoundedNetwork:
        """Make the lossless compression over D_h: the parity itself, in NN(Λ, 3).

        Not collective.

        Parameters
        ----------
        bits : array_like of int
            The bits of the parity.
        depth : int
            Its layers, 3 in the theorem.

        Returns
        -------
        BoundedNetwork
            With norms k^(1/2·depth) for k bits; ValueError where that is above Λ.

        Examples
        --------
        >>> from pympf.nets import theorem1
        >>> theorem1(64, norm=2.0, depth=4).compression(range(64)).belongs(2.0, 3)
        True
        """
        bits = as_bits(bits, self.n)
        needed = least_norm(len(bits), depth)
        if needed > self.norm * ROUNDING:
            raise ValueError(
                f"expected at most Λ^(2·{depth}) = {self.norm ** (2 * depth):.4g} bits, got "
                f"{len(bits)}: their parity needs norms of {needed:.4g} in {depth} layers"
            )
        return parity(bits, self.n + 1, depth=depth)

    def shallower(self) -> BoundedNetwork:
        """Write f with one layer less and norms Λ^(d/(d-1)): exact, whatever the distribution.

        Not collective.

        Returns
        -------
        BoundedNetwork
            Of d - 1 layers.

        Examples
        --------
        >>> from pympf.nets import theorem1
        >>> g = theorem1(5, norm=3.0, depth=4).shallower()
        >>> g.depth, round(g.norm_bound(), 2)
        (3, 4.33)
        """
        return _line(self.n, self.norm ** (self.depth / (self.depth - 1)), self.depth - 1)

    def learn(self, X: ArrayLike) -> Array:
        """Find the parity from samples of D_h, by elimination over GF(2): no statistical query.

        Not collective.

        Parameters
        ----------
        X : array_like, shape (m, n + 1)
            Samples; n + 10 are of full rank with probability .999.

        Returns
        -------
        ndarray of int
            The bits.

        Examples
        --------
        >>> from pympf.nets import theorem1
        >>> found = theorem1(30, norm=3.0, depth=4)
        >>> found.learn(found.member([3, 7, 20]).sample(40))
        array([ 3,  7, 20])
        """
        X = as_points(X, self.n + 1)
        return gf2_solve(X[:, : self.n], np.sign(X[:, self.n]))

    def adversary(self, bits: ArrayLike, share: float, seed: int = 0) -> Adversary:
        """Make the worst compression that Lemma 1 allows, with which TV = ε/θ².

        Not collective.

        Parameters
        ----------
        bits : array_like of int
            The bits of the parity.
        share : float
            Share of the corners where its error is θ and its slope the worst; elsewhere it is f.
        seed : int
            Which corners.

        Returns
        -------
        Adversary
            A map that is Λ^(d-1)-Lipschitz along v.

        Examples
        --------
        >>> from pympf.nets import recover, theorem1, total_variation
        >>> found = theorem1(8, norm=3.0, depth=4)
        >>> g = found.adversary([0, 1], share=0.25)
        >>> 0.15 < total_variation(recover(found.f, g, found.family), found.member([0, 1])) < 0.35
        True
        """
        share = checks.number(share, "share", 0, most=1)
        return Adversary(self, tuple(int(b) for b in as_bits(bits, self.n)), share, seed)


@dataclass(frozen=True)
class Adversary:
    """g = h - θh at x_(n+1) = ηh and 0 at x_(n+1) = 0 on a share of the lines, elsewhere g = h."""

    theorem: Theorem1
    bits: tuple[int, ...]
    share: float
    seed: int

    def __call__(self, X: ArrayLike) -> Array:
        """Evaluate at points of shape (m, n + 1)."""
        theorem = self.theorem
        X = as_points(X, theorem.n + 1)
        X0 = np.where(X[:, : theorem.n] < 0, -1.0, 1.0)
        h = parity_values(self.bits, X0)
        slope = theorem.norm ** (theorem.depth - 1)
        # h(1 - θ) = h ηΛ^(d-1) falls to 0 at 0, and a little below: f's other side is nearer.
        hit = _chance(X0, self.seed) < self.share
        return np.where(hit, slope * X[:, theorem.n] - 1e-9 * h, h)


def theorem1(n: int, norm: float, depth: int) -> Theorem1:
    """Make the network and the family of distributions of Theorem 1.

    Not collective.

    Parameters
    ----------
    n : int
        Bits of the parities. All of them have a lossless compression in NN(Λ, 3) if n ≤ Λ^6.
    norm : float
        Λ, at least 2: Lemma 1 needs ηΛ^(d-1) = 1/Λ ≤ Δ/4 = 1/2.
    depth : int
        d, above 2.

    Returns
    -------
    Theorem1
        f, the family, its members and all steps of the reduction.

    Examples
    --------
    >>> from pympf.nets import theorem1
    >>> found = theorem1(10, norm=3.0, depth=4)
    >>> found.f.belongs(3.0, 4), round(found.reach, 3)
    (True, 0.333)
    """
    n, depth = checks.integer(n, "n"), checks.integer(depth, "depth", 3)
    norm = checks.positive(norm, "norm")
    recovery_bounds(0.0, 2.0, 1 / norm)
    family = Perturbation(CubeFace(n), np.eye(n + 1)[n], norm**-depth)
    return Theorem1(n, norm, depth, _line(n, norm, depth), family)


def _line(n: int, norm: float, depth: int) -> BoundedNetwork:
    """Make Λ^d x_(n+1)."""
    weights = [norm * np.eye(n + 1)[n:], *[np.array([[norm]])] * (depth - 1)]
    return BoundedNetwork(weights, activations="identity")


def _chance(X: Array, seed: int) -> Array:
    """Give every corner a number of [0, 1) of its own: a hash of its bits (splitmix64's mixing)."""
    packed = np.packbits(X < 0, axis=1)
    words = np.zeros((len(X), -(-packed.shape[1] // 8) * 8), np.uint8)
    words[:, : packed.shape[1]] = packed
    state = np.full(len(X), checks.integer(seed, "seed", 0), np.uint64)
    for word in words.view(np.uint64).T:
        state = (state ^ word) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)) * 2.0**-53
