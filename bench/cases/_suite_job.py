"""The job that `solvers.on_ranks` starts: SOLVER MODULE POINT; rank 0 prints a line of JSON."""

import importlib
import json
import sys
from pathlib import Path

from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import solvers


def main() -> None:
    name, module, point = sys.argv[1:]
    member = importlib.import_module(module).member(**json.loads(point))
    result = solvers.answer(name, member)
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
