"""
What an answer is due to
========================

Neural Programmer answers questions over tables by choosing operators and columns. Integrated
gradients attribute each choice to the words. You learn how to train it on generated questions, to
attribute an answer, and to check that the attributions add up.
"""

import matplotlib.pyplot as plt
import numpy as np

from pympf.explain.tables import NeuralProgrammer, generate_questions

train, test = generate_questions(300, seed=1), generate_questions(60, seed=2)
model = NeuralProgrammer(16, epochs=12, batch=20, least=3, program_share=1.0, seed=0).fit(train)
print(f"{model.score(test):.0%} of the new questions are answered right")

# %%
# The right answer that owes most choices to its question. The others are made by the table alone:
# the empty question would get the same.
right = [q for q, answer in zip(test, model.predict(test), strict=True) if answer == q.answer]
found = max(model.attribute(right[:12]), key=lambda one: len(one.selections))
print(" ".join(found.question.words), "->", found.question.answer)
for one in found.selections:
    word = found.terms[one.top(1)[0]]
    print(f"{one.kind} {one.chosen!r} instead of {one.default!r}: most due to {word!r}")
worst = max(abs(one.delta) for one in found.selections)
print(f"largest sum that the attributions miss: {worst:.1e}")

# %%
values = np.array([one.values for one in found.selections])
limit = np.abs(values).max()
figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
image = ax.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
ax.set_xticks(range(len(found.terms)), found.terms, rotation=40, ha="right")
ax.set_yticks(range(len(values)), [f"{one.kind} {one.chosen}" for one in found.selections])
figure.colorbar(image, label="attribution")
figure.savefig("question.png")
