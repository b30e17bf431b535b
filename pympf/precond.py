"""Preconditioners: for `pympf.solve` and for SciPy's solvers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf._engine import core, engine
from pympf._html import card
from pympf._params import choices, from_text, kinds
from pympf._partition import find_parts
from pympf._progress import is_watched, working
from pympf._report import PreconditionerReport, Report, with_reason
from pympf.la import Matrix, Operator, Ranks, checks
from pympf.mmf import Mmf, Progress, watched
from pympf.near_nullspace import checked_vectors
from pympf.plan import Plan

__all__ = ["Preconditioner", "PreconditionerReport", "as_preconditioner"]

CLASSIC = "classic"


class Preconditioner(Operator):
    """A preconditioner M ≈ A⁻¹, made by `as_preconditioner`.

    A SciPy operator of shape (n, n), so that SciPy's solvers take it; `pympf.solve` takes it too,
    and applies it without a detour through Python. For an A that is not symmetric M is not either,
    and has all its signs. Else M is symmetric, and positive definite unless A
    is singular (then semidefinite on what the levels can see), A is indefinite (over several
    levels M need not be definite, but on a saddle point with a positive definite leading part it
    is) or the cycle is 'k' (then it varies from one application to the next and needs flexible CG
    or FGMRES). For a negative definite A it approximates (−A)⁻¹; for an indefinite one
    the coarse solve takes absolute values, and ``method='classic'`` gives a definite M.

    Applications release the interpreter lock; several threads may call them, but not while
    `update` runs.

    Made with a communicator of several ranks, it works on the entries of vectors that belong to
    the rows of this rank (`local_shape`), and `apply` and `update` are collective.

    A pickle or a copy holds the matrix and the parameters, and is made from them anew: the same
    bits for the time of a setup (after `update` a setup for the last matrix). It is refused on
    several ranks, and when the arrays of the matrix have been changed in place.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> from scipy.sparse.linalg import cg
    >>> A = pympf.gallery.poisson((64, 64))
    >>> M = pympf.as_preconditioner(A)
    >>> x, info = cg(A, np.ones(4096), M=M, rtol=1e-8)
    >>> info
    0
    """

    def __init__(
        self,
        compiled: Any,
        ranks: Ranks | None = None,
        origin: _Origin | None = None,
    ) -> None:
        checks.compiled(compiled, "Preconditioner", "pympf.as_preconditioner(A)")
        ranks = (Ranks(None) if ranks is None else ranks).own()
        n, own = ranks.sum(compiled.rows), compiled.rows
        super().__init__(compiled.dtype, (n, n), ranks=ranks, local_shape=(own, own))
        self._compiled = compiled
        self._factorization = self._factorized()
        self._origin = origin

    def _factorized(self) -> Mmf | None:
        factors = self._compiled.factorization
        return None if factors is None else Mmf(factors, self.ranks)

    @staticmethod
    def fields() -> list[dict[str, Any]]:
        """List the parameters.

        Not collective.

        Returns
        -------
        list of dict
            With keys ``name``, ``kind`` ('int', 'real', 'bool' or 'choice'), ``default``,
            ``minimum``, ``maximum``, ``choices``, ``doc`` and ``group``: 'classic' for those of
            `pympf.factorize`, which the method 'classic' takes, 'levels' for those that the others
            take, and '' for what all take.

        Examples
        --------
        >>> import pympf
        >>> [field["name"] for field in pympf.Preconditioner.fields()][:3]
        ['method', 'cycle', 'smoother']
        """
        return core.precond_fields()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that it was made with."""
        text = self._compiled.params
        return {
            f["name"]: from_text(f, text[f["name"]]) for f in self.fields() if f["name"] in text
        }

    @property
    def factorization(self) -> Mmf | None:
        """The factorization F of which this is |F|⁻¹, for ``method='classic'``; else None."""
        return self._factorization

    @property
    def indefinite(self) -> bool:
        """Whether the setup found a negative eigenvalue of A."""
        return self._compiled.indefinite

    @property
    def definite(self) -> bool:
        """Whether M is meant to be definite; if not, it has the signs of an indefinite A."""
        return self._compiled.definite

    @property
    def is_symmetric(self) -> bool:  # type: ignore[override]
        """Whether it was made for a symmetric matrix, and is symmetric."""
        return self._compiled.symmetric

    @property
    def varies(self) -> bool:
        """Whether M changes from one application to the next: it is a K-cycle over levels."""
        return self._compiled.varies

    @property
    def method(self) -> str:
        """The method that was taken."""
        return self._compiled.method

    @property
    def choice(self) -> str:
        """The method that was taken, and why."""
        return with_reason(self._compiled.method, self._compiled.reason)

    @property
    def plan(self) -> Plan | None:
        """What was chosen, with all offers and their predicted costs; None for 'classic'."""
        return None if self._factorization is not None else Plan.of(self._compiled.plan)

    def report(self) -> PreconditionerReport | Report:
        """Return what the setup did, level by level; that of F for ``method='classic'``.

        Not collective.

        Returns
        -------
        PreconditionerReport or Report
            Prints as a table; ``as_dict()`` gives plain data.

        Examples
        --------
        >>> import pympf
        >>> report = pympf.as_preconditioner(pympf.gallery.poisson((64, 64))).report()
        >>> report.levels[0]["rows"], report.operator_complexity < 2.5
        (4096, True)
        """
        if self._factorization is not None:
            return self._factorization.report()
        data = self._compiled.report()
        return PreconditionerReport(
            rows=data["levels"][0]["rows"] if data["levels"] else self._compiled.rows,
            dtype=str(self._compiled.dtype),
            bytes=sum(level["bytes"] for level in data["levels"]),
            params=self.params,
            plan=self.plan,
            **data,
        )

    def traffic(self) -> dict[str, int]:
        """Return what this rank has sent through the communicator, in all of pympf's calls so far.

        Not collective.

        Returns
        -------
        dict
            ``messages`` and ``message_bytes`` go point to point; ``collectives`` counts reductions,
            gathers and barriers. All zero on one process.

        Examples
        --------
        >>> import pympf
        >>> pympf.as_preconditioner(pympf.gallery.poisson((16, 16))).traffic()["messages"]
        0
        """
        names = ("messages", "message_bytes", "collectives")
        return dict(zip(names, self._compiled.traffic(), strict=True))

    def _apply(self, X: NDArray[Any]) -> NDArray[Any]:
        Z = np.empty_like(X)
        self._compiled.apply(X, Z)
        return Z

    def _apply_transpose(self, Y: NDArray[Any]) -> NDArray[Any]:
        Z = np.empty_like(Y)
        self._compiled.apply(Y, Z, True)
        return Z

    def update(self, A: Any) -> None:
        """Take over new values of the matrix, on the same pattern, for a part of a new setup.

        Collective over `comm`. Keeps the order of the rows, the clusters and the scaling functions
        (for ``method='classic'`` the rotations), which are as good as new ones while the values
        change by a factor or by little.

        Parameters
        ----------
        A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
            Real, symmetric if the first one was, of the same dtype, with entries stored in the same
            places; on several ranks the rows of this one.

        Raises
        ------
        ValueError, TypeError
            If `A` is refused; all is as before then.
        KeyboardInterrupt, MemoryError, numpy.linalg.LinAlgError
            If it did not come to its end: nothing can be applied before another update has.

        Examples
        --------
        >>> import numpy as np, pympf
        >>> A = pympf.gallery.poisson((64, 64))
        >>> M = pympf.as_preconditioner(A)
        >>> M.update(2 * A)
        >>> pympf.solve(2 * A, np.ones(4096), preconditioner=M).iterations <= 8
        True
        """
        matrix = Matrix.of(A, self.ranks)
        if matrix.dtype != self.dtype:
            raise ValueError(f"expected a matrix of {self.dtype}, got {matrix.dtype}")
        rows = matrix.admitted_rows() if self.is_symmetric else matrix.general_rows()
        if self.is_symmetric and not matrix.is_symmetric and not self._compiled.has_pattern(rows):
            matrix.symmetric_rows()  # raises
        self._compiled.update(rows)
        self._factorization = self._factorized()
        if self._origin is not None:
            self._origin = self._origin.with_values(matrix)

    def __reduce__(self) -> Any:
        """Pickle what it was made from: it is made again from that."""
        self.ranks.refuse_many(
            "a preconditioner is pickled and copied whole",
            "make it where it is needed, by as_preconditioner, or take method='classic' and save "
            "its factorization by M.factorization.save(path)",
            TypeError,
        )
        if self._factorization is not None:
            return classic, (self._factorization,)
        assert self._origin is not None
        return _made_again, self._origin.arguments()

    def __repr__(self) -> str:
        n = self.shape[0]
        return f"<Preconditioner {n} x {n}, {self.dtype}, {self.choice}>"

    def _repr_html_(self) -> str:
        report = self.report()
        facts = {"rows": self.shape[0], "dtype": self.dtype.name, "chosen": self.choice}
        facts |= {"bytes": report.bytes, "seconds": report.seconds}
        return card("Preconditioner: M ≈ A⁻¹", facts, report._repr_html_())


@dataclass(frozen=True)
class _Origin:
    """What a preconditioner was made from. The matrix is the caller's, not a copy."""

    matrix: Matrix
    fingerprint: int
    near_nullspace: ArrayLike | None
    left_near_nullspace: ArrayLike | None
    block_size: int
    params: dict[str, Any]

    @classmethod
    def of(
        cls, A: Matrix, right: Any, left: Any, block_size: int, params: dict[str, Any]
    ) -> _Origin:
        right, left = (None if B is None else np.array(B) for B in (right, left))
        return cls(A, A.compiled.checksum(), right, left, block_size, dict(params))

    def with_values(self, A: Matrix) -> _Origin:
        return replace(self, matrix=A, fingerprint=A.compiled.checksum())

    def arguments(self) -> tuple[Any, ...]:
        """Return them, or raise ValueError if the matrix is no longer the one that was given."""
        if self.matrix.compiled.checksum() != self.fingerprint:
            raise ValueError(
                "a preconditioner is pickled and copied as the matrix that it was made from, and "
                "the arrays of that have changed in place since: call as_preconditioner again"
            )
        given = (self.near_nullspace, self.left_near_nullspace, self.block_size, self.params)
        return self.matrix.csr, *given


def _made_again(A: sp.csr_array, right: Any, left: Any, block_size: int, params: Any) -> Any:
    vectors = {"near_nullspace": right, "left_near_nullspace": left}
    return as_preconditioner(A, block_size=block_size, **vectors, **params)


def as_preconditioner(
    A: Any,
    *,
    comm: Any = None,
    near_nullspace: ArrayLike | None = None,
    left_near_nullspace: ArrayLike | None = None,
    block_size: int = 1,
    progress: Progress | None = None,
    plan: Plan | Mapping[str, Any] | None = None,
    **params: Any,
) -> Preconditioner:
    """Make a preconditioner M ≈ A⁻¹.

    Collective over `comm`. Deterministic: the result depends on `A`, the parameters and the number
    of ranks, not on the number of threads.

    Parameters
    ----------
    A : sparse array or matrix, 2-D array_like, or petsc4py.PETSc.Mat, shape (n, n)
        Real; symmetric, also singular, negative definite or indefinite, or not symmetric. With
        `comm` this rank's rows, or a file, as in `pympf.factorize`. Dirichlet rows (nothing but a
        diagonal entry) may keep their columns: M is that of the matrix without them, and solves
        with `A` by CG from a guess that is right in these rows, x_i = b_i / a_ii, and by GMRES from
        any.
    comm : mpi4py.MPI.Comm, optional
        The ranks that work together; by default this process alone, or those of a PETSc matrix.
    near_nullspace : array_like, shape (n,) or (n, m), optional
        Vectors x with small A x / ‖A‖, linearly independent: the coarse levels represent them
        exactly. By default constants, adapted to `A` where they are poor. For elasticity take
        `rigid_body_modes`. With `comm` the entries of this rank's rows.
    left_near_nullspace : array_like, shape (n,) or (n, m), optional
        The same of Aᵀ, for an `A` that is not symmetric; by default `near_nullspace`.
    block_size : int
        Unknowns of a node, stored next to each other; the nodes are clustered. With 1 and no
        `near_nullspace`, nodes of up to 6 unknowns are found where `A` shows them (the report
        says so).
    progress : callable, optional
        As in `pympf.factorize`, for ``method='classic'``.
    plan : Plan or dict, optional
        Build what this plan says, that of another preconditioner for example, and choose nothing.
    **params
        See `Preconditioner.fields` and ``docs/options.md``. The first to know: ``method``
        ('auto', 'multilevel', 'ict', 'jacobi'), ``cycle`` ('v', 'w', 'k', 'additive'),
        ``smoother`` ('ict', 'gs', 'chebyshev', 'l1_jacobi'), and on several ranks ``repartition``
        for matrices whose ranges of rows are not compact (needs petsc4py).
        ``method='classic'`` gives Qᵀ|H|⁻¹Q of `pympf.factorize` [1]_, which is positive definite
        whatever `A` is; it takes the parameters of that function, and no near-nullspace.

    Returns
    -------
    Preconditioner

    Raises
    ------
    ValueError
        If `A` is empty, not square or not finite, a parameter is unknown or out of range or is for
        symmetric matrices and `A` is not, or the near-nullspace has another shape, is not finite or
        linearly dependent.
    numpy.linalg.LinAlgError
        If ``method='direct'`` meets a singular matrix.
    TypeError
        If `A` is not a matrix of real numbers, or a parameter is of another kind.
    ImportError
        If ``repartition`` finds no petsc4py, or no partitioner in its PETSc.

    References
    ----------
    .. [1] Thesis, section 2.3.3.

    Examples
    --------
    >>> import numpy as np, pympf
    >>> from scipy.sparse.linalg import cg
    >>> A = pympf.gallery.poisson((100, 100))
    >>> M = pympf.as_preconditioner(A, method="multilevel")
    >>> x, info = cg(A, np.ones(10000), M=M, rtol=1e-8)
    >>> info
    0
    """
    matrix = Matrix.of(A, comm)
    if plan is not None:
        params = planned(plan, params)
    only_symmetric = params.get("method") in (CLASSIC, "two_level")
    is_admitted = only_symmetric or matrix.admitted.rows is not None
    rows = matrix.admitted_rows() if is_admitted else matrix.general_rows()
    if progress is not None:
        params["progress"] = progress
    return precondition(matrix, rows, near_nullspace, block_size, params, left_near_nullspace)


def precondition(
    A: Matrix,
    rows: Any,
    near_nullspace: ArrayLike | None,
    block_size: int,
    params: dict[str, Any],
    left_near_nullspace: ArrayLike | None = None,
    choice: Any = None,
    basis: float = 0,
) -> Preconditioner:
    """Do as `as_preconditioner` does, for a matrix and its `admitted_rows` or `general_rows`.

    `params` may have ``progress``, too. `basis`: vectors that the Krylov method keeps.
    """
    ranks, n = A.ranks, len(A.rows)
    params = dict(params)
    progress = params.pop("progress", None)
    with ranks.guard():
        checks.function(progress, "progress")
        check_params(params)
        _check_block_size(block_size, n)
    ranks.same(sorted(params.items()), "parameters")
    ranks.same(block_size, "block_size")
    vectors = checked_vectors(near_nullspace, n, ranks, "near_nullspace")
    left = checked_vectors(left_near_nullspace, n, ranks, "left_near_nullspace")
    block_size = int(block_size)
    origin = parts = None
    if params.get("method") == CLASSIC:
        pass  # its rows stay where they are, and it is pickled as its factorization
    elif ranks.size == 1:
        origin = _Origin.of(A, near_nullspace, left_near_nullspace, block_size, params)
    else:
        parts = _parts(A, rows, params, block_size)
    with working("setup") as work:
        progress = watched(progress, ranks, work)
        build = engine(A.dtype).precondition
        made = build(rows, params, vectors, block_size, parts, left, choice, progress, basis)
        M = Preconditioner(made, ranks=ranks, origin=origin)
        if is_watched():
            work.text = M.choice
    return M


def _parts(
    A: Matrix, rows: Any, params: dict[str, Any], block_size: int
) -> NDArray[np.int32] | None:
    """Ask for a better place of the rows where it is asked for, or where they lie badly."""
    module = engine(A.dtype)
    block = module.block_to_move(rows, params, block_size)
    if block == 0:
        return None
    try:
        parts = find_parts(A, block)
    except ImportError:
        if params.get("repartition", False):
            raise
        return None  # the report says that it would help
    return parts if module.is_worth_moving(rows, params, parts) else None


def classic(F: Mmf) -> Preconditioner:
    """Return |F|⁻¹."""
    return Preconditioner(engine(F.dtype).classic_of(F._factors), F.ranks)


def planned(plan: Plan | Mapping[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a plan, and those that are given besides."""
    if not isinstance(plan, Plan | Mapping):
        raise TypeError(f"plan is a {type(plan).__name__}, expected a Plan or its dict")
    of_plan = (plan if isinstance(plan, Plan) else Plan.of(plan)).params()
    both = sorted(of_plan.keys() & params.keys())
    if both:
        raise ValueError(f"{', '.join(both)}: the plan says it already")
    return {**of_plan, **params}


def check_params(params: dict[str, Any]) -> None:
    """Refuse unknown parameters, and values of another kind."""
    known = kinds(Preconditioner.fields)
    for name in params:
        if name not in known:
            raise ValueError(checks.unknown(name, _names(params.get("method") == CLASSIC)))
    checks.fields(params, known, choices=choices(Preconditioner.fields))


def _names(is_classic: bool) -> list[str]:
    """List what `as_preconditioner` takes, for the method 'classic' or for the others."""
    left = "levels" if is_classic else CLASSIC
    own = [field["name"] for field in Preconditioner.fields() if field["group"] != left]
    others = ["progress"] if is_classic else ["near_nullspace", "left_near_nullspace", "block_size"]
    return [*own, "comm", *others]


def _check_block_size(value: Any, n: int) -> None:
    if n % checks.integer(value, "block_size"):
        raise ValueError(f"block_size = {value} does not divide the {n} rows")
