"""The job that the case `suite_two_cores` starts: SOLVER POINT; rank 0 prints a line of JSON."""

import json
import sys
from pathlib import Path

from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import families
import solvers


def main() -> None:
    name, point = sys.argv[1], json.loads(sys.argv[2])
    result = solvers.answer(name, families.member(**point))
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
