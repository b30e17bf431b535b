"""The preconditioner type ``mmf`` for PETSc.

A PETSc program, in any language and unmodified, loads the library on its command line:

    program -dll_append $(python -m pympf.petsc) -ksp_type cg -pc_type mmf -ksp_view

In Python with petsc4py, `register` does the same. It is the preconditioner of
`pympf.as_preconditioner`, whose parameters are the options ``-pc_mmf_<name>``; with
``-pc_mmf_method classic`` it is |F|⁻¹ of `pympf.factorize`, with the parameters of that. ``-help``
lists them, ``-ksp_view`` shows what was built and why. The near-nullspace and the block size are
those of the matrix, whose rows may lie on one rank or many.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pympf

__all__ = ["library_path", "register"]

_HOW_TO_BUILD = (
    "install PETSc with MPI (Debian: petsc-dev), set PETSC_DIR if it is not in a system folder, "
    "and build pympf again with CMake's -DPYMPF_WITH_PETSC=ON"
)


def library_path() -> Path:
    """Give the path of the PETSc plugin, for ``-dll_append``.

    Not collective.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ImportError
        If pympf was built without PETSc.

    Examples
    --------
    >>> import pympf.petsc
    >>> pympf.petsc.library_path().name
    'libpympf_petsc.so'
    """
    # An editable installation has its compiled files in another folder than its sources.
    for folder in pympf.__path__:
        path = Path(folder) / "lib" / "libpympf_petsc.so"
        if path.is_file():
            return path
    folders = ", ".join(str(Path(folder) / "lib") for folder in pympf.__path__)
    raise ImportError(
        f"pympf was built without PETSc: no libpympf_petsc.so in {folders}; {_HOW_TO_BUILD}"
    )


def register() -> None:
    """Make ``PC.setType("mmf")`` and the option ``-pc_type mmf`` known to petsc4py.

    Not collective, but every process that uses the type must call it. May be called again.

    Raises
    ------
    ImportError
        If petsc4py is missing, pympf was built without PETSc, or the two use different PETSc
        libraries.

    Examples
    --------
    >>> import pympf.petsc
    >>> from petsc4py import PETSc
    >>> pympf.petsc.register()
    >>> pc = PETSc.PC().create()
    >>> pc.setType("mmf")
    >>> pc.getType()
    'mmf'
    """
    path = library_path()
    try:
        from petsc4py import PETSc
    except ModuleNotFoundError as error:
        raise ImportError(
            "pympf.petsc.register() needs petsc4py, of the version of the PETSc that pympf was "
            "built with: pip install petsc4py==<version>, with PETSC_DIR set"
        ) from error
    try:
        plugin = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(f"cannot load {path} ({error}); {_HOW_TO_BUILD}") from error
    theirs, ours = (_defining_file(library) for library in (ctypes.CDLL(PETSc.__file__), plugin))
    if theirs != ours:
        raise ImportError(
            f"petsc4py uses {theirs}, pympf was built for {ours}; build one of them again with the "
            "PETSC_DIR and PETSC_ARCH of the other"
        )
    failure = plugin.PetscDLLibraryRegister_pympf_petsc()
    if failure:
        raise PETSc.Error(failure)


class _SymbolInfo(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _defining_file(library: ctypes.CDLL) -> str:
    """Give the file from which a loaded library takes its PETSc."""
    info = _SymbolInfo()
    function = ctypes.cast(library.PCRegister, ctypes.c_void_p)
    ctypes.CDLL(None).dladdr(function, ctypes.byref(info))
    return info.file.decode()


if __name__ == "__main__":
    try:
        print(library_path())
    except ImportError as error:
        sys.exit(f"pympf.petsc: {error}")
