"""Seconds, bytes, bandwidth, and what they were measured on."""

import ctypes
import datetime
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

import pympf

ROOT = Path(__file__).parent.parent
SCRATCH = ROOT / os.environ.get("BUILD", "build") / "bench"


def from_root(path: Path) -> str:
    """A file as the results name it: the same text on every machine."""
    return os.path.relpath(path, ROOT)


WORD = 8  # bytes of a float64


Clock = Callable[[], float]


def median_s(
    call: Callable[[], Any],
    samples: int = 21,
    budget_s: float = 4.0,
    clock: Clock = time.perf_counter,
) -> float:
    """Seconds of one call: the median of samples of 1 ms or longer, after a warm-up."""
    call()
    loops = max(1, int(1e-3 / max(_elapsed_s(call, 1, clock), 1e-7)))
    taken: list[float] = []
    deadline = time.perf_counter() + budget_s
    while len(taken) < 3 or (len(taken) < samples and time.perf_counter() < deadline):
        taken.append(_elapsed_s(call, loops, clock))
    return statistics.median(taken)


def _elapsed_s(call: Callable[[], Any], loops: int, clock: Clock = time.perf_counter) -> float:
    start = clock()
    for _ in range(loops):
        call()
    return (clock() - start) / loops


def long_run_s(call: Callable[[], Any], samples: int, budget_s: float = 10.0) -> float:
    """Median seconds of calls that take long: fewer than `samples` when the budget is spent."""
    taken: list[float] = []
    while not taken or (len(taken) < samples and sum(taken) < budget_s):
        taken.append(_elapsed_s(call, 1))
    return statistics.median(taken)


def kernels() -> ctypes.CDLL:
    """The compiled yardsticks (kernels.cpp), built when they are older than their source."""
    core = [
        ROOT / "cpp/pympf" / name
        for name in ("la/csr.cpp", "common/parallel.cpp", "common/cores.cpp")
    ]
    sources = [ROOT / "bench/kernels.cpp", *core]
    library = SCRATCH / "kernels.so"
    newest = max(source.stat().st_mtime for source in sources)
    if not library.exists() or library.stat().st_mtime < newest:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        flags = ["-std=c++20", "-O3", "-ffp-contract=off", "-fopenmp", "-shared", "-fPIC"]
        compiler = os.environ.get("CXX", "c++")
        command = [compiler, *flags, f"-I{ROOT / 'cpp'}", *map(str, sources), "-o", str(library)]
        subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def spmv_s(
    A: Any, x: np.ndarray, rows: int | None = None, clock: Clock = time.perf_counter
) -> float:
    """Seconds of a product with the first rows of A, as it is inside our Krylov methods."""
    y = np.empty_like(x)
    count = ctypes.c_int32(A.shape[0] if rows is None else rows)
    arrays = [address(array) for array in (A.indptr, A.indices, A.data, x, y)]
    spmv = kernels().bench_spmv
    return median_s(lambda: spmv(count, *arrays), clock=clock)


def triad_gb_per_s(bytes_in_all: int) -> float:
    """Bandwidth of a = b + s c on arrays of this many bytes together, so in the same caches."""
    n = max(1, bytes_in_all // (3 * WORD))
    a, b, c = np.zeros(n), np.ones(n), np.ones(n)
    triad = kernels().bench_triad
    arguments = (ctypes.c_long(n), ctypes.c_double(0.5), address(b), address(c), address(a))
    return 3 * WORD * n / median_s(lambda: triad(*arguments)) / 1e9


def results(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The environment and the rows of a case; nothing when it was not measured."""
    if not file.exists():
        return {}, []
    first, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    return first["environment"], rows


def environment() -> dict[str, Any]:
    commit = _git("rev-parse", "--short", "HEAD")
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pympf": pympf.__version__,
        "commit": f"{commit}+changes" if _git("status", "--porcelain", "-uno") else commit,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
