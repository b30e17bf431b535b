"""Fail unless each rank of the MPI test runs on 1, 2, 3 and 8 ranks passed tests and failed none.

    check_mpi_ran.py REPORTS

REPORTS is the folder with the JUnit files mpi-<ranks>-rank<rank>.xml. A test that only looks as if
it had run in parallel (MPI missing, marks not selected) is the mistake this finds.
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def counts(report: Path) -> tuple[int, int]:
    """Return how many tests of a JUnit file passed, and how many failed or ended in an error."""
    suite = ElementTree.parse(report).getroot().find("testsuite")
    if suite is None:
        return 0, 0
    tests, skipped, failures, errors = (
        int(suite.get(key, 0)) for key in ("tests", "skipped", "failures", "errors")
    )
    return tests - skipped - failures - errors, failures + errors


def main(reports: Path) -> int:
    good = True
    for ranks in (1, 2, 3, 8):
        for rank in range(ranks):
            report = reports / f"mpi-{ranks}-rank{rank}.xml"
            passed, failed = counts(report) if report.exists() else (0, 0)
            print(f"MPI tests on {ranks} ranks, rank {rank}: {passed} passed, {failed} failed")
            good = good and passed > 0 and failed == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
