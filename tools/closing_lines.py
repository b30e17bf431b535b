"""Print the closing lines of the test runners (pytest, ctest, doctest) found in their logs."""

import re
import sys
from pathlib import Path

CLOSING = re.compile(
    r"=+ .*\b(passed|failed|error|no tests ran)\b.* in \d.*=+"  # pytest
    r"|\d+% tests passed.*"  # ctest
    r"|\[doctest\] test cases:.*"
    r"|---- \d ranks: .*"  # tests/mpi/run
)

if __name__ == "__main__":
    for log in map(Path, sys.argv[1:]):
        print(f"{log.stem}:")
        for line in log.read_text().splitlines():
            if CLOSING.fullmatch(line.strip()):
                print(f"  {line.strip()}")
