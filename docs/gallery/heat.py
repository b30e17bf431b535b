"""
Heat with growing time steps
============================

Implicit Euler solves (I + τ L) u' = u in each step. When τ changes, the values of the matrix change
and its pattern stays: `update` makes the preconditioner anew from the old clusters. You learn what
that saves.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

import pympf

n = 300
L = n**2 * pympf.gallery.poisson((n, n))
identity = sp.eye_array(n * n, format="csr")
x, y = np.meshgrid(*2 * [np.linspace(0, 1, n)])
hot = ((x - 0.35) ** 2 + (y - 0.6) ** 2 < 0.02) | (np.abs(x - 0.7) + np.abs(y - 0.3) < 0.1)
u = hot.astype(float).ravel()

# %%
# Twelve steps, each 1.5 times as long as the one before.
tau, elapsed, pictures = 1e-5, 0.0, [u]
setup, updates, iterations = 0.0, [], []
M = None
for _ in range(12):
    A = identity + tau * L
    begin = time.process_time()
    if M is None:
        M = pympf.as_preconditioner(A, method="multilevel")
        setup = time.process_time() - begin
    else:
        M.update(A)
        updates.append(time.process_time() - begin)
    solution = pympf.solve(A, u, preconditioner=M, x0=u)
    u = solution.x
    iterations.append(solution.iterations)
    elapsed += tau
    pictures.append(u)
    tau *= 1.5
print(f"setup {setup:.3f} s, an update {np.median(updates):.3f} s; iterations {iterations}")

# %%
# A single mode decays by a known factor: one step of it is exact but for the tolerance.
mode = (np.sin(np.pi * np.arange(1, n + 1) / (n + 1))[:, None] * np.ones(n)).ravel()
mode *= np.tile(np.sin(np.pi * np.arange(1, n + 1) / (n + 1)), n)
eigenvalue = 8 * n**2 * np.sin(np.pi / (2 * (n + 1))) ** 2
step = pympf.solve(A, mode, preconditioner=M).x
error = np.abs(step * (1 + tau / 1.5 * eigenvalue) - mode).max()
print(f"largest error of a mode after a step: {error:.1e}")

figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, k in zip(axes, (0, 4, 8, 12), strict=True):
    ax.imshow(pictures[k].reshape(n, n), cmap="inferno", vmin=0, vmax=pictures[k].max())
    ax.set_title(f"after {k} steps")
    ax.axis("off")
figure.savefig("heat.png")
