"""
A patched network
=================

A network knows the digits 0 to 4. A patch, some of its weights, teaches it 5 to 9 and leaves all
others as they are. You learn how to add, train and exchange patches, and what a small one costs
against a network of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from pympf.nets.patches import DepthwiseFilters, LastLayer, ScaleBias, residual_network

images, labels = load_digits(return_X_y=True)
images = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
known, new = labels < 5, labels >= 5
train = np.arange(labels.size) % 3 > 0


def small_network(seed):
    """Return two inverted residual blocks and a last layer for five classes."""
    return residual_network(
        (1, 8, 8), 5, ((2, 16, 1), (3, 24, 2)), stem_stride=1, head=64, seed=seed
    )


net = small_network(0).fit(images[known & train], labels[known & train], epochs=6, batch=32)
before = net.score(images[known & ~train], labels[known & ~train])

# %%
# Patches for the new digits, each trained on the same images for as many epochs.
count = net.count()
patches = {
    "last layer": LastLayer(5),
    "+ scales, biases": ScaleBias() | LastLayer(5),
    "+ depthwise filters": ScaleBias() | DepthwiseFilters() | LastLayer(5),
}
scores, sizes = {}, {}
for name, patch in patches.items():
    net.add_patch(name, patch)
    net.set_patch(name)
    net.fit(images[new & train], labels[new & train] - 5, epochs=6, batch=32)
    scores[name] = net.score(images[new & ~train], labels[new & ~train] - 5)
    sizes[name] = sum(count[group] for group in patch.groups)

own = small_network(1).fit(images[new & train], labels[new & train] - 5, epochs=6, batch=32)
scores["own network"] = own.score(images[new & ~train], labels[new & ~train] - 5)
sizes["own network"] = count["all"]
for name, score in scores.items():
    print(f"{name:<20} {sizes[name]:5d} numbers, {score:.1%} right")

# %%
# Without a patch the network is what it was, bit for bit.
net.set_patch(None)
after = net.score(images[known & ~train], labels[known & ~train])
print(f"digits 0 to 4: {before:.1%} before, {after:.1%} after")

figure, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
bars = ax.barh(list(scores), list(scores.values()), color="tab:blue")
ax.bar_label(bars, [f"{sizes[name]} numbers" for name in scores], padding=4)
ax.set(xlim=(0, 1.25), xlabel="digits 5 to 9 that are right")
ax.invert_yaxis()
figure.savefig("patched_network.png")
