"""The script that checks the rules of dependency finds what breaks them, and nothing else."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_layering.py"
spec = importlib.util.spec_from_file_location("check_layering", SCRIPT)
check_layering = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_layering)


def violations(tmp_path, name, source):
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(source)
    return [str(violation) for violation in check_layering.check_tree(tmp_path)]


@pytest.mark.parametrize(
    ("name", "source", "line", "text"),
    [
        ("cpp/pympf/common/a.hpp", '\n#include "pympf/la/csr.hpp"', 2, "common includes la"),
        ("cpp/pympf/la/a.cpp", '#include "pympf/mmf/mmf.hpp"', 1, "allowed: common, la, mpi"),
        ("cpp/pympf/lsh/a.cpp", '#include "pympf/mmf/mmf.hpp"', 1, "lsh includes mmf"),
        (
            "cpp/pympf/precond/levels/a.cpp",
            '#include "pympf/precond/choice/plan.hpp"',
            1,
            "levels of precond includes choice; allowed: ground, smoothers, levels",
        ),
        (
            "cpp/pympf/precond/report.hpp",
            '#include "pympf/precond/levels/level.hpp"',
            1,
            "ground of precond includes levels",
        ),
        (
            "cpp/pympf/precond/choice/a.cpp",
            '#include "pympf/precond/preconditioner.hpp"',
            1,
            "choice of precond includes preconditioner",
        ),
        (
            "cpp/pympf/precond/misc/a.cpp",
            '#include "pympf/precond/params.hpp"',
            1,
            "wing misc of precond has no place",
        ),
        ("cpp/pympf/misc/a.cpp", "", 1, "folder misc has no place"),
        ("cpp/pympf/mmf/a.cpp", "/*\n*/ MPI_Bcast(x);", 2, "uses MPI_Bcast; that is allowed in"),
        ("cpp/petsc/a.cpp", "f(MPI_Comm_c2f (c));", 1, "uses MPI_Comm_c2f"),
        ("cpp/pympf/mmf/a.cpp", "#include <mpi.h>", 1, "cpp/pympf/mpi only"),
        ("cpp/pympf/mmf/a.cpp", "# include <petscksp.h>", 1, "cpp/petsc only"),
        ("cpp/bindings/a.pyx", 'cdef extern from "petsc.h":\n  pass', 1, "cpp/petsc only"),
        ("cpp/pympf/la/a.cpp", "#include <Python.h>", 1, "cpp/bindings only"),
        ("pympf/ref/a.py", "from .. import _engine", 1, "imports pympf._engine"),
        ("pympf/ref/a.py", "def f():\n    from pympf.la import as_csr", 2, "imports pympf.la"),
        ("pympf/solve.py", "import numpy\nfrom pympf.cli import main", 2, "imports pympf.cli"),
        ("pympf/solve.py", "from . import cli", 1, "imports pympf.cli"),
        ("pympf/mmf/a.py", "from ..nets import a", 1, "imports pympf.nets"),
        ("pympf/krylov.py", "from pympf.comparison import compare", 1, "only pympf and cli do"),
        ("pympf/nets/a.py", "from pympf.explain import a", 1, "imports pympf.explain"),
        ("pympf/explain/a.py", "import pympf._engine", 1, "explain uses the public face of"),
        ("pympf/explain/a.py", "from pympf.la import as_csr", 1, "explain uses the public face"),
        ("pympf/explain/a.py", "from pympf.nets._a import b", 1, "explain uses the public face"),
        ("pympf/nets/a.py", "import pympf._engine", 1, "nets uses the public faces"),
        ("pympf/a.py", "from pympf._lsh import Family", 1, "only pympf/_engine.py does that"),
        ("pympf/a.py", "def f():\n    from mpi4py import MPI", 2, "only pympf/la/ranks"),
        ("pympf/a.py", "f(self.comm.allgather(x))", 1, "take la.Ranks"),
        ("pympf/a.py", "x = 1\ncomm.Send(x, 1)", 2, "calls comm.Send"),
        ("pympf/nets/a.py", "from sklearn.base import BaseEstimator", 1, "imports sklearn"),
        ("pympf/a.py", "try:\n    import petsc4py\nfinally:\n    pass", 2, "imports petsc4py"),
        ("pympf/a.py", "class A:\n    from h5py import File", 2, "import it where it is used"),
    ],
)
def test_refused(tmp_path, name, source, line, text):
    (found,) = violations(tmp_path, name, source)
    assert found.startswith(f"{name}:{line}: ")
    assert text in found


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("cpp/pympf/mmf/a.cpp", '#include "pympf/la/csr.hpp"\n#include "pympf/mmf/mmf.hpp"'),
        ("cpp/pympf/precond/a.cpp", '#include "pympf/mmf/mmf.hpp"'),
        ("cpp/pympf/precond/a.cpp", '#include "pympf/precond/choice/plan.hpp"'),
        ("cpp/pympf/precond/levels/a.cpp", '#include "pympf/precond/smoothers/smoother.hpp"'),
        ("cpp/pympf/precond/choice/a.cpp", '#include "pympf/precond/report.hpp"'),
        ("cpp/pympf/mpi/a.cpp", "#include <mpi.h>\nMPI_Barrier(c);"),
        ("cpp/pympf/la/a.cpp", "// as MPI_Bcast(x) does\nMPI_Comm comm;"),
        ("cpp/petsc/a.cpp", '#include <petsc/private/pcimpl.h>\n#include "pympf/mmf/mmf.hpp"'),
        ("cpp/bindings/a.pyx", 'cdef extern from "pympf/mmf/mmf.hpp":\n    pass'),
        ("pympf/ref/a.py", "import numpy\nfrom . import b\nfrom .b import c"),
        ("pympf/ref/__init__.py", "from .a import b\nfrom . import c"),
        ("pympf/explain/a.py", "from pympf.nets.graph import grad\nfrom pympf.explain import b"),
        ("pympf/explain/a.py", "from pympf.nets._checks import as_points"),
        ("pympf/explain/a.py", "from pympf.la import checks"),
        ("pympf/_engine.py", "import pympf._lsh as lsh"),
        ("pympf/la/ranks/a.py", "def f(comm):\n    from mpi4py import MPI\n    comm.Send(1)"),
        ("pympf/a.py", "x = 1  # as comm.Send(x) does"),
        ("pympf/a.py", "ranks.gather(1)"),
        ("pympf/cli/parser.py", "def f():\n    from pympf.explain import commands"),
        ("pympf/__main__.py", "from .cli import main"),
        ("pympf/__init__.py", "from pympf.comparison import compare"),
        ("pympf/a.py", "def f():\n    import h5py"),
        ("pympf/nets/estimators.py", "from sklearn.base import BaseEstimator"),
        ("pympf/nets/patches/estimator.py", "from sklearn.base import BaseEstimator"),
        ("pympf/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import h5py"),
    ],
)
def test_allowed(tmp_path, name, source):
    assert violations(tmp_path, name, source) == []
