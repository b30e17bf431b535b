"""
Compress an attention matrix
============================

An attention matrix mixes a band (near words), columns (words that all look at) and a little of
everything. You learn what `pympf.compress` tries for a number of bytes, and how far a truncated
SVD, the usual choice, gets with the same.
"""

import matplotlib.pyplot as plt
import numpy as np

import pympf

rng = np.random.default_rng(0)
n = 256
place = np.arange(n)
words = rng.standard_normal((40, 16))[rng.integers(0, 40, n)]  # 40 words that come again
scores = 0.12 * words @ words.T - 0.3 * np.abs(place[:, None] - place) ** 0.6
scores[:, rng.choice(n, 4, replace=False)] += 2.0
weights = np.exp(scores - scores.max(axis=1, keepdims=True))
attention = weights / weights.sum(axis=1, keepdims=True)

# %%
# The best of each kind for an eighth of the bytes.
nbytes = attention.nbytes // 8
best = pympf.compress(attention, nbytes)
for trial in pympf.approx.compression_curve(attention, [nbytes]):
    print(f"{trial.kind:<24} error {trial.error:.4f}")
print(f"taken: {best.trial.kind}")
compressed = best @ np.eye(n)
error = np.linalg.norm(attention - compressed) / np.linalg.norm(attention)

# %%
U, s, Vt = np.linalg.svd(attention)
rank = nbytes // (8 * (2 * n + 1))
low_rank = np.sqrt((s[rank:] ** 2).sum() / (s**2).sum())
print(f"pympf.compress {error:.4f}, SVD of rank {rank} {low_rank:.4f}")

figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
pictures = {
    "attention": attention,
    f"compress: {error:.3f}": compressed,
    f"SVD, same bytes: {low_rank:.3f}": (U[:, :rank] * s[:rank]) @ Vt[:rank],
}
for ax, (title, matrix) in zip(axes, pictures.items(), strict=True):
    ax.imshow(np.log10(np.maximum(matrix, 1e-6)), cmap="magma", vmin=-5, vmax=0)
    ax.set_title(title)
    ax.axis("off")
figure.savefig("attention.png")
