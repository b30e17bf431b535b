"""Options of the PETSc preconditioner as strings, and PETSc's solvers with it."""

import functools

import numpy as np
import scipy.sparse as sp
from matrices import chance, parameters, pick, values
from outcome import Wrong, require
from solving import inverse_overflows

import pympf

KSP_TYPES = ("cg", "cg", "minres", "gmres", "fgmres", "richardson", "preonly", "bcgs")


@functools.cache
def petsc():
    """Give petsc4py with the preconditioner type; None without it."""
    try:
        from petsc4py import PETSc

        import pympf.petsc

        pympf.petsc.register()
    except ImportError:
        return None
    return PETSc


def options(rng):
    """Give option strings by name: values as users type them, and now and then junk."""
    other = pick(rng, ["classic", "classic", "levels"])  # whose parameters are refused
    fields = [field for field in pympf.Preconditioner.fields() if field["group"] != other]
    texts = {name: str(given) for name, given in parameters(fields, rng).items()}
    if other == "levels":
        texts["method"] = "classic"
    if chance(rng, 0.1):
        junk = ["", "x", "-1", "1e400", "nan", "0x10", "1,2", "true", "v" * 5000, "é"]
        texts[pick(rng, fields)["name"]] = pick(rng, junk)
    if chance(rng, 0.05):
        texts[pick(rng, ["strenght", "method_", "classic"])] = "1"
    return {f"pc_mmf_{name}": text for name, text in texts.items()}


def check_solution(PETSc, A, b, x, ksp):
    """An x that PETSc calls converged is finite and, by the residual of A, near a solution.

    PETSc itself does not compute the residual afresh: some digits of it may be lost.
    """
    if not np.isfinite(x).all() and not inverse_overflows(A):
        raise Wrong(f"{ksp.getType()}: reason {ksp.getConvergedReason()} and x is not finite")
    # By the absolute tolerance PETSc's methods also end where M r = 0, as on a singular matrix.
    by_residual = PETSc.KSP.ConvergedReason.CONVERGED_RTOL
    # Its GMRES orthogonalizes once, and loses its residual where A is singular but for rounding.
    if ksp.getType() != "cg" or ksp.getConvergedReason() != by_residual:
        return
    exact, x = A.astype(np.longdouble), x.astype(np.longdouble)
    residual, size = abs(b - exact @ x).max(), abs(b).max()
    rounding = 1e5 * np.finfo(float).eps * (abs(exact) @ abs(x)).max()
    require(
        residual <= 1e-4 * size + rounding,
        f"{ksp.getType()} has converged with residual {residual:.3g}, b is {size:.3g}",
    )


def solve(rng):
    """Solve with PETSc: what has converged by its true residual has that residual."""
    PETSc = petsc()
    if PETSc is None:
        return "skipped: no PETSc"
    A = sp.csr_array(values(rng))
    A.sort_indices()
    b = rng.standard_normal(A.shape[0])
    database, texts = PETSc.Options(), options(rng)
    for name, text in texts.items():
        database[name] = text
    indptr, indices = (array.astype(PETSc.IntType) for array in (A.indptr, A.indices))
    mat = PETSc.Mat().createAIJ(A.shape, csr=(indptr, indices, A.data))
    if chance(rng, 0.3):
        mat.setOption(PETSc.Mat.Option.SPD, True)
    if chance(rng, 0.2) and A.shape[0] % 2 == 0:
        mat.setBlockSize(2)
    ksp = PETSc.KSP().create()
    try:
        ksp.setOperators(mat)
        ksp.setType(pick(rng, KSP_TYPES))
        if ksp.getType() == "cg":
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.pc.setType("mmf")
        ksp.setTolerances(rtol=1e-8, max_it=200)
        ksp.setFromOptions()
        right, x = mat.createVecLeft(), mat.createVecRight()
        right.setArray(b)
        ksp.solve(right, x)
        if chance(rng, 0.2):
            ksp.view(PETSc.Viewer().createASCII("/dev/null"))
        reason = ksp.getConvergedReason()
        if reason > 0:
            check_solution(PETSc, A, b, x.array, ksp)
    except PETSc.Error as error:
        require(error.ierr in range(50, 100), f"PETSc's error {error.ierr}")
        return f"refused: code {error.ierr}"
    finally:
        for name in texts:
            database.delValue(name)
        ksp.destroy()
        mat.destroy()
    return "solved" if reason > 0 else f"not converged: {reason}"
