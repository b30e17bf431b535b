"""
Fiedler vector and spectral clustering
======================================

The eigenvectors of the smallest eigenvalues of a graph Laplacian show its parts. SciPy's `lobpcg`
finds them with few products if it is given a preconditioner. You learn how a preconditioner of a
singular matrix is handed to `lobpcg`.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import eigsh, lobpcg
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

import pympf

points, moon = make_moons(4000, noise=0.08, random_state=0)
near = kneighbors_graph(points, 10)
L = pympf.gallery.laplacian(near.maximum(near.T))

# %%
# The constant vector spans the nullspace; `Y` keeps the search orthogonal to it.
n = L.shape[0]
start = np.random.default_rng(0).standard_normal((n, 4))
constants = np.ones((n, 1))
products = {}
for name, M in {"pympf": pympf.as_preconditioner(L), "none": None}.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a preconditioner 60 steps are not enough
        values, vectors, history = lobpcg(
            L,
            start,
            M=M,
            Y=constants,
            largest=False,
            tol=1e-6,
            maxiter=60,
            retResidualNormsHistory=True,
        )
    products[name] = history
    print(
        f"{name}: {len(history)} steps, eigenvalues {np.array2string(np.sort(values), precision=5)}"
    )
    if name == "pympf":
        found, fiedler = np.sort(values), vectors[:, np.argmin(values)]

exact = np.sort(eigsh(L.tocsc(), 5, sigma=-1e-6, return_eigenvectors=False))[1:]
error = np.max(np.abs(found - exact) / exact)
print(f"relative error of the eigenvalues: {error:.1e}")

# %%
# Two groups by the Fiedler vector, next to k-means on the points.
by_sign = adjusted_rand_score(moon, fiedler > 0)
by_means = adjusted_rand_score(moon, KMeans(2, n_init=4, random_state=0).fit_predict(points))
print(f"adjusted Rand index: Fiedler vector {by_sign:.2f}, k-means {by_means:.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.scatter(*points.T, c=fiedler, s=3, cmap="coolwarm")
left.set_title("Fiedler vector")
for name, history in products.items():
    right.semilogy([np.max(norms) for norms in history], label=f"preconditioner: {name}")
right.set(xlabel="step of lobpcg", ylabel="largest residual")
right.legend()
figure.savefig("spectral_clustering.png")
