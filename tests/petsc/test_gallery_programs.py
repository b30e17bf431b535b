"""The programs of the gallery solve their systems: PETSc in C and in Python, and a job of Slurm."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import command, compiler_flags, environment, mpirun

PROGRAMS = Path(__file__).parents[2] / "docs" / "gallery" / "programs"
OUTPUT = re.compile(r"(\d+) iterations, largest error (\S+)")


def run(program, *, ranks=0, **variables):
    """Run a program, and see that few iterations gave the right answer."""
    found = subprocess.run(
        [*(mpirun(ranks) if ranks else []), *program],
        env=environment() | variables,
        cwd=PROGRAMS,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    iterations, error = OUTPUT.search(found.stdout).groups()
    assert int(iterations) < 20
    assert float(error) < 1e-6
    return found.stdout


@pytest.mark.parametrize("ranks", [0, 2])
def test_petsc_in_c(plugin, tmp_path, ranks):
    compiler = [command("mpicc", "MPICC"), "-Wall", "-Wextra", "-Werror", "-O1"]
    program = tmp_path / "poisson"
    subprocess.run(
        [*compiler, PROGRAMS / "poisson.c", "-o", program, *compiler_flags()], check=True
    )
    options = ["-ksp_type", "cg", "-pc_type", "mmf", "-ksp_rtol", "1e-10"]
    run([program, "-dll_append", plugin, *options], ranks=ranks)


@pytest.mark.parametrize("ranks", [0, 2])
def test_petsc4py(PETSc, ranks):
    run([sys.executable, "poisson_petsc4py.py"], ranks=ranks)


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_job_of_slurm(ranks):
    """A cluster is not at hand: mpirun stands for `srun`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    launch = " ".join(mpirun(ranks))
    output = run(["bash", "job.slurm"], PATH=path, LAUNCH=launch)
    assert f"{ranks} ranks: " in output
