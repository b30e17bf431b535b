"""
Effective resistances of a power grid
=====================================

The effective resistance between two nodes is the voltage that a unit current between them needs:
(e_i − e_j)ᵀ L⁺ (e_i − e_j). It says which lines have no detour. You learn how to solve with a
Laplacian, which is singular, for a block of right-hand sides.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pympf

path = next(
    p / "data/USpowerGrid.mtx.gz" for p in (Path(), *Path.cwd().parents) if (p / "data").exists()
)
W = pympf.io.read_matrix(path)
L = pympf.gallery.laplacian(W)
i, j = W.nonzero()
lines = np.stack([i, j])[:, i < j]
n = L.shape[0]
print(f"{n} stations, {lines.shape[1]} lines")

# %%
# By random projections all resistances come from a few dozen solves (Spielman, Srivastava): the
# rows of a random matrix of signs times the incidence matrix are right-hand sides.
rng = np.random.default_rng(0)
k = 64
signs = rng.choice([-1.0, 1.0], (lines.shape[1], k)) / np.sqrt(k)
B = np.zeros((n, k))
np.add.at(B, lines[0], signs)
np.add.at(B, lines[1], -signs)
solutions = pympf.solve(L, B)
Z = solutions.x
estimate = ((Z[lines[0]] - Z[lines[1]]) ** 2).sum(axis=1)
print(solutions[0].choice)
print(f"{k} systems, at most {max(solutions.iterations)} iterations each")

# %%
# The truth, by the dense pseudoinverse: 4941³ operations.
inverse = np.linalg.inv(L.toarray() + 1 / n)
d = inverse.diagonal()
exact = d[lines[0]] + d[lines[1]] - 2 * inverse[lines[0], lines[1]]
error = np.sqrt(np.mean((estimate / exact - 1) ** 2))
total = exact.sum()
print(f"sum of all resistances {total:.6f}: n - 1 by Foster's theorem")
print(f"relative error of the estimates {error:.3f}, sqrt(2 / k) = {np.sqrt(2 / k):.3f}")

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.hist(exact, bins=60, label="exact")
ax.hist(estimate, bins=60, histtype="step", color="k", label=f"{k} random projections")
ax.set(xlabel="effective resistance of a line (1: no detour)", ylabel="lines", yscale="log")
ax.legend()
figure.savefig("power_grid.png")
