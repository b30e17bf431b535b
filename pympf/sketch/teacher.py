"""Learning a modular network from (input, output, overall sketch) triples (theorem 5).

The network has a fixed tree of objects with nonnegative, essentially one-sparse attributes. Through
the identity of every (I + R)/2 the overall sketch of an object at depth h holds its attributes as

    s = w_θ / (32 · 16^(h-2)) R_{M,1} x_θ + noise,

where the noise, the same x_θ through 8^(h-1) - 1 other paths and all that is deeper, is dense and
small in each entry: so dictionary learning finds the columns of R_{M,1} in overall sketches. What
one depth explains is projected out before the next one, 16 times smaller, is looked for:

===========================  =======================================================================
step                         here
===========================  =======================================================================
columns and codes            `learn_dictionary` of what is left of the sketches
attributes                   `read_labels`: the largest code of a module in each sample
all that these explain       `without`: Y - Q Qᵀ Y, Q a basis of constants and indicators of labels
the tree                     `find_parent`: the module above with the most mutual information
the modules' functions       leaves from the inputs; inner ones and the output from their children
===========================  =======================================================================

The noise per entry of a clean block is about √(k n w b / d) at depth h, with k objects there, w
nonzero blocks of size b in a column and n = 8^(h-1); keep it below .3 (.23 at depth 3 with k = 2,
w = 1, d = 131 040).

References
----------
.. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
   2019, theorem 5 and section 4.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pympf.sketch.dictionary import Dictionary
from pympf.sketch.learning import learn_dictionary

__all__ = ["LearntModule", "LearntNetwork", "learn_network"]

Array = NDArray[Any]
Predictor = Callable[[Array], Array]
Learner = Callable[[Array, Array], Predictor]

SMALLEST_SHARE = 0.2
"""Matrices whose codes are smaller than this share of the largest ones are no attributes'."""
LEAST_ATTRIBUTE = 0.05
"""An attribute that is read less often than this share of the samples, by the number of attributes,
is chance."""


@dataclass
class LearntModule:
    """A module that was found in sketches.

    Attributes
    ----------
    depth : int
        Of its objects; 2 is next to the output.
    signature : int
        σ_m of its matrix R_{M,1}.
    weight : float
        Effective weight of its object, where attributes have norm 1.
    labels : numpy.ndarray of int, shape (n_samples,)
        Largest attribute in each sample; -1 where it could not be read.
    children : list of int
        Numbers of the modules of its inputs.
    """

    depth: int
    signature: int
    weight: float
    labels: Array
    children: list[int] = field(default_factory=list)
    predictor: Predictor | None = None


@dataclass
class LearntNetwork:
    """A network learnt back: `modules` in the order of depth, and the function of the output."""

    modules: list[LearntModule]
    output: Predictor

    def attributes(self, inputs: ArrayLike) -> Array:
        """Return the attribute of each module for new inputs.

        Not collective.

        Parameters
        ----------
        inputs : array_like, shape (n, n_features)

        Returns
        -------
        numpy.ndarray of int, shape (n, n_modules)

        Examples
        --------
        See `learn_network`.
        """
        X = np.asarray(inputs)
        found = np.zeros((len(X), len(self.modules)), np.int64)
        for i in reversed(range(len(self.modules))):  # children stand behind their parents
            module = self.modules[i]
            assert module.predictor is not None
            found[:, i] = module.predictor(found[:, module.children] if module.children else X)
        return found

    def predict(self, inputs: ArrayLike) -> Array:
        """Return the outputs for new inputs.

        Not collective.

        Parameters
        ----------
        inputs : array_like, shape (n, n_features)

        Returns
        -------
        numpy.ndarray, shape (n,)

        Examples
        --------
        See `learn_network`.
        """
        top = [i for i, module in enumerate(self.modules) if module.depth == 2]
        return self.output(self.attributes(inputs)[:, top])

    def __str__(self) -> str:
        """Draw the tree."""
        lines = ["output"]

        def draw(members: list[int], indent: str) -> None:
            for i in members:
                m = self.modules[i]
                values = len(np.unique(m.labels[m.labels >= 0]))
                lines.append(f"{indent}module {i}: weight {m.weight:.3f}, {values} attributes")
                draw(m.children, indent + "  ")

        draw([i for i, module in enumerate(self.modules) if module.depth == 2], "  ")
        return "\n".join(lines)


def learn_network(
    inputs: ArrayLike,
    outputs: ArrayLike,
    sketches: ArrayLike,
    block: int,
    weight: float,
    *,
    depth: int = 3,
    tau: float = 0.9,
    least_share: float = 0.25,
    learner: Learner | None = None,
    **options: Any,
) -> LearntNetwork:
    """Learn a modular network with a fixed tree back from what it did.

    Not collective.

    Parameters
    ----------
    inputs : array_like, shape (n_samples, n_features)
        What the modules at the leaves see.
    outputs : array_like, shape (n_samples,)
        Labels.
    sketches : array_like, shape (n_samples, d)
        Overall sketches.
    block, weight
        b, and nonzero blocks w of a column, of the scheme.
    depth : int
        Of the deepest objects.
    tau : float
        As in `learn_dictionary`.
    least_share : float
        Modules that are read in a smaller share of the samples are left out: β of theorem 5. In a
        fixed tree every object is there every time, but not every attribute is read.
    learner : callable, optional
        Takes inputs and labels, returns a function from inputs to labels; by default ridge
        regression on indicators.
    **options
        For `learn_dictionary`.

    Returns
    -------
    LearntNetwork

    Raises
    ------
    ValueError, TypeError
        If numbers of samples differ, no module is found at depth 2, or as in `learn_dictionary`.

    References
    ----------
    .. [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
       2019, theorem 5.

    Examples
    --------
    A network that tells which of four shades its input has:

    >>> import numpy as np
    >>> from pympf.sketch import Graph, Scheme, learn_network
    >>> scheme = Scheme(4128, b=48, w=1, seed=1)
    >>> def sketch(shade):
    ...     graph = Graph()
    ...     graph.add("it", "shade", np.eye(4)[shade])
    ...     graph.set_output({"it": 1.0})
    ...     return scheme.sketch(graph).values
    >>> known = np.stack([sketch(shade) for shade in range(4)])
    >>> X = np.random.default_rng(0).random((200, 1))
    >>> shade = (4 * X[:, 0]).astype(int)
    >>> def nearest(X, y):
    ...     return lambda Z: y[np.abs(Z - X.T).argmin(axis=1)]
    >>> network = learn_network(X, shade % 2, known[shade], 48, 1, depth=2, learner=nearest)
    >>> print(network)
    output
      module 0: weight 0.766, 4 attributes
    >>> network.predict([[0.1], [0.3], [0.6], [0.9]])
    array([0, 1, 0, 1])
    """
    X, y, Y = np.asarray(inputs), np.asarray(outputs), np.asarray(sketches)
    if not len(X) == len(y) == len(Y):
        raise ValueError(
            f"expected as many inputs, outputs and sketches, got {len(X)}, {len(y)}, {len(Y)}"
        )
    modules: list[LearntModule] = []
    for h in range(2, depth + 1):
        rest = without(Y, [module.labels for module in modules])
        dictionary = learn_dictionary(rest, block, weight, tau=tau, **options)
        found = read_modules(dictionary, h, least_share)
        above = [i for i, module in enumerate(modules) if module.depth == h - 1]
        if not found:
            if h == 2:
                raise ValueError(f"no module was found: {dictionary.report}")
            break
        for module in found:
            if above:
                parent = find_parent(module, modules, above)
                modules[parent].children.append(len(modules))
            modules.append(module)
    for module in modules:
        known: Array = module.labels >= 0
        if module.children:
            seen = np.stack([modules[i].labels for i in module.children], axis=1)
            known &= (seen >= 0).all(axis=1)
            module.predictor = learn_table(seen[known], module.labels[known])
        else:
            module.predictor = (learner or learn_ridge)(X[known], module.labels[known])
    top = np.stack([module.labels for module in modules if module.depth == 2], axis=1)
    whole = (top >= 0).all(axis=1)
    return LearntNetwork(modules, learn_table(top[whole], y[whole]))


def without(Y: Array, labels: list[Array]) -> Array:
    """Return samples without their means and all that is additive in labels."""
    indicators = [label[:, None] == np.unique(label) for label in labels]
    design = np.concatenate([np.ones((len(Y), 1)), *indicators], axis=1)
    U, s, _ = np.linalg.svd(design, full_matrices=False)
    Q = U[:, s > 1e-10 * s[0]].astype(Y.dtype)
    return Y - Q @ (Q.T @ Y)


def read_modules(dictionary: Dictionary, depth: int, share: float) -> list[LearntModule]:
    """Give the matrices that look like those of attributes."""
    found = []
    for m in range(dictionary.n_matrices):
        labels, size = read_labels(dictionary, m)
        scale = 32.0 * 16.0 ** (depth - 2)
        found.append(LearntModule(depth, int(dictionary.signatures[m]), scale * size, labels))
    found = [module for module in found if (module.labels >= 0).mean() >= share]
    largest = max((module.weight for module in found), default=0.0)
    return [module for module in found if module.weight >= SMALLEST_SHARE * largest]


def read_labels(dictionary: Dictionary, matrix: int) -> tuple[Array, float]:
    """Give the place of the largest code in each sample, and the size of large codes."""
    codes = dictionary.code(matrix)
    columns = np.unique(dictionary.column[dictionary.matrix == matrix])
    dense = codes[:, columns].toarray()
    best = dense.argmax(axis=1)
    top = dense[np.arange(len(dense)), best]
    size = float(np.median(top[top > 0])) if (top > 0).any() else 0.0
    labels = np.where(top > size / 2, columns[best], -1)
    values, counts = np.unique(labels, return_counts=True)
    rare = values[counts < LEAST_ATTRIBUTE * len(labels) / len(columns)]
    return np.where(np.isin(labels, rare), -1, labels), size


def find_parent(module: LearntModule, modules: list[LearntModule], above: list[int]) -> int:
    """Give the module above whose attribute tells most about this one's."""
    return max(above, key=lambda i: mutual_information(module.labels, modules[i].labels))


def mutual_information(a: Array, b: Array) -> float:
    """Return the mutual information of labels in nats, where both are known; unbiased to order 1/n.

    Not collective.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.sketch.teacher import mutual_information
    >>> x = np.arange(1000) % 2
    >>> round(mutual_information(x, x), 2), abs(round(mutual_information(x, x[::2].repeat(2)), 2))
    (0.69, 0.0)
    """
    both = (a >= 0) & (b >= 0)
    n = int(both.sum())
    if n == 0:
        return 0.0

    def entropy(labels: Array) -> float:
        counts = np.unique(labels, return_counts=True, axis=0)[1]
        return float(-(counts / n * np.log(counts / n)).sum() + (len(counts) - 1) / (2 * n))

    return entropy(a[both]) + entropy(b[both]) - entropy(np.stack([a[both], b[both]], axis=1))


def learn_table(X: Array, y: Array) -> Predictor:
    """Learn a function of a few labels: the most frequent value, or that of the nearest key."""
    values: dict[tuple[int, ...], Counter[Any]] = {}
    for key, value in zip(map(tuple, X.tolist()), y.tolist(), strict=True):
        values.setdefault(key, Counter())[value] += 1
    best = {key: counter.most_common(1)[0][0] for key, counter in values.items()}
    keys = np.array(list(best)).reshape(len(best), X.shape[1])
    outputs = np.array(list(best.values()))

    def predict(Z: Array) -> Array:
        different = (np.asarray(Z)[:, None, :] != keys).sum(axis=2)
        result: Array = outputs[different.argmin(axis=1)]
        return result

    return predict


def learn_ridge(X: Array, y: Array) -> Predictor:
    """Learn labels by ridge regression on their indicators."""
    labels = np.unique(y)
    design = np.concatenate([X.astype(float), np.ones((len(X), 1))], axis=1)
    gram = design.T @ design
    gram += 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram))
    W = np.linalg.solve(gram, design.T @ (y[:, None] == labels).astype(float))

    def predict(Z: Array) -> Array:
        result: Array = labels[(np.asarray(Z, float) @ W[:-1] + W[-1]).argmax(axis=1)]
        return result

    return predict
