"""The benchmarks.

    python bench/run.py [CASE ...] [--tiny]   measure, one line of JSON for each point
    python bench/run.py table                 write docs/benchmarks.md from these lines

The lines go to bench/results/<case>.jsonl. Every point of a case is measured in a process of its
own, so that its memory and its number of threads (OMP_NUM_THREADS) are its own too. `--tiny` runs
everything small, to see that it works; its lines go below build/.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure

CASES = ("setup_scaling", "frobenius", "apply", "threads", "table21", "matrices")
RESULTS = measure.ROOT / "bench/results"
PAGE = measure.ROOT / "docs/benchmarks.md"

INTRODUCTION = """# Benchmarks

Written by `python bench/run.py table` from the lines of JSON in `bench/results`; measured by
`make bench` (see `bench/README.md`). Times are medians after a warm-up; a count of iterations is a
count of products with A.
"""


def main() -> int:
    arguments = parse()
    if arguments.point:
        print(json.dumps(load(arguments.cases[0]).run(**json.loads(arguments.point))))
        return 0
    if arguments.cases == ["table"]:
        PAGE.write_text(page())
        return 0
    measure.kernels()  # compiled before anything is measured
    failed = [name for name in arguments.cases or CASES if not run_case(name, arguments.tiny)]
    if failed:
        print(f"bench: points failed in {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the benchmarks, or write their page.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"table, or: {', '.join(CASES)}")
    parser.add_argument("--tiny", action="store_true", help="everything small, in a minute")
    parser.add_argument("--point", help=argparse.SUPPRESS)  # what the driver calls itself with
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - {*CASES, "table"}
    if unknown or ("table" in arguments.cases and len(arguments.cases) > 1):
        parser.error(f"expected table, or some of {', '.join(CASES)}; got {arguments.cases}")
    return arguments


def load(name: str) -> Any:
    return importlib.import_module(f"cases.{name}")


def run_case(name: str, tiny: bool) -> bool:
    """Measure a case and print its table; False when a point failed."""
    case = load(name)
    folder = measure.SCRATCH / "tiny" if tiny else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.jsonl.part"
    rows, points = [], case.points(tiny)
    with part.open("w") as lines:
        print(json.dumps({"environment": measure.environment(), "tiny": tiny}), file=lines)
        for number, point in enumerate(points, 1):
            start = time.perf_counter()
            row = run_point(name, point, tiny)
            seconds = time.perf_counter() - start
            state = "failed" if row is None else f"{seconds:.1f} s"
            print(f"{name} {number}/{len(points)}: {_short(point)}: {state}", flush=True)
            if row is not None:
                rows.append(point | row)
                print(json.dumps(rows[-1], allow_nan=False), file=lines, flush=True)
    if len(rows) < len(points):
        return False  # the lines that there are stay in the .part file
    part.replace(folder / f"{name}.jsonl")
    print(f"\n{case.TITLE}\n{case.render(rows)}\n")
    return True


def run_point(name: str, point: dict[str, Any], tiny: bool) -> dict[str, Any] | None:
    command = [sys.executable, __file__, name, "--point", json.dumps(point)]
    environment = os.environ | {"OMP_NUM_THREADS": str(point.get("threads", os.cpu_count()))}
    if tiny:  # on a busy machine threads that spin at barriers take a hundred times as long
        environment["OMP_WAIT_POLICY"] = "passive"
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _short(point: dict[str, Any]) -> str:
    return ", ".join(f"{key} {Path(str(value)).name}" for key, value in point.items())


def page(results: Path = RESULTS) -> str:
    parts = [INTRODUCTION]
    for name in CASES:
        file = results / f"{name}.jsonl"
        if file.exists():
            case = load(name)
            first, *rows = [json.loads(line) for line in file.read_text().splitlines()]
            parts += [f"## {case.TITLE}", case.__doc__.strip(), case.render(rows)]
            parts.append(_conditions(first["environment"]))
    if len(parts) == 1:
        raise FileNotFoundError(f"no results in {results}: run `make bench` first")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _conditions(environment: dict[str, Any]) -> str:
    return (
        "*{date}, commit {commit}: {cpu}, {cores} cores, {memory_gb} GB; Python {python}, "
        "NumPy {numpy}, SciPy {scipy}; load {load_before} before the first point.*"
    ).format(**environment)


if __name__ == "__main__":
    sys.exit(main())
