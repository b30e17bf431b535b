"""
Near duplicates
===============

Find, for each of some noisy digits, the digit it was made from. You learn how a hash
table answers, and what share of the brute-force answers it finds at what cost.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from pympf.lsh import HyperplaneHash, Table

X = load_digits().data
rng = np.random.default_rng(0)
chosen = rng.choice(len(X), 300, replace=False)
queries = X[chosen] + 1.5 * rng.standard_normal((300, 64))

# %%
# Centred, as hyperplanes see angles. One table of 256 bits ranks by the bits that differ.
mean = X.mean(axis=0)
table = Table(HyperplaneHash(64, n_functions=256, seed=1)).fit(X - mean)
exact = NearestNeighbors(n_neighbors=10).fit(X).kneighbors(queries, return_distance=False)
candidates = np.array([10, 20, 40, 80, 160])
recall, seconds = [], []
for c in candidates:
    begin = time.process_time()
    _, ids = table.query(queries - mean, k=10, candidates=int(c))
    seconds.append((time.process_time() - begin) / len(queries))
    recall.append(np.mean([np.isin(a, b).mean() for a, b in zip(exact, ids, strict=True)]))
    print(f"{c:4d} of {len(X)} measured: recall of ten {recall[-1]:.3f}")
original = np.mean(ids[:, 0] == chosen)
print(f"the original came first for {original:.1%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(candidates, recall, "o-")
left.set(xscale="log", xlabel="candidates measured", ylabel="recall of the ten nearest")
tiles = [
    np.hstack([q.reshape(8, 8), *X[i[:5]].reshape(5, 8, 8)])
    for q, i in zip(queries, ids, strict=True)
]
right.imshow(np.vstack(tiles[:5]), cmap="gray_r")
right.axvline(7.5, color="tab:red")
right.set_title("query | its neighbours")
right.axis("off")
figure.savefig("near_duplicates.png")
