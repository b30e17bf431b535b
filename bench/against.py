"""The same systems by two installations of pympf, in turns: what a change costs.

    python bench/against.py BASELINE [--only TEXT] [--rounds 5] [--most-rows 200000] [--threads 1]

BASELINE is the Python of an environment with the other installation (a worktree of an older commit
with its own `make build`). Each system of the suite goes to a process of each through a file, and
the two measure in turns, so that whatever else the machine does meets both. Seconds are those of
the processor. The table gives, for a whole `pympf.solve`, for the setup of the hierarchy and for
an application of it, the ratio of the two medians (above 1: the baseline is faster), and last the
geometric means. The lines of JSON go to build/bench/against.jsonl.
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

WHAT = ("solve", "setup", "apply")
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
    return parser.parse_args()


def systems(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from cases import suite

    return [
        point
        for point in suite.systems(tiny=False)
        if arguments.only in describe(point) and point.get("rows", 0) <= arguments.most_rows
    ]


def describe(point: dict[str, Any]) -> str:
    return ", ".join(str(value).rpartition("/")[2] for value in point.values())


def line(row: dict[str, Any]) -> str:
    measured = [what for what in WHAT if row[what]]
    cells = [f"{what} {row[what]:.3f} ({row[what + '_s'] * 1e3:.1f} ms)" for what in measured]
    return f"{row['system']}: {', '.join(cells)}; iterations {row['iterations']}"


def compare(arguments: argparse.Namespace, point: dict[str, Any], file: Path) -> dict[str, Any]:
    import families

    families.member(**point).save(file)
    workers = [start(python, arguments.threads) for python in (arguments.baseline, sys.executable)]
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


def start(python: str, threads: int) -> Any:
    count = str(threads)
    environment = os.environ | {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    command = [python, __file__, "worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


def ask(worker: Any, question: Any) -> Any:
    print(json.dumps(question), file=worker.stdin, flush=True)
    return json.loads(worker.stdout.readline())


# ---- the process that measures: nothing of the tree but pympf itself -----------------------------


def work(questions: IO[str], answers: IO[str]) -> None:
    with np.load(json.loads(questions.readline())) as archive:
        system = dict(archive)
    parts = (system["data"], system["indices"], system["indptr"])
    system["A"] = sp.csr_array(parts, shape=(len(parts[2]) - 1,) * 2)
    print(json.dumps("ready"), file=answers, flush=True)
    for _ in questions:
        print(json.dumps(measured(system)), file=answers, flush=True)


def measured(system: dict[str, Any]) -> dict[str, Any]:
    A, b = system["A"], system["b"]
    known: dict[str, Any] = {}
    if "near_nullspace" in system:
        known = {
            "near_nullspace": system["near_nullspace"],
            "block_size": int(system["block_size"]),
        }
    solution = None

    def solve() -> None:
        nonlocal solution
        solution = pympf.solve(A, b, **known)

    answer = {"solve": seconds(solve), "iterations": solution.iterations if solution else None}
    if system.get("definite", False):
        M = pympf.as_preconditioner(A, method="multilevel", **known)
        answer["setup"] = seconds(lambda: pympf.as_preconditioner(A, method="multilevel", **known))
        answer["apply"] = seconds(lambda: M.apply(b))
    return answer


def seconds(call: Callable[[], Any]) -> float:
    """Seconds of the processor of one call, by as many as take SHORT_S."""
    calls, start = 0, time.process_time()
    while True:
        call()
        calls += 1
        taken = time.process_time() - start
        if taken >= SHORT_S:
            return taken / calls


if __name__ == "__main__":
    sys.exit(main())
