"""
A bracket by finite elements
============================

scikit-fem assembles plane elasticity on an L-shaped bracket. Told how a rigid body moves, the
preconditioner needs few iterations on every mesh. You learn what `pympf.rigid_body_modes`,
`near_nullspace` and `block_size` are for.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.linalg import spsolve
from skfem import Basis, ElementTriP1, ElementVector, MeshTri
from skfem.models.elasticity import lame_parameters, linear_elasticity

import pympf

told, untold = {}, {}
for refinement in (4, 5, 6):
    mesh = MeshTri.init_lshaped().refined(refinement)
    basis = Basis(mesh, ElementVector(ElementTriP1()))
    K = linear_elasticity(*lame_parameters(1.0, 0.3)).assemble(basis)
    top = mesh.nodes_satisfying(lambda x: x[1] > 1 - 1e-9)
    free = np.setdiff1d(np.arange(mesh.nvertices), top)
    tip = np.flatnonzero(np.isclose(mesh.p[0], 1) & np.isclose(mesh.p[1], 0))
    f = np.zeros((mesh.nvertices, 2))
    f[tip, 1] = -0.05

    # The unknowns of a point follow each other: 2 p and 2 p + 1.
    unknowns = (2 * free[:, None] + [0, 1]).ravel()
    A, b = K.tocsr()[unknowns][:, unknowns], f[free].ravel()
    modes = pympf.rigid_body_modes(mesh.p.T[free])
    solution = pympf.solve(A, b, near_nullspace=modes, block_size=2)
    told[b.size] = solution.iterations
    untold[b.size] = pympf.solve(A, b, preconditioner="jacobi", maxiter=5000).iterations
    print(f"{b.size} unknowns: {told[b.size]} iterations, by the diagonal {untold[b.size]}")

# %%
error = np.abs(solution.x - spsolve(A.tocsc(), b)).max() / np.abs(solution.x).max()
print(solution.choice)
print(f"largest difference from a direct solution: {error:.1e}")

moved = np.zeros((mesh.nvertices, 2))
moved[free] = solution.x.reshape(-1, 2)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
picture = left.tripcolor(*(mesh.p + moved.T), mesh.t.T, np.linalg.norm(moved, axis=1))
left.set_aspect("equal")
left.set_title("displacement")
figure.colorbar(picture)
right.loglog(list(told), list(told.values()), "o-", label="with rigid motions")
right.loglog(list(untold), list(untold.values()), "s-", label="diagonal")
right.set(xlabel="unknowns", ylabel="iterations")
right.legend()
figure.savefig("elasticity.png")
