"""A solve that pays as it goes: CG with the diagonal, and when it is left for another offer.

The same as cpp/pympf/precond/choice/pay_as_you_go.hpp, which has the rule and its bound.
"""

import math

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["is_left", "is_long", "steps_until_left", "steps_with"]


def steps_with(decreases: list[float], residual: float, target: float) -> float:
    """Steps that CG will take yet, by what the square of its error has lost in each step so far."""
    if residual <= target:
        return 0.0
    third = max(1, len(decreases) // 3)
    if len(decreases) < 2 * third:
        return math.inf
    last, before = sum(decreases[-third:]), sum(decreases[-2 * third : -third])
    if not last < before:
        return math.inf
    if last <= 0:
        return 0.0
    return math.log(target / residual) / (math.log(last / before) / (2 * third))


def is_long(alphas: list[float], rzs: list[float], steps: float, fall: float) -> bool:
    """Whether CG takes so many steps to a fall of the residual, by its Ritz values."""
    alpha, rz = np.array(alphas), np.array(rzs)
    off = np.sqrt(rz[1:] / rz[:-1]) / alpha[:-1]
    diagonal = 1 / alpha + np.append(0, off**2 * alpha[:-1])
    theta = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
    largest = (diagonal + np.append(0, off) + np.append(off, 0)).max()  # Gershgorin's circles
    if len(theta) < 2:
        return False
    least = theta[1]  # one that is alone below the others costs CG a few steps and no more
    return bool(least <= 0 or math.log(2 * fall) / 6 * math.sqrt(largest / least) > steps)


def is_left(
    spent: float,
    left: float,
    promised: float,
    other: float,
    other_from_start: float,
    long: bool = False,
) -> bool:
    """Whether others cost so much less that the running method is left."""
    if spent < max(promised, other / (16 if long else 3)):
        return spent >= 2 * other_from_start
    if spent < other_from_start:
        return left >= other and 2 * (spent + left / 4) >= spent + other
    if spent <= 9 / 8 * other_from_start:
        return left >= other / 2
    return left >= 4 * other or spent >= 2 * other_from_start


def steps_until_left(
    A: sp.csr_array, b: NDArray[np.float64], offers: dict[str, dict[str, float]], rtol: float = 1e-8
) -> int | None:
    """Steps of CG with the diagonal after which the watch stops it; None: it converges before."""
    setup, step = offers["jacobi"]["setup"], offers["jacobi"]["step"]
    d, r = A.diagonal(), b.copy()
    z = r / d
    p, rz = z.copy(), r @ z
    target, next_look = float(rtol * np.linalg.norm(b)), 4
    decreases: list[float] = []
    residuals: list[float] = []
    alphas: list[float] = []
    rzs: list[float] = []
    spent, promised = setup, setup + step * offers["jacobi"]["steps"]

    def others(steps: float) -> float:
        factor = offers["ict"]["setup"] + offers["ict"]["step"] * (8 + 0.3 * steps)
        levels = offers["multilevel"]
        return min(factor, levels["setup"] + levels["step"] * levels["steps"])

    while True:
        q = A @ p
        alpha = rz / (p @ q)
        r -= alpha * q
        residual = float(np.linalg.norm(r))
        if residual <= target:
            return None
        decreases.append(alpha * rz)
        for numbers, one in ((residuals, residual), (alphas, alpha), (rzs, rz)):
            numbers.append(float(one))
        k, spent = len(decreases), spent + step
        if k >= next_look and spent >= promised:
            next_look = k + max(1, k // 8)
            left = steps_with(decreases, residual, target)
            other = others(left)
            long = is_long(alphas, rzs, other / step, residuals[0] / target)
            if is_left(spent, left * step, promised, other, others(k + left), long):
                return k
        z = r / d
        rz, before = r @ z, rz
        p = z + rz / before * p
