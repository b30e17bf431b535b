"""The job on three ranks that `patches_tasks` starts with a point as JSON; rank 0 prints a line.

Speed: a short training of one task, by one worker and by two, with batches of several sizes, in
turns, so that what else the machine does meets all alike. Accuracies and staleness: a whole
asynchronous training of both tasks, one worker each; a synchronous one has the bits of the training
in one process (table 4.4).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

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


def speeds(data: list[str], n: int, turns: int, steps: int, batches: list[int]) -> dict[str, Any]:
    """Images per second of each way in each turn, shares of waiting, and processor seconds."""
    task = patches_tasks.make(data[:1], n)[0][0]
    pair = COMM.Split(0 if COMM.rank < 2 else MPI.UNDEFINED)
    ways = [(workers, mode, batch) for batch in batches for workers, mode in WAYS]
    names = [f"{mode}, {workers}, {batch}" for workers, mode, batch in ways]
    found: dict[str, Any] = {"images_per_s": {name: [] for name in names}}
    found |= {"waited": {}, "cpu": {name: [] for name in names}}
    for turn in range(turns + 1):
        for (workers, mode, batch), name in zip(ways, names, strict=True):
            wait_for_all()
            comm = pair if workers == 1 else COMM
            if comm == MPI.COMM_NULL:
                continue
            start = time.process_time()
            told = patches.train_tasks([task], comm=comm, mode=mode, steps=steps, batch=batch)
            cpu = comm.gather(time.process_time() - start)
            if turn:  # the first one warms up
                found["images_per_s"][name].append(batch * steps / told.wall_s)
                found["cpu"][name].append(cpu)
                found["waited"][name] = (told.waited_s / told.wall_s).tolist()
                found["message_bytes"] = told.message_bytes
    return found


def asynchronous(data: list[str], n: int, steps: int) -> dict[str, Any]:
    """Accuracies and staleness of a whole training of both tasks."""
    made = patches_tasks.make(data, n)
    tasks = [task for task, _, _ in made]
    told = patches.train_tasks(tasks, comm=COMM, mode="asynchronous", steps=steps)
    accuracies = patches_tasks.scores(made) if COMM.rank == 0 else []
    return {"staleness": told.staleness.tolist(), "accuracies": accuracies}


def main() -> None:
    point = json.loads(sys.argv[1])
    part = {"speed": speeds, "asynchronous": asynchronous}[point.pop("part")]
    found = part(**point)
    if COMM.rank == 0:
        print(json.dumps(found))


main()
