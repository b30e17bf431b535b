"""The benchmarks.

    python bench/run.py [CASE ...] [--tiny] [--resume [--only TEXT]]
                                measure, one line of JSON for each point
    python bench/run.py table   write docs/benchmarks.md and its pictures from these lines

The lines go to bench/results/<case>.jsonl. Every point of a case is measured in a process of its
own, so that its memory and its number of threads (OMP_NUM_THREADS) are its own too. `--tiny` runs
everything small, to see that it works; its lines go below build/. `--resume` keeps the lines that
an earlier run has left, and with `--only` measures those of the other points alone whose
description, as it is printed, has this text.
"""

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure

CASES = ("setup_scaling", "frobenius", "apply", "blocks", "threads", "table21", "matrices", "work")
CASES += ("suite", "suite_two_cores", "honest", "unit_costs", "large", "nonsymmetric")
CASES += ("ranks", "lsh", "lsh_suggest", "lsh_networks", "lsh_forward")
CASES += ("depth", "modular", "modular_peers", "modular_samples", "modular_images")
CASES += ("patches", "patches_speed", "patches_tasks")
CASES += ("direct", "compare", "factor")
CASES += ("wavelets", "table22")
CASES += ("attribution", "attribution_tables", "attribution_wtq", "alignments")
CASES += ("sketch", "sketch_pipeline", "sketch_learning", "sketch_repository")
RESULTS = measure.ROOT / "bench/results"
PAGE = measure.ROOT / "docs/benchmarks.md"
PICTURES = measure.ROOT / "docs/images"

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
        draw_pictures()
        return 0
    measure.kernels()  # compiled before anything is measured
    failed = [name for name in arguments.cases or CASES if not run_case(name, arguments)]
    if failed:
        print(f"bench: points failed in {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the benchmarks, or write their page.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"table, or: {', '.join(CASES)}")
    parser.add_argument("--tiny", action="store_true", help="everything small, in a minute")
    parser.add_argument("--resume", action="store_true", help="keep the lines that there are")
    parser.add_argument("--only", metavar="TEXT", default="", help="points with this text")
    parser.add_argument("--point", help=argparse.SUPPRESS)  # what the driver calls itself with
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - {*CASES, "table"}
    if unknown or ("table" in arguments.cases and len(arguments.cases) > 1):
        parser.error(f"expected table, or some of {', '.join(CASES)}; got {arguments.cases}")
    if arguments.only and not arguments.resume:
        parser.error("--only without --resume would lose the lines of the other points")
    return arguments


def load(name: str) -> Any:
    return importlib.import_module(f"cases.{name}")


def run_case(name: str, options: argparse.Namespace) -> bool:
    """Measure a case and print its table; False when a point failed."""
    case = load(name)
    folder = measure.SCRATCH / "tiny" if options.tiny else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.jsonl.part"
    points = case.points(options.tiny)
    rows = _kept(part, points) if options.resume else []
    environment = measure.environment() | {"kept_points": len(rows)}
    asked = [p for p in points if _find(rows, p) is None and options.only in _short(p)]
    failed = False
    with part.open("w") as lines:
        for line in [{"environment": environment, "tiny": options.tiny}, *rows]:
            print(json.dumps(line), file=lines, flush=True)
        for number, point in enumerate(asked, 1):
            start = time.perf_counter()
            row = run_point(name, point, options.tiny)
            seconds = time.perf_counter() - start
            state = "failed" if row is None else f"{seconds:.1f} s"
            print(f"{name} {number}/{len(asked)}: {_short(point)}: {state}", flush=True)
            failed |= row is None
            if row is not None:
                rows.append(point | row)
                print(json.dumps(rows[-1], allow_nan=False), file=lines, flush=True)
    if failed:
        return False  # the lines that there are stay in the .part file
    part.replace(folder / f"{name}.jsonl")
    print(f"\n{case.TITLE}\n{case.render(_ordered(rows, points))}\n")
    return True


def _kept(part: Path, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of these points that a run has left, one that did not come to its end included."""
    file = part if part.exists() else part.with_suffix("")
    if not file.exists():
        return []
    _, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    return _ordered(rows, points)


def _find(rows: list[dict[str, Any]], point: dict[str, Any]) -> dict[str, Any] | None:
    return next((row for row in rows if point.items() <= row.items()), None)


def _ordered(rows: list[dict[str, Any]], points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for point in points if (row := _find(rows, point)) is not None]


def run_point(name: str, point: dict[str, Any], tiny: bool) -> dict[str, Any] | None:
    command = [sys.executable, __file__, name, "--point", json.dumps(point)]
    threads = str(point.get("threads", os.cpu_count()))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if tiny:  # on a busy machine threads that spin at barriers take a hundred times as long
        environment["OMP_WAIT_POLICY"] = "passive"
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _short(point: dict[str, Any]) -> str:
    return ", ".join(f"{key} {Path(str(value)).name}" for key, value in point.items())


def page(results: Path = RESULTS) -> str:
    parts = [INTRODUCTION]
    for name in CASES:
        case, environment, rows = load(name), *measure.results(results / f"{name}.jsonl")
        if rows:
            parts += [f"## {case.TITLE}", case.__doc__.strip(), case.render(rows)]
            parts.append(_conditions(environment))
    if len(parts) == 1:
        raise FileNotFoundError(f"no results in {results}: run `make bench` first")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def draw_pictures(results: Path = RESULTS) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        print("bench: no matplotlib, so the pictures stay as they are", file=sys.stderr)
        return
    for name in CASES:
        case, _, rows = load(name), *measure.results(results / f"{name}.jsonl")
        if rows and hasattr(case, "draw"):
            case.draw(rows, PICTURES)


def _conditions(environment: dict[str, Any]) -> str:
    kept = environment.get("kept_points")
    earlier = f" {kept} points are of earlier runs on this machine." if kept else ""
    return (
        "*{date}, commit {commit}: {cpu}, {cores} cores, {memory_gb} GB; Python {python}, "
        "NumPy {numpy}, SciPy {scipy}; load {load_before} before the first point.{earlier}*"
    ).format(**environment, earlier=earlier)


if __name__ == "__main__":
    sys.exit(main())
