"""The job on three ranks that `patches_tasks` starts with a point as JSON; rank 0 prints a line.

Speed: a short training of one task, by one worker and by two, in turns, so that what else the
machine does meets all alike. Accuracies and staleness: a whole asynchronous training of both tasks,
one worker each; a synchronous one has the bits of the training in one process (table 4.4).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mpi4py import MPI

from cases import patches_tasks
from pympf.nets import patches

COMM = MPI.COMM_WORLD
WAYS = ((1, "synchronous"), (2, "synchronous"), (1, "asynchronous"), (2, "asynchronous"))


def wait_for_all() -> None:
    """Meet the other ranks, asleep: a rank that does not work must not take a core."""
    request = COMM.Ibarrier()
    while not request.Test():
        time.sleep(1e-3)


def speeds(task: Any, turns: int, steps: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Images per second of each way in each turn; what the last one told."""
    pair = COMM.Split(0 if COMM.rank < 2 else MPI.UNDEFINED)
    found: dict[str, list[float]] = {f"{mode}, {workers}": [] for workers, mode in WAYS}
    told = {}
    for turn in range(turns + 1):
        for workers, mode in WAYS:
            wait_for_all()
            comm = pair if workers == 1 else COMM
            if comm == MPI.COMM_NULL:
                continue
            result = patches.train_tasks([task], comm=comm, mode=mode, steps=steps)
            name = f"{mode}, {workers}"
            told[name] = (result.waited_s / result.wall_s).tolist()
            if turn:  # the first one warms up
                found[name].append(64 * steps / result.wall_s)
    return found, {"waited": told, "message_bytes": result.message_bytes}


def main() -> None:
    point = json.loads(sys.argv[1])
    made = patches_tasks.make(point["data"], point["n"])
    one = patches_tasks.make(point["data"][:1], point["n"])[0][0]
    images_per_s, told = speeds(one, point["turns"], point["speed"])
    tasks = [task for task, _, _ in made]
    training = patches.train_tasks(tasks, comm=COMM, mode="asynchronous", steps=point["steps"])
    if COMM.rank == 0:
        found = {"images_per_s": images_per_s, **told, "staleness": training.staleness.tolist()}
        found["accuracies"] = patches_tasks.scores(made)
        ratios = {
            mode: float(np.median(np.divide(*(images_per_s[f"{mode}, {w}"] for w in (2, 1)))))
            for mode in ("synchronous", "asynchronous")
        }
        print(json.dumps(found | {"ratios": ratios}))


main()
