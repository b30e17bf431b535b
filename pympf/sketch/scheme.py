"""Recursive sketches of communication graphs.

With (I + R)/2 for "either as it is, or as R turns it", and objects of depth 2 where the output has
depth 1 (paper 000, section 3.3):

    s_overall    = sum over i of w_i (I + R^in_{1,i})/2 s_object(θ_i)
    s_object(θ)  = (I + R_{M,0})/2 [   1/2 (I + R^attr_{h,1})/2 s_attr
                                     + 1/2 (I + R^attr_{h,2})/2 s_input ]
    s_attr(θ)    = 1/2 R_{M,1} x + 1/2 R_{M,2} e_1 (+ 1/2 R_{M,3} σ/√t)
    s_input(θ)   = sum over i of w_i (I + R^in_{h,i})/2 s_object(θ_i)

    paper                      here
    R_{M,0} … R_{M,3}          scheme.matrix(module, 0) … scheme.matrix(module, 3)
    R_1, R_2 … of tuples       scheme.input_matrix(h, i), scheme.attribute_matrix(h, 1 or 2)
    x_θ, σ, e_1                attributes, signature, first unit vector
    d_sketch                   d

The products themselves are in `pympf.sketch._products`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from typing import Any

from pympf.la import Ranks, checks
from pympf.sketch._products import Columns, Products
from pympf.sketch._sketch import Sketch
from pympf.sketch.graph import Graph, expand
from pympf.sketch.matrices import BlockSparse, Orthonormal, SketchMatrix

__all__ = ["Scheme"]

FAMILIES = ("block", "orthonormal")
TUPLE_KEYS = ("per_depth", "shared")


class Scheme(Products):
    """All random matrices of a sketch, by key; what sketches are made and read with.

    Collective, if there is a communicator: then every rank holds the rows of the matrices that are
    its own, and all ranks get the same, whole sketches.

    Parameters
    ----------
    d : int
        Dimension of the sketches. For ``family="block"`` it is made of whole blocks
        (`fit_dimension`), for ``"orthonormal"`` a power of two.
    b, q, w
        Of the block-sparse matrices, see `BlockSparse`.
    family : {'block', 'orthonormal'}
        Block-sparse matrices can be learnt back; orthonormal ones have half the noise.
    tuple_keys : {'per_depth', 'shared'}
        Whether the matrices of tuples are those of their role, depth and index, or, as the paper
        has it literally, of their index alone. Shared ones break theorem 1 (ii): an object and
        its siblings' attributes are mixed up.
    seed : int
        0 to 2^64 − 1.
    stored : bool
        As in `BlockSparse`.
    comm : mpi4py.MPI.Comm, optional
        None: this process alone.

    References
    ----------
    .. [1] Paper 000, section 3.

    Examples
    --------
    >>> from pympf.sketch import Graph, Scheme
    >>> graph = Graph()
    >>> graph.add("tom", "cat", [0.6, 0.8])
    >>> graph.set_output({"tom": 1.0})
    >>> scheme = Scheme(1050, b=42, seed=1)
    >>> sketch = scheme.sketch(graph)
    >>> sketch.d, round(sketch.norm(), 1)
    (1050, 0.1)
    """

    def __init__(
        self,
        d: int,
        *,
        b: int | None = None,
        q: float | None = None,
        w: int | None = None,
        family: str = "block",
        tuple_keys: str = "per_depth",
        seed: int = 0,
        stored: bool = False,
        comm: Any = None,
    ) -> None:
        checks.choice(family, "family", tuple(FAMILIES))
        checks.choice(tuple_keys, "tuple_keys", tuple(TUPLE_KEYS))
        if family == "orthonormal" and (b, q, w) != (None, None, None):
            raise ValueError("b, q and w are of family = 'block'")
        self.family, self.tuple_keys, self.stored = family, tuple_keys, stored
        self._ranks = Ranks(comm)
        self._given: dict[str, Any] = {"b": b, "q": q, "w": w}
        self.seed = seed
        self._matrices: dict[tuple[Any, ...], SketchMatrix] = {}
        self._norms2: dict[tuple[Any, ...], float] = {}
        self.d = d
        first = self.matrix("", 0)  # says what is wrong with the sizes
        self.d, self.b, self._own_rows = first.d, first.b, first.own_rows
        if isinstance(first, BlockSparse):
            self._given = {"b": first.b, "q": q, "w": first.w}
        self._ranks.same(self.parameters, "scheme")

    @property
    def parameters(self) -> dict[str, Any]:
        """What the matrices depend on: ``Scheme(**parameters)`` has the same ones."""
        return {
            "d": self.d,
            **self._given,
            "family": self.family,
            "tuple_keys": self.tuple_keys,
            "seed": self.seed,
        }

    @property
    def checksum(self) -> str:
        """16 hexadecimal digits of the parameters, which every sketch carries."""
        text = repr(sorted(self.parameters.items()))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def matrix(self, *key: Hashable) -> SketchMatrix:
        """Return the matrix of a key, which is made at its first use.

        Collective.

        Parameters
        ----------
        *key : hashable
            ``module, 0 … 3`` for R_{M,0} … R_{M,3}.

        Returns
        -------
        BlockSparse or Orthonormal

        Examples
        --------
        >>> from pympf.sketch import Scheme
        >>> Scheme(1050, b=42).matrix("cat", 1).name
        "('cat', 1)"
        """
        if key not in self._matrices:
            name = repr(tuple(str(part) for part in key[:-1]) + key[-1:])
            if self.family == "block":
                made: SketchMatrix = BlockSparse(
                    self.d,
                    **self._given,
                    seed=self.seed,
                    name=name,
                    stored=self.stored,
                    comm=self._ranks,
                )
            else:
                made = Orthonormal(self.d, seed=self.seed, name=name, comm=self._ranks)
            self._matrices[key] = made
        return self._matrices[key]

    def input_matrix(self, depth: int, index: int) -> SketchMatrix:
        """Return the matrix at an index of the input tuples of the objects of a depth.

        Collective.

        Parameters
        ----------
        depth : int
            1 for the output.
        index : int
            From 1.

        Examples
        --------
        >>> from pympf.sketch import Scheme
        >>> scheme = Scheme(1050, b=42, tuple_keys="shared")
        >>> scheme.input_matrix(1, 2) is scheme.attribute_matrix(5, 2)
        True
        """
        if self.tuple_keys == "shared":
            return self.matrix("tuple", index)
        return self.matrix("input", depth, index)

    def attribute_matrix(self, depth: int, index: int) -> SketchMatrix:
        """Return the matrix of the attributes (index 1) or inputs (2) of the objects of a depth.

        Collective.

        Parameters
        ----------
        depth, index : int

        Examples
        --------
        See `input_matrix`.
        """
        if self.tuple_keys == "shared":
            return self.matrix("tuple", index)
        return self.matrix("attributes", depth, index)

    def counter_norm2(self, module: Hashable) -> float:
        """Return |R_{M,2} e_1|², by which estimates of frequencies are divided.

        Collective.

        Parameters
        ----------
        module : hashable

        Examples
        --------
        >>> from pympf.sketch import Scheme
        >>> round(Scheme(1050, b=42).counter_norm2("cat"), 12)
        1.0
        """
        R = self.matrix(module, 2)
        return float(R.column_norms2([0])[0]) if isinstance(R, BlockSparse) else 1.0

    # ---- sketches --------------------------------------------------------------------------------

    def sketch(self, graph: Graph) -> Sketch:
        """Return the overall sketch of a graph.

        Collective.

        Parameters
        ----------
        graph : Graph

        Returns
        -------
        Sketch

        Raises
        ------
        ValueError
            If the graph has a cycle or an unknown input, or an attribute is longer than d.

        Examples
        --------
        See `Scheme`.
        """
        return self.sketch_many([graph])[0]

    def sketch_many(self, graphs: Iterable[Graph]) -> list[Sketch]:
        """Return the overall sketches of many graphs, which go through the matrices together.

        Collective.

        Parameters
        ----------
        graphs : iterable of Graph

        Returns
        -------
        list of Sketch

        Raises
        ------
        ValueError
            As in `sketch`.

        Examples
        --------
        >>> from pympf.sketch import Graph, Scheme
        >>> graph = Graph()
        >>> graph.add("tom", "cat", [0.6, 0.8])
        >>> graph.set_output({"tom": 1.0})
        >>> len(Scheme(1050, b=42).sketch_many([graph, graph]))
        2
        """
        with self._ranks.guard():
            levels = expand(graphs)
        return self._sketches(self.whole(self.forward(levels)[0]))

    def object_sketch(self, graph: Graph, name: Hashable, depth: int | None = None) -> Sketch:
        """Return the sketch of one object of a graph.

        Collective.

        Parameters
        ----------
        graph : Graph
        name : hashable
        depth : int, optional
            Needed where the object stands at several depths.

        Returns
        -------
        Sketch

        Raises
        ------
        ValueError
            If there is no such object, or it stands at several depths.

        Examples
        --------
        >>> from pympf.sketch import Graph, Scheme
        >>> graph = Graph()
        >>> graph.add("tom", "cat", [0.6, 0.8])
        >>> graph.set_output({"tom": 1.0})
        >>> round(Scheme(1050, b=42).object_sketch(graph, "tom").norm(), 1)
        0.2
        """
        with self._ranks.guard():
            levels = expand([graph])
            depths = [level.depth for level in levels if name in level.names]
            depths = [h for h in depths if depth in (None, h)]
            if len(depths) != 1:
                raise ValueError(f"{name!r} stands at depths {depths}; expected one")
        sketches = self.forward(levels)[depths[0] - 1]
        column = levels[depths[0] - 1].names.index(name)
        return self._sketches(self.whole(sketches[:, column : column + 1]))[0]

    def object_sketches(self, graph: Graph) -> dict[Hashable, Sketch]:
        """Return the sketches of all objects of a graph that have a path to the output.

        Collective.

        Parameters
        ----------
        graph : Graph

        Returns
        -------
        dict
            By name. Of an object that stands at several depths, that of the least.

        Raises
        ------
        ValueError
            As in `sketch`.

        Examples
        --------
        >>> from pympf.sketch import Graph, Scheme
        >>> graph = Graph()
        >>> graph.add("tom", "cat", [0.6, 0.8])
        >>> graph.set_output({"tom": 1.0})
        >>> list(Scheme(1050, b=42).object_sketches(graph))
        ['tom']
        """
        with self._ranks.guard():
            levels = expand([graph])
        found: dict[Hashable, Sketch] = {}
        for level, columns in list(zip(levels, self.forward(levels), strict=True))[:0:-1]:
            found |= zip(level.names, self._sketches(self.whole(columns)), strict=True)
        return found

    # ---- vectors ---------------------------------------------------------------------------------

    def check(self, sketch: Sketch) -> None:
        """Raise ValueError for a sketch of another scheme.

        Not collective.

        Parameters
        ----------
        sketch : Sketch

        Examples
        --------
        >>> from pympf.sketch import Scheme, Sketch
        >>> scheme = Scheme(1050, b=42)
        >>> scheme.check(Sketch([0.0] * 1050, scheme.checksum))
        """
        if sketch.scheme != self.checksum or sketch.d != self.d:
            raise ValueError(
                f"the sketch is of scheme {sketch.scheme}, of dimension {sketch.d}; expected "
                f"{self.checksum}, {self.d}: {self.parameters}"
            )

    def local(self, sketch: Sketch) -> Columns:
        """Give this rank's rows of a sketch, scaled up where some of it is erased, as a column.

        Not collective.

        Parameters
        ----------
        sketch : Sketch
            Of this scheme.

        Returns
        -------
        ndarray, shape (own rows, 1)

        Examples
        --------
        See the class.
        """
        self.check(sketch)
        return (sketch.values * (sketch.d / sketch.kept))[self._own_rows, None]

    def _sketches(self, columns: Columns) -> list[Sketch]:
        return [Sketch(column, self.checksum) for column in columns.T]

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.parameters.items() if v is not None)
        return f"Scheme({shown})"
