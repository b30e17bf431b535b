"""The job that `patches_tasks` starts with a point as JSON; rank 0 prints a line of JSON.

The speed is measured on `speed` steps of one task, whose batches of 64 the workers share; the
accuracies are those of a whole asynchronous training of both tasks, one worker each; a synchronous
one has the bits of the training in one process, which table 4.4 has.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mpi4py import MPI

from cases import patches_tasks
from pympf.nets import patches

COMM = MPI.COMM_WORLD


def main() -> None:
    point = json.loads(sys.argv[1])
    made = patches_tasks.make(point["data"], point["n"])
    one = patches_tasks.make(point["data"][:1], point["n"])[0][0]
    told = None
    for steps in (2, point["speed"]):  # the first one warms up
        told = patches.train_tasks([one], comm=COMM, mode=point["mode"], steps=steps)
    found = {
        "images_per_s": 64 * point["speed"] / told.wall_s,
        "waited": (told.waited_s / told.wall_s).tolist(),
        "message_bytes": told.message_bytes,
        "staleness": told.staleness.tolist(),
        "accuracies": [],
    }
    if point["mode"] == "asynchronous":
        tasks = [task for task, _, _ in made]
        told = patches.train_tasks(tasks, comm=COMM, mode=point["mode"], steps=point["steps"])
        found["staleness"] = told.staleness.tolist()
        if COMM.rank == 0:
            found["accuracies"] = patches_tasks.scores(made)
    if COMM.rank == 0:
        print(json.dumps(found))


main()
