"""
Several right-hand sides
========================

Which of many possible sources explains what a few sensors saw? A solve for each sensor answers for
all sources, because the Green's function is symmetric; and a block of them is solved together.
You learn that the columns of a block get the bits that they would get alone, in less time.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import pympf

n = 500
A = pympf.gallery.poisson((n, n))
rng = np.random.default_rng(1)
sensors = rng.choice(n * n, 8, replace=False)
B = np.zeros((n * n, sensors.size))
B[sensors, np.arange(sensors.size)] = 1.0

# %%
M = pympf.as_preconditioner(A)
begin = time.process_time()
together = pympf.solve(A, B, preconditioner=M)
middle = time.process_time()
alone = [pympf.solve(A, column, preconditioner=M).x for column in B.T]
end = time.process_time()
same = np.array_equal(together.x, np.stack(alone, axis=1))
print(f"together {middle - begin:.2f} s, one by one {end - middle:.2f} s, same bits: {same}")

# %%
# A source somewhere, seen with noise: the place whose column fits best.
source = 340 * n + 145
seen = 3.0 * together.x[source] * (1 + 0.01 * rng.standard_normal(sensors.size))
G = together.x  # G[place, sensor]
strength = (G @ seen) / (G**2).sum(axis=1)
misfit = ((seen - strength[:, None] * G) ** 2).sum(axis=1)
found = int(np.argmin(misfit))
off = np.hypot(found // n - source // n, found % n - source % n)
print(f"source at {divmod(source, n)}, found at {divmod(found, n)}, strength {strength[found]:.2f}")

figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
image = ax.imshow(np.log10(misfit).reshape(n, n), cmap="viridis_r")
ax.plot(sensors % n, sensors // n, "w^", label="sensors")
ax.plot(source % n, source // n, "r+", markersize=14, label="source")
ax.plot(found % n, found // n, "ko", fillstyle="none", markersize=12, label="found")
ax.legend(loc="upper right")
figure.colorbar(image, label="log10 of the misfit")
figure.savefig("right_hand_sides.png")
