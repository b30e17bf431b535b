"""
A repository of sketches
========================

A camera sees many frames. Each is kept as a short sketch on disk; the repository finds the frames
that look like a new one, and forgets to a budget. You learn how to add, query and forget, and what
forgetting costs.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from pympf.sketch import Repository, Scheme

digits = load_digits()
X = digits.images.repeat(4, axis=1).repeat(4, axis=2).reshape(len(digits.images), -1) / 16
X = np.pad(X - X.mean(axis=0), ((0, 0), (0, 26)))  # 1050 numbers, 25 blocks of b = 42
frames, new = X[:1500], X[1500:]
kind, truth = digits.target[:1500], digits.target[1500:]
scheme = Scheme(X.shape[1], b=42, seed=1)

# %%
# The nearest frame by all numbers says what a new frame shows; sketches should say the same.
unit = frames / np.linalg.norm(frames, axis=1, keepdims=True)
exact = np.mean(kind[np.argmax(new @ unit.T, axis=1)] == truth)
print(f"by all numbers: {exact:.3f} right, {frames.nbytes / 1e6:.1f} MB")

right, sizes = [], []
with tempfile.TemporaryDirectory() as folder:
    with Repository.create(Path(folder) / "seen", scheme) as repository:
        repository.add(frames, labels=[str(k) for k in kind])
    for share in (1, 2, 4, 8):
        with Repository(Path(folder) / "seen", "a") as repository:
            if share > 1:
                repository.forget(repository.bytes / 2)
        reader = Repository(Path(folder) / "seen")
        similarity, ids = reader.query(new, k=1)
        right.append(np.mean(kind[ids[:, 0]] == truth))
        sizes.append(reader.bytes / 1e6)
        print(f"by sketches: {right[-1]:.3f} right, {sizes[-1]:.2f} MB")

figure, (left, axes) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.semilogx(sizes, right, "o-", label="sketches")
left.axhline(exact, color="0.5", linestyle="--", label="all numbers")
left.set(xlabel="megabytes on disk", ylabel="right")
left.legend()


def picture(x):
    """Undo the padding."""
    return x[:1024].reshape(32, 32)


pairs = [np.hstack([picture(new[q]), picture(X[ids[q, 0]])]) for q in range(12)]
axes.imshow(np.vstack([np.hstack(pairs[i : i + 4]) for i in (0, 4, 8)]), cmap="gray_r")
axes.set_title("new frame, and what is remembered (pairs)")
axes.axis("off")
figure.savefig("sketch_repository.png")
