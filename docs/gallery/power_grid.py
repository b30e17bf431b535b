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
from scipy.sparse.linalg import splu

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
# The truth for every tenth line, by SuperLU: one station is grounded. And a check of all: by
# Foster's theorem the resistances of the lines sum to n - 1.
some = lines[:, ::10]
currents = np.zeros((n, some.shape[1]))
currents[some[0], np.arange(some.shape[1])] = 1.0
currents[some[1], np.arange(some.shape[1])] = -1.0
voltages = np.zeros_like(currents)
voltages[1:] = splu(L[1:, 1:].tocsc()).solve(currents[1:])
exact = (currents * voltages).sum(axis=0)
error = np.sqrt(np.mean((estimate[::10] / exact - 1) ** 2))
total = estimate.sum()
print(f"relative error of the estimates {error:.3f}, sqrt(2 / k) = {np.sqrt(2 / k):.3f}")
print(f"sum of all estimates {total:.0f}, n - 1 = {n - 1}")

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(exact, estimate[::10], ".", markersize=4)
ax.plot([0, 1], [0, 1], color="0.4", linewidth=1)
ax.set(xlabel="effective resistance of a line", ylabel=f"by {k} random projections")
figure.savefig("power_grid.png")
