"""
Gaussian process with a log-determinant
=======================================

The evidence of a Gaussian process needs log det K: n³ operations by a dense Cholesky factor. With a
kernel of compact support K is sparse: `pympf.solve` gives K⁻¹y, and `pympf.logdet` estimates log
det K with a standard error. You learn how to choose a length scale by them.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

import pympf

rng = np.random.default_rng(0)
points = np.sort(rng.uniform(0, 70, 2000))
signal = np.sin(points) + 0.5 * np.sin(0.3 * points)
y = signal + 0.3 * rng.standard_normal(points.size)


def kernel(support):
    """Return Wendland's function of the distances, zero beyond the support, plus the noise."""
    tree = cKDTree(points[:, None])
    distances = tree.sparse_distance_matrix(tree, support, output_type="coo_matrix").tocsr()
    r = distances.data / support
    distances.data = (1 - r) ** 4 * (4 * r + 1)
    n = points.size
    return sp.csr_array(distances) + 0.3**2 * sp.eye_array(n, format="csr")


# %%
# The log evidence of each length scale, twice: by estimates, and by a dense Cholesky factor.
supports = np.array([1.0, 1.5, 2.5, 4.0, 6.0, 9.0])
constant = points.size * np.log(2 * np.pi)
evidence, bars, exact = [], [], []
for support in supports:
    K = kernel(support)
    weights = pympf.solve(K, y).x
    estimate = pympf.logdet(K, n_probes=16)
    evidence.append(-0.5 * (y @ weights + estimate.value + constant))
    bars.append(0.5 * estimate.standard_error)
    exact.append(-0.5 * (y @ weights + np.linalg.slogdet(K.toarray())[1] + constant))
    print(f"{support:4.1f}: {evidence[-1]:.1f} +- {bars[-1]:.1f}, exact {exact[-1]:.1f}")
error = np.max(np.abs(np.subtract(evidence, exact)) / bars)
print(f"largest error: {error:.1f} standard errors")

# %%
# The fit with the best support.
best = supports[np.argmax(evidence)]
K = kernel(best)
fit = y - 0.3**2 * pympf.solve(K, y).x
rms = np.sqrt(np.mean((fit - signal) ** 2))
print(f"support {best}: off the signal by {rms:.3f}, with noise of 0.3")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.errorbar(supports, evidence, yerr=bars, fmt="o", label="estimated")
left.plot(supports, exact, "-", zorder=0, label="dense Cholesky")
left.set(xlabel="support of the kernel", ylabel="log evidence")
left.legend()
right.plot(points, y, ".", markersize=2, color="0.7")
right.plot(points, fit, label="Gaussian process")
right.set(xlim=(0, 40), xlabel="x")
right.legend()
figure.savefig("gaussian_process.png")
