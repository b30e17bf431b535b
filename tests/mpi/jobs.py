"""Jobs of several ranks that tests start themselves."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

COMM = MPI.COMM_WORLD
starts_a_job = pytest.mark.skipif(
    COMM.size > 1 or shutil.which(os.environ.get("MPIRUN", "mpirun")) is None,
    reason="starts a job of three ranks itself: once is enough, and it needs mpirun",
)


def run_job(folder, script, *options):
    """Run a script on 3 ranks in a job of its own; give its exit code and what it printed."""
    (folder / "job.py").write_text(textwrap.dedent(script))
    return run_command(folder, sys.executable, *options, "job.py")


def run_command(folder, *command):
    """Run a command on 3 ranks in a job of its own; give its exit code and what it printed."""
    # The new job must not take itself for a part of this one.
    inherited = ("OMPI_", "PMIX_", "PMI_", "HYDRA_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    done = subprocess.run(
        [Path(__file__).parent / "run", "3", *command],
        env={**own, "MPI_TIMEOUT": "60"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
    )
    return done.returncode, done.stdout
