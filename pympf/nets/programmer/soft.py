"""The operators soft, and the loss of what they compute: what training from answers differentiates.

Every operator acts on a selection s of [0, 1]^m, mixed by the probabilities of operators and
columns. With one-hot probabilities this is the hard execution, as the tests check.

References
----------
.. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
   interface with Neural Programmer", ICLR 2017, sections 2.3 and 2.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pympf.nets import graph
from pympf.nets._checks import Array
from pympf.nets.graph import Node
from pympf.nets.programmer.encode import Batch
from pympf.nets.programmer.network import Selections
from pympf.nets.programmer.operators import OPERATORS

__all__ = ["Outputs", "answer_loss", "negative_entropy", "program_loss", "run"]

PRINT_COST, COUNT_COST = 50.0, 3.0
# Of logarithms; the second bounds the cost of a wrong cell.
TINY, SMALL = 1e-9, 1e-6


class Outputs(NamedTuple):
    """What the last step gives, for B questions.

    Parameters
    ----------
    counted : Node, shape (B,)
        The count, times the probability to count.
    printed : Node, shape (B, n, m)
        How probable each cell is printed.

    Examples
    --------
    See `run`.
    """

    counted: Node
    printed: Node


def run(batch: Batch, selections: Selections) -> Outputs:
    """Run the soft program.

    Not collective.

    Parameters
    ----------
    batch : Batch
        B questions.
    selections : Selections
        Probabilities; those of the last step say whether to count or to print, and which column.

    Returns
    -------
    Outputs
        Nodes.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import variable
    >>> from pympf.nets.programmer import OPERATORS, Question, Table, Vocabulary
    >>> from pympf.nets.programmer.encode import encode
    >>> from pympf.nets.programmer.network import Selections
    >>> from pympf.nets.programmer.soft import run
    >>> table = Table(("gold",), (("1", "5"),))
    >>> batch = encode([Question((), table, np.zeros((1, 2)), np.ones(1))], Vocabulary(), 1)
    >>> hard = [variable(np.eye(15)[[OPERATORS.index(op)]]) for op in ("reset", "max", "count")]
    >>> run(batch, Selections(hard, [variable(np.ones((1, 1)))] * 3)).counted.value
    array([1.])
    """
    rows: Node | Array = batch.rows
    *before, last = zip(selections.operators, selections.columns, strict=True)
    for op_probs, col_probs in before:
        rows = _step(batch, op_probs, col_probs, rows) * batch.rows
    op_probs, col_probs = last
    kept = graph.multiply(rows, op_probs[:, [OPERATORS.index("print")]])
    return Outputs(
        counted=op_probs[:, OPERATORS.index("count")] * graph.sum(rows, 1),
        printed=graph.einsum("bn,bm->bnm", col_probs, kept),
    )


def _step(batch: Batch, op_probs: Node, col_probs: Node, rows: Node | Array) -> Node:
    """Mix the results of all operators, stacked in the order of `OPERATORS`."""
    fresh = graph.einsum("bonm,bn->bom", batch.masks, col_probs)
    shape = batch.has_number.shape
    able = graph.multiply(graph.reshape(rows, (shape[0], 1, shape[2])), batch.has_number)
    gap, nothing = np.zeros((len(batch.rows), 1)), np.zeros_like(batch.rows)
    prev = graph.concatenate([graph.index(rows, (slice(None), slice(1, None))), gap])
    after = graph.concatenate([gap, graph.index(rows, (slice(None), slice(None, -1)))])
    extremes = [
        graph.einsum("bnm,bn->bm", extreme(able, batch.order), col_probs)
        for extreme in (graph.soft_largest, graph.soft_smallest)
    ]
    ends = [graph.soft_first(rows), graph.soft_last(rows)]
    results = [
        graph.stack([nothing, prev, after, *ends]),
        fresh[:, :-1],
        graph.stack(extremes),
        fresh[:, -1:],
        graph.stack([batch.rows, nothing]),
    ]
    return graph.einsum("bom,bo->bm", graph.concatenate(results, axis=1), op_probs)


def answer_loss(batch: Batch, outputs: Outputs) -> Node:
    """Compute the loss of each question by its answer.

    A count costs x = (c - a)²/(2 rows), bounded by 3: 3 (1 - exp(-x/3)). (The published min(x, 3)
    has no gradient where a is large, so that large counts would not be learned.) Cells cost
    50/#cells times the cross-entropy of what is printed; of the cells that hold a text of the
    answer the most probable one counts, the others are neither right nor wrong. An answer that can
    be either costs the soft minimum of both.

    Not collective.

    Parameters
    ----------
    batch : Batch
        B questions; those without answer cost 0.
    outputs : Outputs
        Of `run`.

    Returns
    -------
    Node, shape (B,)
        Losses.

    Examples
    --------
    See `NeuralProgrammer`.
    """
    wanted = batch.count >= 0
    off = outputs.counted - np.where(wanted, batch.count, 0.0)
    of_count = graph.square(off) * (0.5 / batch.rows.sum(1) / COUNT_COST)
    of_count = (1 - graph.exp(-of_count)) * COUNT_COST
    right, wrong = _targets(batch, outputs.printed.value)
    cells = (batch.present[:, :, np.newaxis] & (batch.rows[:, np.newaxis] > 0)).sum((1, 2))
    cost = -PRINT_COST / cells[:, np.newaxis, np.newaxis]
    of_cells = graph.log(outputs.printed, TINY) * (cost * right)
    of_cells = of_cells + graph.log(1 - outputs.printed, SMALL) * (cost * wrong)
    of_print = graph.sum(of_cells, (1, 2))
    printable = right.any((1, 2))
    # Softmin with the weights held: their derivative would reward the worse of the two.
    a, b = of_count.value, of_print.value
    a, b = np.where(wanted, a, np.inf), np.where(printable, b, np.inf)
    least = np.where(wanted | printable, np.minimum(a, b), 0)
    weights = np.exp(-(a - least)), np.exp(-(b - least))
    total = np.where(wanted | printable, weights[0] + weights[1], 1)
    return of_count * (weights[0] / total) + of_print * (weights[1] / total)


def _targets(batch: Batch, printed: Array) -> tuple[Array, Array]:
    """Give the cells to print and those not to, as 0 and 1."""
    B = len(printed)
    right = np.zeros((B, printed[0].size))
    for t in range(1, batch.printed.max() + 1):
        candidates = np.where(batch.printed == t, printed, -1).reshape(B, -1)
        best = candidates.argmax(1)
        there = candidates.max(1) >= 0
        right[np.flatnonzero(there), best[there]] = 1
    there = batch.present[:, :, np.newaxis] & (batch.rows[:, np.newaxis] > 0)
    return right.reshape(printed.shape), there & (batch.printed == 0)


def program_loss(batch: Batch, selections: Selections, seen: Array) -> Node:
    """Compute the cross-entropy of the programs of some questions.

    Not collective.

    Parameters
    ----------
    batch : Batch
        B questions.
    selections : Selections
        Probabilities.
    seen : ndarray of bool, shape (B,)
        Whose programs count.

    Returns
    -------
    Node, shape (B,)
        Summed over the steps; columns count where the operator uses one.

    Examples
    --------
    See `NeuralProgrammer`.
    """
    terms = []
    for k, (operators, columns) in enumerate(zip(*selections, strict=True)):
        for probs, target in ((operators, batch.operators[:, k]), (columns, batch.columns[:, k])):
            counts = seen & (target >= 0)
            picked = graph.pick(probs, np.maximum(target, 0))
            terms.append(graph.log(picked, TINY) * np.where(counts, -1.0, 0.0))
    return graph.sum(graph.stack(terms), 1)


def negative_entropy(selections: Selections) -> Node:
    """Compute Σ p log p of operators and columns, summed over the steps.

    Not collective.

    Parameters
    ----------
    selections : Selections
        Probabilities.

    Returns
    -------
    Node, shape (B,)
        0 where all is decided.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.graph import variable
    >>> from pympf.nets.programmer.network import Selections
    >>> from pympf.nets.programmer.soft import negative_entropy
    >>> half = variable(np.array([[0.5, 0.5]]))
    >>> negative_entropy(Selections([half], [half])).value.round(3)
    array([-1.386])
    """
    every = [*selections.operators, *selections.columns]
    return graph.sum(graph.stack([graph.sum(p * graph.log(p, TINY), 1) for p in every]), 1)
