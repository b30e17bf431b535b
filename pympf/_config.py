"""What this pympf is and runs with."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import numpy as np
import scipy as sp

import pympf
from pympf._engine import core

__all__ = ["show_config"]

LIBRARIES = {
    "MPI": r"lib(mpi|mpich|impi)\.",
    "BLAS and LAPACK": r"lib(scipy_openblas|openblas|blas|lapack|mkl_rt|flexiblas)[^/]*\.",
    "SuperLU": r"libsuperlu\.",
    "CHOLMOD": r"libcholmod\.",
    "MUMPS": r"libdmumps_seq[-.]",
}
"""By what their files are called."""


def show_config() -> str:
    """Return the version, the libraries that the compiled core has loaded, and the threads.

    Not collective.

    Returns
    -------
    str
        A line for each; what `pympf --version` prints.

    Examples
    --------
    >>> import pympf
    >>> pympf.show_config().splitlines()[0]
    'pympf 0.1.0'
    """
    import h5py

    from pympf._engine import lsh

    backends = core.factor_backends()  # one of them is loaded when it is first asked for
    lines = {
        "Python": platform.python_version(),
        "NumPy, SciPy": f"{np.__version__}, {sp.__version__}",
        "h5py, HDF5": f"{h5py.__version__}, {h5py.version.hdf5_version}",
        **{name: _loaded(pattern) for name, pattern in LIBRARIES.items()},
        "PETSc plugin": _plugin(),
        "threads": str(pympf.get_num_threads()),
        "instructions": lsh.instruction_set(),  # of the kernels for points, keys and sketches
        "folder": str(Path(pympf.__file__).parent),
    }
    if lines["SuperLU"] == "none" and "superlu" in backends["general"]:
        lines["SuperLU"] = "in the compiled core"
    width = max(map(len, lines))
    text = [f"{name:{width}}  {value}" for name, value in lines.items()]
    return "\n".join([f"pympf {pympf.__version__}", *text])


def _loaded(pattern: str) -> str:
    """Return the files of this process's libraries that are called so (Linux shows them)."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return "unknown on this system"
    files = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if ".so" in line}
    found = sorted(file for file in files if re.match(pattern, Path(file).name))
    return ", ".join(found) or "none"


def _plugin() -> str:
    plugins = sorted(Path(pympf.__file__).parent.rglob("libpympf_petsc*"))
    return str(plugins[0]) if plugins else "none"
