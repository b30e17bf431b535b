"""Finite-element systems that nobody tuned for, assembled by scikit-fem.

scikit-fem is needed to run the bench case `honest`, and by nothing else. Each entry of `ELEMENTS`
gives a matrix with its right-hand side, that of the problem, for about so many unknowns. Systems
are numbered in the order of the list: the even and the odd ones are the two halves of which one is
fitted on and the other reported (`half`).
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import skfem
from skfem.helpers import curl, dd, ddot, div, dot, grad, sym_grad, trace

from pympf import la
from pympf.comparison.system import System

Builder = Callable[[int], System]


def member(system: str, rows: int) -> System:
    """The member of a family that has about so many rows."""
    return ELEMENTS[system](rows)


def half(name: str) -> str:
    return "even" if list(ELEMENTS).index(name) % 2 == 0 else "odd"


# ---- forms ---------------------------------------------------------------------------------------


@skfem.BilinearForm
def _stiffness(u: Any, v: Any, w: Any) -> Any:
    return dot(grad(u), grad(v))


@skfem.BilinearForm
def _mass(u: Any, v: Any, w: Any) -> Any:
    return u * v


@skfem.BilinearForm
def _vector_mass(u: Any, v: Any, w: Any) -> Any:
    return dot(u, v)


@skfem.BilinearForm
def _curl_curl(u: Any, v: Any, w: Any) -> Any:
    rotation = curl(u) * curl(v) if u.shape[0] == 2 else dot(curl(u), curl(v))
    return rotation + dot(u, v)


@skfem.BilinearForm
def _grad_div(u: Any, v: Any, w: Any) -> Any:
    return div(u) * div(v) + dot(u, v)


@skfem.BilinearForm
def _elasticity(u: Any, v: Any, w: Any) -> Any:
    strain, other = sym_grad(u), sym_grad(v)
    return 2 * 0.4 * ddot(strain, other) + 0.6 * trace(strain) * trace(other)


@skfem.BilinearForm
def _plate(u: Any, v: Any, w: Any) -> Any:
    return ddot(dd(u), dd(v)) + 0.3 * (trace(dd(u)) * trace(dd(v)) - ddot(dd(u), dd(v)))


@skfem.LinearForm
def _load(v: Any, w: Any) -> Any:
    return 1.0 * v


@skfem.LinearForm
def _vector_load(v: Any, w: Any) -> Any:
    return v[-1]


# ---- meshes --------------------------------------------------------------------------------------


def _mesh(kind: str, cells: int) -> Any:
    """A unit square or cube with so many cells along an axis."""
    ticks = np.linspace(0, 1, cells + 1)
    if kind == "triangles":
        return skfem.MeshTri.init_tensor(ticks, ticks)
    if kind == "quads":
        return skfem.MeshQuad.init_tensor(ticks, ticks)
    if kind == "tetrahedra":
        return skfem.MeshTet.init_tensor(ticks, ticks, ticks)
    return skfem.MeshHex.init_tensor(ticks, ticks, ticks)


def _refined(cells: int) -> Any:
    """Triangles, refined towards a corner."""
    mesh = _mesh("triangles", cells)
    for radius in (0.5, 0.25, 0.12, 0.06, 0.03, 0.015):
        middle = mesh.p[:, mesh.t].mean(axis=1)
        mesh = mesh.refined(np.flatnonzero(np.linalg.norm(middle, axis=0) < radius))
    return mesh


def _stretched(kind: str, cells: int, ratio: float) -> Any:
    return _mesh(kind, cells).scaled(
        (ratio,) + (1.0,) * (1 if kind in ("triangles", "quads") else 2)
    )


# ---- assembly ------------------------------------------------------------------------------------


def _symmetric(A: Any) -> sp.csr_array:
    A = sp.csr_array(A)
    return la.as_csr((A + A.T) / 2)  # sums of the same numbers in another order


def _sized(rows: int, unknowns: Callable[[int], int], least: int = 2) -> int:
    """The number of cells along an axis that gives about so many unknowns: by bisection."""
    low, high = least, least * 2
    while unknowns(high) < rows:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if unknowns(middle) <= rows else (low, middle)
    return low


def _of(
    element: Any,
    form: Any,
    mesh: Callable[[int], Any],
    per_cell: float,
    axes: int,
    load: Any = _load,
    fixed: bool = True,
    shift: float = 0.0,
) -> Builder:
    """One field; `per_cell`: unknowns for each cell of the grid; `shift`: of the mass."""

    def build(rows: int) -> System:
        cells = _sized(rows, lambda m: int(per_cell * m**axes))
        basis = skfem.Basis(mesh(cells), copy.deepcopy(element))  # some keep what a mesh gave them
        A, b = form.assemble(basis), load.assemble(basis)
        if shift:
            A = A + shift * (_mass if load is _load else _vector_mass).assemble(basis)
        if fixed:
            inner = basis.complement_dofs(basis.get_dofs())
            A, b = A[inner][:, inner], b[inner]
        return System(_symmetric(A), b, definite=shift >= 0)

    return build


def _robin(rows: int) -> System:
    cells = _sized(rows, lambda m: m * m)
    mesh = _mesh("triangles", cells)
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    A = _stiffness.assemble(basis) + _mass.assemble(basis.boundary())
    return System(_symmetric(A), _load.assemble(basis))


def _neumann(rows: int) -> System:
    """Singular, with a load that is in the range."""
    cells = _sized(rows, lambda m: m * m)
    basis = skfem.Basis(_mesh("quads", cells), skfem.ElementQuad1())
    A = _symmetric(_stiffness.assemble(basis))

    @skfem.LinearForm
    def load(v: Any, w: Any) -> Any:
        return (np.cos(np.pi * w.x[0]) + np.cos(3 * np.pi * w.x[1])) * v

    b = load.assemble(basis)
    b -= b.mean()
    return System(A, b, kernel=np.full((A.shape[0], 1), A.shape[0] ** -0.5))


def _heat(kind: str, element: Any, axes: int, step: float) -> Builder:
    """One implicit step in time from a bump: M + step K."""

    def build(rows: int) -> System:
        cells = _sized(rows, lambda m: m**axes)
        basis = skfem.Basis(_mesh(kind, cells), element)
        M, K = _mass.assemble(basis), _stiffness.assemble(basis)
        x = basis.doflocs
        return System(_symmetric(M + step * K), M @ np.exp(-20 * ((x - 0.4) ** 2).sum(axis=0)))

    return build


def _dg(rows: int) -> System:
    """Interior penalties, linear in each triangle."""
    cells = _sized(rows, lambda m: 6 * m * m)
    mesh = _mesh("triangles", cells)
    element = skfem.ElementTriDG(skfem.ElementTriP1())
    basis = skfem.Basis(mesh, element)
    faces = [skfem.InteriorFacetBasis(mesh, element, side=i) for i in (0, 1)]

    @skfem.BilinearForm
    def penalty(u: Any, v: Any, w: Any) -> Any:
        signs = ((-1.0) ** w.idx[0], (-1.0) ** w.idx[1])
        jump_u, jump_v = signs[0] * u, signs[1] * v
        mean_u, mean_v = 0.5 * dot(grad(u), w.n), 0.5 * dot(grad(v), w.n)
        return 10 / w.h * jump_u * jump_v - mean_u * jump_v - mean_v * jump_u

    @skfem.BilinearForm
    def boundary(u: Any, v: Any, w: Any) -> Any:
        return 10 / w.h * u * v - dot(grad(u), w.n) * v - dot(grad(v), w.n) * u

    A = _stiffness.assemble(basis) + skfem.asm(penalty, faces, faces)
    A = A + boundary.assemble(skfem.BoundaryFacetBasis(mesh, element))
    return System(_symmetric(A), _load.assemble(basis))


def _stokes(rows: int) -> System:
    """Taylor-Hood elements in a driven cavity; the pressure is fixed by a small mass."""
    cells = _sized(rows, lambda m: 9 * m * m)
    mesh = _mesh("triangles", cells)
    velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()), intorder=4)
    pressure = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=4)

    @skfem.BilinearForm
    def viscous(u: Any, v: Any, w: Any) -> Any:
        return ddot(grad(u), grad(v))

    @skfem.BilinearForm
    def divergence(u: Any, q: Any, w: Any) -> Any:
        return -div(u) * q

    F, B = viscous.assemble(velocity), divergence.assemble(velocity, pressure)
    C = 1e-6 * _mass.assemble(pressure)
    lid = np.zeros(velocity.N)
    top = velocity.get_dofs(lambda x: x[1] > 1 - 1e-9)
    lid[top.all("u^1")] = 1
    inner = velocity.complement_dofs(velocity.get_dofs())
    A = sp.block_array([[F[inner][:, inner], B[:, inner].T], [B[:, inner], -C]])
    b = -np.concatenate([(F @ lid)[inner], B @ lid])
    return System(_symmetric(A), b, definite=False)


def _nodes(kind: str, element: Any, axes: int, ratio: float = 1.0) -> Builder:
    """Elasticity, held at one end, under its weight."""

    def build(rows: int) -> System:
        cells = _sized(rows, lambda m: axes * (m + 1) ** axes)
        mesh = _mesh(kind, cells) if ratio == 1 else _stretched(kind, cells, ratio)
        basis = skfem.Basis(mesh, skfem.ElementVector(element))
        A, b = _elasticity.assemble(basis), _vector_load.assemble(basis)
        inner = basis.complement_dofs(basis.get_dofs(lambda x: x[0] < 1e-9))
        return System(_symmetric(A[inner][:, inner]), b[inner])

    return build


def _grid(kind: str) -> Callable[[int], Any]:
    return lambda cells: _mesh(kind, cells)


_TRI, _QUAD, _TET, _HEX = (_grid(k) for k in ("triangles", "quads", "tetrahedra", "bricks"))

ELEMENTS: dict[str, Builder] = {
    "P1 triangles": _of(skfem.ElementTriP1(), _stiffness, _TRI, 1, 2),
    "P2 triangles": _of(skfem.ElementTriP2(), _stiffness, _TRI, 4, 2),
    "P3 triangles": _of(skfem.ElementTriP3(), _stiffness, _TRI, 9, 2),
    "P4 triangles": _of(skfem.ElementTriP4(), _stiffness, _TRI, 16, 2),
    "P1 tetrahedra": _of(skfem.ElementTetP1(), _stiffness, _TET, 1, 3),
    "P2 tetrahedra": _of(skfem.ElementTetP2(), _stiffness, _TET, 8, 3),
    "Q1 bricks": _of(skfem.ElementHex1(), _stiffness, _HEX, 1, 3),
    "Q2 bricks": _of(skfem.ElementHex2(), _stiffness, _HEX, 8, 3),
    "Q1 quads": _of(skfem.ElementQuad1(), _stiffness, _QUAD, 1, 2),
    "Q2 quads": _of(skfem.ElementQuad2(), _stiffness, _QUAD, 4, 2),
    "Crouzeix-Raviart triangles": _of(skfem.ElementTriCR(), _stiffness, _TRI, 3, 2),
    "Crouzeix-Raviart tetrahedra": _of(skfem.ElementTetCR(), _stiffness, _TET, 12, 3),
    "P1 triangles, 100:1": _of(
        skfem.ElementTriP1(), _stiffness, lambda m: _stretched("triangles", m, 100.0), 1, 2
    ),
    "Q1 bricks, 10:1": _of(
        skfem.ElementHex1(), _stiffness, lambda m: _stretched("bricks", m, 10.0), 1, 3
    ),
    "P1 refined to a corner": _of(skfem.ElementTriP1(), _stiffness, _refined, 4, 2),
    "Robin, P1 triangles": _robin,
    "Neumann, Q1 quads": _neumann,
    "discontinuous P1 triangles": _dg,
    "mass, P1 triangles": _of(skfem.ElementTriP1(), _mass, _TRI, 1, 2, fixed=False),
    "mass, P2 tetrahedra": _of(skfem.ElementTetP2(), _mass, _TET, 8, 3, fixed=False),
    "heat step, Q1 quads": _heat("quads", skfem.ElementQuad1(), 2, 1e-4),
    "heat step, P1 tetrahedra": _heat("tetrahedra", skfem.ElementTetP1(), 3, 1e-3),
    "elasticity, P1 triangles": _nodes("triangles", skfem.ElementTriP1(), 2),
    "elasticity, Q1 quads 20:1": _nodes("quads", skfem.ElementQuad1(), 2, 20.0),
    "elasticity, Q1 bricks": _nodes("bricks", skfem.ElementHex1(), 3),
    "elasticity, P1 tetrahedra": _nodes("tetrahedra", skfem.ElementTetP1(), 3),
    "Morley plate": _of(skfem.ElementTriMorley(), _plate, _TRI, 4, 2),
    "Argyris plate": _of(skfem.ElementTriArgyris(), _plate, _TRI, 9, 2),
    "curl-curl, edges of triangles": _of(
        skfem.ElementTriN1(), _curl_curl, _TRI, 3, 2, _vector_load
    ),
    "curl-curl, edges of tetrahedra": _of(
        skfem.ElementTetN0(), _curl_curl, _TET, 7, 3, _vector_load
    ),
    "grad-div, edges of triangles": _of(skfem.ElementTriRT0(), _grad_div, _TRI, 3, 2, _vector_load),
    "grad-div, faces of tetrahedra": _of(
        skfem.ElementTetRT0(), _grad_div, _TET, 12, 3, _vector_load
    ),
    "Helmholtz, Q1 quads, k = 20": _of(skfem.ElementQuad1(), _stiffness, _QUAD, 1, 2, shift=-400.0),
    "Helmholtz, P2 triangles, k = 30": _of(
        skfem.ElementTriP2(), _stiffness, _TRI, 4, 2, shift=-900.0
    ),
    "Stokes, P2-P1 triangles": _stokes,
}
