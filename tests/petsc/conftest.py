"""The plugin, a C program that loads it, and petsc4py with the plugin registered."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn

import pytest
import scipy.sparse as sp

HERE = Path(__file__).parent
# What an optimized PETSc prints around an error besides the error.
NOISE = ("Configure options", "Petsc Release", "See https:", "--- Error Message", "Option Table")


class Run(NamedTuple):
    """What a run of the C program left behind."""

    code: int
    output: str
    errors: str


def missing(what: str) -> NoReturn:
    """Skip a test for want of something optional; on a CI machine it must be there."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(f"{what}: see `make petsc-test`")


def command(name: str, variable: str) -> str:
    """Find a command, which a variable of the environment may name."""
    return shutil.which(os.environ.get(variable, name)) or missing(f"{name} is not installed")


def environment(threads: int = 1) -> dict[str, str]:
    """Give the environment of a PETSc program: none of the user's PETSc options."""
    # A threaded BLAS would change the rounding of the sums in PETSc's own vectors.
    changes = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1", "PETSC_OPTIONS": ""}
    changes["OMPI_MCA_mpi_yield_when_idle"] = "1"  # ranks that wait leave the cores to others
    if os.geteuid() == 0:  # Open MPI refuses to run as root unless it is told so twice
        changes |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return os.environ | changes


def compiler_flags() -> list[str]:
    """Ask pkg-config for the flags of PETSc, as tools/setup.sh does."""
    folder, arch = (os.environ.get(name, "") for name in ("PETSC_DIR", "PETSC_ARCH"))
    places = [f"{folder}/{arch}/lib/pkgconfig", f"{folder}/lib/pkgconfig"] if folder else []
    places.append(os.environ.get("PKG_CONFIG_PATH", ""))
    done = subprocess.run(
        [command("pkg-config", "PKG_CONFIG"), "--cflags", "--libs", "PETSc"],
        env=os.environ | {"PKG_CONFIG_PATH": ":".join(places)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        missing(f"pkg-config finds no PETSc: {done.stderr}")
    flags = done.stdout.split()
    return [*flags, *(f"-Wl,-rpath,{flag[2:]}" for flag in flags if flag.startswith("-L")), "-lm"]


def mpirun(ranks: int) -> list[str]:
    """Give the command that starts so many processes on this machine."""
    start = [command("mpirun", "MPIRUN"), "-n", str(ranks)]
    version = subprocess.run([start[0], "--version"], capture_output=True, text=True).stdout
    if "Open MPI" in version:  # more processes than cores, and no remote shell
        start += ["--oversubscribe", "--bind-to", "none", "--mca", "plm_rsh_agent", "true"]
    return start


@pytest.fixture(scope="session")
def plugin() -> Path:
    """Give the path of libpympf_petsc.so."""
    from pympf.petsc import library_path

    try:
        return library_path()
    except ImportError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile ksp_mmf.c, which knows nothing of pympf."""
    path = tmp_path_factory.mktemp("ksp_mmf") / "ksp_mmf"
    compiler = [command("mpicc", "MPICC"), "-Wall", "-Wextra", "-Werror", "-O1"]
    subprocess.run([*compiler, HERE / "ksp_mmf.c", "-o", path, *compiler_flags()], check=True)
    return path


@pytest.fixture
def solve(plugin: Path, program: Path, tmp_path: Path) -> Callable[..., Run]:
    """Give a function that runs the C program with the plugin and returns what it printed."""

    def run(options: str, *, ranks: int = 0, threads: int = 1, fails: bool = False) -> Run:
        start = mpirun(ranks) if ranks else []
        done = subprocess.run(
            [*start, program, "-dll_append", plugin, "-m", "20", *options.split()],
            env=environment(threads),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        errors = "\n".join(
            line for line in done.stderr.splitlines() if not any(text in line for text in NOISE)
        )
        assert (done.returncode != 0) == fails, f"{done.args}: {done.stdout}\n{errors}"
        return Run(done.returncode, done.stdout, errors)

    return run


@pytest.fixture(scope="session")
def PETSc(plugin: Path) -> ModuleType:
    """Give petsc4py's PETSc, where the preconditioner type mmf is known."""
    import pympf.petsc

    try:
        import petsc4py
    except ModuleNotFoundError:
        missing("petsc4py is not installed")
    petsc4py.init([])
    pympf.petsc.register()
    from petsc4py import PETSc

    return PETSc


@pytest.fixture
def mat(PETSc):
    """Give a function that makes a SeqAIJ matrix."""

    def make(A, block=1):
        A = sp.csr_array(A, dtype=float)
        indptr, indices = (array.astype(PETSc.IntType) for array in (A.indptr, A.indices))
        return PETSc.Mat().createAIJ(A.shape, bsize=block, csr=(indptr, indices, A.data))

    return make


@pytest.fixture
def options(PETSc):
    """Give a function that sets options of the preconditioner for the length of a test."""
    database = PETSc.Options()
    names = []

    def set_options(prefix="", **params):
        for name, value in params.items():
            names.append(f"{prefix}pc_mmf_{name}")
            database[names[-1]] = value

    yield set_options
    for name in names:
        database.delValue(name)


@pytest.fixture
def make_pc(PETSc, mat):
    """Give a function that makes a preconditioner of a matrix."""

    def make(A):
        pc = PETSc.PC().create()
        pc.setType("mmf")
        pc.setOperators(A if isinstance(A, PETSc.Mat) else mat(A))
        pc.setFromOptions()
        return pc

    return make


@pytest.fixture
def ksp_solve(PETSc, mat, tmp_path, rng):
    """Give a function that solves by mmf somewhere inside and returns the true residual.

    The solver may take `most` iterations.
    """

    def run(A, prepare=lambda ksp: None, most=None, **options):
        database = PETSc.Options("t_")
        for name, value in options.items():
            database[name] = value
        ksp = PETSc.KSP().create()
        ksp.setOptionsPrefix("t_")
        ksp.setOperators(A if isinstance(A, PETSc.Mat) else mat(A))
        ksp.setTolerances(rtol=1e-10)
        prepare(ksp)
        ksp.setFromOptions()
        matrix = ksp.getOperators()[0]
        x, b = matrix.createVecs()
        b.set(1)
        if matrix.getNullSpace().handle:
            b.array = rng.standard_normal(b.size)
            matrix.getNullSpace().remove(b)
        ksp.solve(b, x)
        for name in options:
            database.delValue(name)
        ksp.view(PETSc.Viewer().createASCII(str(tmp_path / "view")))
        assert "type: mmf" in (tmp_path / "view").read_text()
        assert ksp.getConvergedReason() > 0
        assert most is None or ksp.getIterationNumber() <= most
        return (matrix * x - b).norm() / b.norm()

    return run
