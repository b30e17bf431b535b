"""
Segment a photograph
====================

A random walker starts in a pixel and crosses edges between pixels that look alike. The probability
that he meets the photographer's marks before those of the background is the solution of one sparse
system. You learn how `pympf.solve` is called, and how it compares with a direct solver.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import splu
from skimage import data

import pympf

image = data.camera()[::2, ::2] / 255.0
marks = np.zeros(image.shape, dtype=int)
marks[85:100, 105:115] = marks[120:150, 100:110] = 1  # the photographer
marks[:, 0] = marks[:, -1] = marks[0] = marks[40:60, 180:200] = 2  # not him
A, b, unknowns = pympf.gallery.random_walker(image, marks, beta=300.0)

# %%
# The system has a row for each pixel without a mark. The preconditioner is chosen by itself.
solution = pympf.solve(A, b)
print(solution.choice)
print(f"{A.shape[0]} pixels, {solution.iterations} iterations")
print(f"{solution.setup_s + solution.solve_s:.2f} s, residual {solution.true_residual:.1e}")

# %%
# The same by a sparse LU factorization.
begin = time.perf_counter()
exact = splu(A.tocsc()).solve(b)
error = np.abs(solution.x - exact).max()
print(f"SuperLU: {time.perf_counter() - begin:.2f} s, largest difference {error:.1e}")

# %%
probability = (marks == 1).astype(float)
probability.flat[unknowns] = solution.x
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5))
left.imshow(image, cmap="gray")
left.contour(marks == 1, levels=[0.5], colors="tab:green")
left.contour(marks == 2, levels=[0.5], colors="tab:orange")
left.set_title("marks")
right.imshow(image, cmap="gray")
right.imshow(np.ma.masked_less(probability, 0.5), cmap="autumn", alpha=0.5)
right.set_title("where probability > 1/2")
for axes in (left, right):
    axes.axis("off")
figure.savefig("segmentation.png")
