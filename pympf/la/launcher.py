"""How a process was started: alone, or as one of several by an MPI launcher."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["LauncherError", "launched"]


class LauncherError(RuntimeError):
    """The processes of a job do not find each other, or cannot use MPI."""


def launched(environment: Mapping[str, str] | None = None) -> tuple[int, int] | None:
    """Return (rank, size) that an MPI launcher gave to this process; None without a launcher.

    Not collective. Knows Open MPI, MPICH and its kin, and Slurm's srun where that speaks PMI (in an
    allocation, but without srun, a process is on its own).

    Parameters
    ----------
    environment : mapping, optional
        By default the variables of this process.

    Examples
    --------
    >>> from pympf.la import launched
    >>> launched({"PMI_RANK": "1", "PMI_SIZE": "4"})
    (1, 4)
    """
    environment = os.environ if environment is None else environment
    places = [("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")]
    if "PMI_RANK" in environment or "PMIX_RANK" in environment:
        places += [("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"), ("SLURM_PROCID", "SLURM_NTASKS")]
    for rank, size in places:
        if re.fullmatch(r"\d+", environment.get(size, "")):
            return int(environment.get(rank, 0)), int(environment[size])
    return None
