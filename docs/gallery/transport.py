"""
Transport that is not symmetric
===============================

A substance is carried round by a flow and diffuses a little. The matrix is not symmetric; the
preconditioner for such matrices has levels of two sides. You learn that nothing has to be said, and
how it compares with a complete and an incomplete LU factorization in SciPy.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres, spilu, splu

import pympf

n, speed = 250, 300.0
A = pympf.gallery.convection_diffusion(n, speed)
x, y = np.meshgrid(*2 * [np.linspace(0, 1, n)], indexing="ij")
b = 1e3 * np.exp(-200 * ((x - 0.3) ** 2 + (y - 0.5) ** 2)).ravel()

# %%
solution = pympf.solve(A, b)
print(solution.choice)
print(f"pympf: {solution.iterations} iterations, {solution.setup_s + solution.solve_s:.2f} s")

# %%
# The exact answer by SuperLU, and 60 steps of SciPy's GMRES with an incomplete factor.
begin = time.perf_counter()
exact = splu(A.tocsc()).solve(b)
print(f"SuperLU: {time.perf_counter() - begin:.2f} s")
error = np.abs(solution.x - exact).max() / np.abs(exact).max()
print(f"largest difference {error:.1e}")

history = []
M = LinearOperator(A.shape, spilu(A.tocsc()).solve)
gmres(A, b, M=M, restart=30, maxiter=2, callback=history.append, callback_type="pr_norm")
print(f"GMRES with ILU: residual {history[-1] / history[0]:.0e} after {len(history)} steps")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.imshow(solution.x.reshape(n, n).T, origin="lower", extent=(0, 1, 0, 1), cmap="viridis")
left.set_title("concentration")
right.semilogy(solution.history / solution.history[0], "o-", label="pympf.solve")
right.semilogy(np.array(history) / history[0], ".-", label="SciPy GMRES, ILU")
right.set(xlabel="iteration", ylabel="residual, relative")
right.legend()
figure.savefig("transport.png")
