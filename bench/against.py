"""The same systems by two installations of pympf, in turns: what a change costs.

    python bench/against.py BASELINE [--only TEXT] [--rounds 5] [--most-rows 200000] [--threads 1]
                             [--ranks 1]

BASELINE is the Python of an environment with the other installation (a worktree of an older commit
with its own `make build`). Each system of the suite goes to a process of each through a file, and
the two measure in turns, so that whatever else the machine does meets both. Seconds are those of
the processor. The table gives, for a whole `pympf.solve`, for the setup of the hierarchy and for
an application of it, the ratio of the two medians (above 1: the baseline is faster), and last the
geometric means. The lines of JSON go to build/bench/against.jsonl.

With --ranks above 1 the systems are those of the case `ranks`, with the sixth power below
--most-rows as rows (a square and a cube), in
contiguous ranges on so many processes of each installation; seconds are then the mean over the
ranks, and the table has `pympf.factorize` too.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import scipy.sparse as sp

import pympf

WHAT = ("solve", "setup", "apply", "factorize")
SHORT_S = 0.02  # what takes less is repeated until it takes this long


def main() -> int:
    if sys.argv[1:] == ["worker"]:
        work(sys.stdin, sys.stdout)
        return 0
    import measure  # which the baseline need not have

    arguments = parse()
    log = measure.SCRATCH / "against.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with log.open("w") as lines:
        for point in systems(arguments):
            row = {"system": describe(point), **compare(arguments, point, log.with_suffix(".npz"))}
            rows.append(row)
            print(json.dumps(row), file=lines, flush=True)
            print(line(row), flush=True)
    for what in WHAT:
        ratios = [row[what] for row in rows if row.get(what)]
        if ratios:
            mean = math.exp(statistics.fmean(map(math.log, ratios)))
            print(f"{what}: geometric mean {mean:.3f} over {len(ratios)} systems")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("baseline", help="Python of the other installation")
    parser.add_argument("--only", default="", help="systems whose description has this text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most-rows", type=int, default=200_000, help="of generated systems")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1, help="processes of each installation")
    return parser.parse_args()


def systems(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from cases import ranks, suite

    if arguments.ranks > 1:
        points = [
            {"problem": problem, "rows": sixth_power(min(rows, arguments.most_rows))}
            for problem, rows in ranks.PROBLEMS.items()
        ]
        return [point for point in points if arguments.only in describe(point)]
    return [
        point
        for point in suite.systems(tiny=False)
        if arguments.only in describe(point) and point.get("rows", 0) <= arguments.most_rows
    ]


def sixth_power(most: int) -> int:
    """Give rows that are a square and a cube."""
    side = 1
    while (side + 1) ** 6 <= most:
        side += 1
    return side**6


def describe(point: dict[str, Any]) -> str:
    return ", ".join(str(value).rpartition("/")[2] for value in point.values())


def line(row: dict[str, Any]) -> str:
    measured = [what for what in WHAT if row.get(what)]
    cells = [f"{what} {row[what]:.3f} ({row[what + '_s'] * 1e3:.1f} ms)" for what in measured]
    return f"{row['system']}: {', '.join(cells)}; iterations {row['iterations']}"


def compare(arguments: argparse.Namespace, point: dict[str, Any], file: Path) -> dict[str, Any]:
    save(point, file)
    workers = [start(python, arguments) for python in (arguments.baseline, sys.executable)]
    for worker in workers:
        ask(worker, str(file))
    taken: list[dict[str, list[float]]] = [{what: [] for what in WHAT} for _ in workers]
    iterations: list[Any] = [None, None]
    for number in range(arguments.rounds + 1):
        for which in (0, 1) if number % 2 else (1, 0):
            answer = ask(workers[which], "measure")
            iterations[which] = answer.pop("iterations")
            for what, seconds in answer.items():
                if number:  # the first round warms up
                    taken[which][what].append(seconds)
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    before, after = ({w: statistics.median(t) if t else 0 for w, t in one.items()} for one in taken)
    ratios = {what: after[what] / before[what] if before[what] else 0 for what in WHAT}
    return {**ratios, **{f"{what}_s": after[what] for what in WHAT}, "iterations": iterations}


def save(point: dict[str, Any], file: Path) -> None:
    if "problem" not in point:
        import families

        families.member(**point).save(file)
        return
    import problems

    A = problems.in_ranges(**point)
    b = problems.random_vector(A.shape[0])
    np.savez(file, data=A.data, indices=A.indices, indptr=A.indptr, b=b, definite=True)


def start(python: str, arguments: argparse.Namespace) -> Any:
    count = str(arguments.threads)
    environment = os.environ | {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    command = [python, __file__, "worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    if arguments.ranks == 1:
        return subprocess.Popen(command, env=environment, text=True, **pipes)
    import measure

    command = [str(measure.ROOT / "tests/mpi/run"), str(arguments.ranks), *command]
    environment["MPI_TIMEOUT"] = "3600"
    started = subprocess.Popen(command, env=environment, text=True, **pipes)
    started.stdout.readline()  # what tests/mpi/run says
    return started


def ask(worker: Any, question: Any) -> Any:
    print(json.dumps(question), file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())


# ---- the process that measures: nothing of the tree but pympf itself -----------------------------


class Ranks:
    """The processes that measure together: one, or those that mpirun started."""

    def __init__(self) -> None:
        self.comm: Any = None
        self.rank, self.size = 0, 1
        if any(name in os.environ for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")):
            from mpi4py import MPI

            self.comm = MPI.COMM_WORLD
            self.rank, self.size = self.comm.rank, self.comm.size

    def question(self, lines: IO[str]) -> str:
        """Pass on a line that rank 0 reads; the others sleep, for the installation in turn."""
        if self.rank > 0:
            while not self.comm.iprobe(source=0):
                time.sleep(0.001)
            return self.comm.recv(source=0)
        line = lines.readline()
        for rank in range(1, self.size):
            self.comm.send(line, rank)
        return line

    def mean(self, value: float) -> float:
        return self.comm.allreduce(value) / self.size if self.comm else value

    def own(self, n: int) -> slice:
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)


def work(questions: IO[str], answers: IO[str]) -> None:
    ranks = Ranks()
    with np.load(json.loads(ranks.question(questions))) as archive:
        system = dict(archive)
    parts = (system["data"], system["indices"], system["indptr"])
    A = sp.csr_array(parts, shape=(len(parts[2]) - 1,) * 2)
    own = ranks.own(A.shape[0])
    system["A"], system["b"] = (A[own], system["b"][own]) if ranks.comm else (A, system["b"])
    answer: Any = "ready"
    while True:
        if ranks.rank == 0:
            print(json.dumps(answer), file=answers, flush=True)
        if not ranks.question(questions):
            return
        answer = measured(system, ranks)


def measured(system: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    A, b = system["A"], system["b"]
    known: dict[str, Any] = {"comm": ranks.comm} if ranks.comm else {}
    if "near_nullspace" in system:
        known["near_nullspace"] = system["near_nullspace"]
        known["block_size"] = int(system["block_size"])
    solution = None

    def solve() -> None:
        nonlocal solution
        solution = pympf.solve(A, b, **known)

    def build() -> Any:
        return pympf.as_preconditioner(A, method="multilevel", **known)

    answer = {"solve": seconds(solve, ranks), "iterations": solution.iterations if solution else 0}
    if system.get("definite", False):
        M = build()
        answer["setup"] = seconds(build, ranks)
        answer["apply"] = seconds(lambda: M.apply(b), ranks)
    if ranks.comm:
        answer["factorize"] = seconds(lambda: pympf.factorize(A, comm=ranks.comm), ranks)
    return answer


def seconds(call: Callable[[], Any], ranks: Ranks) -> float:
    """Seconds of the processor of one call, by as many as take SHORT_S."""
    calls, start = 0, time.process_time()
    while True:
        call()
        calls += 1
        taken = ranks.mean(time.process_time() - start)
        if taken >= SHORT_S:
            return taken / calls


if __name__ == "__main__":
    sys.exit(main())
