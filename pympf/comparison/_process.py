"""Starts the process of a solver, reads what it tells, and ends it at the limit."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

# The worker gets the path of this process: started by `-m`, it would import from the folder that
# it is started in.
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from pympf.comparison._worker import main; main(*sys.argv[2:])"
)
LOADING_S = 120.0  # to import and to read the matrix, beyond the limit
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LAUNCHERS = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "MPI_", "SLURM_", "HYDRA_")


def told(
    file: Path, name: str, *, runs: int, limit_s: float, threads: int, most_bytes: int
) -> tuple[list[dict[str, Any]], str]:
    """Run a solver in a process of its own.

    Returns the lines that it told, and how it ended: '' well, 'timed out', or what killed it.
    """
    receiver, sender = os.pipe()
    arguments = [str(file), name, str(sender), str(runs), str(limit_s), str(most_bytes)]
    command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), *arguments]
    with file.with_suffix(".log").open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[sender],
            env=_environment(threads),
            start_new_session=True,
        )
    os.close(sender)
    lines: list[dict[str, Any]] = []
    ended = False
    try:
        for line in _lines(receiver, limit_s):
            lines.append(line)
        ended = not lines or lines[-1]["state"] != "timeout"
        if ended:
            child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        ended = True  # it said all it had to say, and hangs in its clean-up
    finally:
        os.close(receiver)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if not ended:
        return lines[:-1], "timed out"
    return lines, _death(child.returncode, lines, file.with_suffix(".log"))


def _environment(threads: int) -> dict[str, str]:
    """Return the environment without a launcher, whose job the process would take itself for."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHERS)}
    return kept | dict.fromkeys(THREADS, str(threads))


def _lines(receiver: int, limit_s: float) -> Iterator[dict[str, Any]]:
    """Give the lines as they come; {'state': 'timeout'} is the last when the time is spent.

    The time counts from 'ready'.
    """
    deadline, rest = time.monotonic() + LOADING_S + limit_s, b""
    with selectors.DefaultSelector() as selector:
        selector.register(receiver, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                yield {"state": "timeout"}
                return
            chunk = os.read(receiver, 1 << 16)
            if not chunk:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            for line in map(json.loads, whole):
                if line["state"] == "ready":
                    deadline = time.monotonic() + limit_s
                yield line


def _death(code: int, lines: list[dict[str, Any]], log: Path) -> str:
    """Say what ended a process; '' where it has done its work."""
    if lines and lines[-1]["state"] not in ("ready", "again", "ran"):
        return ""  # it has told itself
    if code == 0 or (code < 0 and lines and lines[-1]["state"] != "ready"):
        return ""
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    text = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"crashed: {how}" + (f" ({text[-1].strip()[:120]})" if text else "")
