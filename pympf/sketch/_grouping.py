"""From the clean blocks of all ranks to columns: a column's blocks are counted on one rank."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from pympf._engine import dictionary as _engine
from pympf.la import Ranks
from pympf.sketch.dictionary import Array, Dictionary, Settings


def group(
    parts: list[Array], shape: tuple[int, ...], settings: Settings, ranks: Ranks
) -> Dictionary:
    """Make columns of blocks, and codes of the samples: what each part says, added up. Collective.

    A column is made on the rank that its place names; then all ranks have it.
    """
    blocks = _sent_to_owners(np.concatenate(parts), shape[0], ranks)
    with ranks.guard():
        groups = _engine.Groups(blocks, settings.engine_rule())
    every = ranks.gather((groups.matrices(), groups.column_counts()))
    matrices, counts = (np.concatenate(part) for part in zip(*every, strict=True))
    signatures, which = np.unique(matrices, return_inverse=True)
    kept = signatures[np.bincount(which, counts, len(signatures)) >= settings.min_columns]
    known = _assembled(_shared(groups.dictionary(kept), ranks), kept, settings)
    known.codes = sp.csr_array((shape[0], known.n_matrices * known.size))
    for part in parts:
        known.codes = known.codes + known._decoded(part, known.codes)
    return known


def _sent_to_owners(blocks: Array, samples: int, ranks: Ranks) -> Array:
    """Give each rank the blocks of its columns. Collective."""
    if ranks.size == 1:
        return blocks
    blocks["sample"] += ranks.before(samples)
    mixed = blocks["matrix"] * np.uint64(0x9E3779B97F4A7C15) + blocks["column"].astype(np.uint64)
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    owner = (mixed >> np.uint64(33)) % np.uint64(ranks.size)
    return np.concatenate(ranks.exchange([blocks[owner == rank] for rank in range(ranks.size)]))


def _shared(found: dict[str, Array], ranks: Ranks) -> dict[str, Array]:
    """Give all ranks the atoms of all, by matrix and column. Collective."""
    names = ("matrix", "column", "string", "hits")
    atoms = {name: found[name] for name in (*names, "row", "signs")}
    atoms["count"] = np.diff(found["row_start"])
    if ranks.size == 1:
        return atoms
    every = ranks.gather(atoms)
    atoms = {name: np.concatenate([part[name] for part in every]) for name in atoms}
    order = np.lexsort((atoms["column"], atoms["matrix"]))
    owner = np.repeat(np.arange(len(order)), atoms["count"])
    places = np.argsort(np.argsort(order)[owner], kind="stable")
    return {name: atoms[name][order] for name in (*names, "count")} | {
        name: atoms[name][places] for name in ("row", "signs")
    }


def _assembled(atoms: dict[str, Array], signatures: Array, settings: Settings) -> Dictionary:
    return Dictionary(
        settings=settings,
        signatures=signatures,
        matrix=np.searchsorted(signatures, atoms["matrix"]),
        column=atoms["column"],
        strings=atoms["string"],
        hits=atoms["hits"],
        row_start=np.concatenate([[0], np.cumsum(atoms["count"])]),
        row=atoms["row"],
        signs=atoms["signs"],
        codes=sp.csr_array((0, 0)),
        report={},
    )
