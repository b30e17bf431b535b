"""Try random inputs on the package: every answer is right, or a refusal that says why.

    tests/fuzz/run.py [--seconds S] [--seed N] [--most M] [--jobs J] [KIND...]
    tests/fuzz/run.py --input KIND NUMBER     one input again, in this process

An input is made from its kind and its number alone. The inputs of a kind are tried one after the
other in a child process, which is started anew behind an input that ends it (a crash) or takes too
long (a hang). Prints how many inputs ended how; exit code 1 after a crash, a hang, a wrong answer
or an exception of another kind than the documented ones.
"""

import argparse
import collections
import concurrent.futures
import faulthandler
import json
import os
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

KINDS = {
    "solve": ("solving", "solve"),
    "precondition": ("solving", "precondition"),
    "factorize": ("solving", "factorize"),
    "files": ("files", "read"),
    "petsc": ("petsc", "solve"),
}
PATIENCE_S = 60.0
MEMORY = 4 << 30
SHOWN = 15


def attempt(kind, number):
    """Try one input; give the outcome in words. What is wrong raises."""
    import numpy as np

    module, function = KINDS[kind]
    rng = np.random.default_rng([number, *kind.encode()])
    return getattr(__import__(module), function)(rng)


def work(kind, first):
    """Be the child process: try inputs and write a line of JSON before and after each."""
    faulthandler.enable()
    warnings.simplefilter("error")
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):  # whose shadow is far larger
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not for the parent

    def say(line):
        print(json.dumps(line), file=channel, flush=True)

    number = first
    while True:
        say({"begun": number})
        try:
            outcome, fault = attempt(kind, number), None
        except Exception as error:  # noqa: BLE001 - what else comes is what is looked for
            outcome = "wrong" if type(error).__name__ == "Wrong" else "foreign exception"
            fault = "".join(traceback.format_exception(error)[-4:]).strip()
        say({"ended": number, "outcome": outcome, "fault": fault})
        number += 1


class Child:
    """A process that tries the inputs of a kind from a number on."""

    def __init__(self, kind, first):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", kind, str(first)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,  # what select() does not see must not wait in a buffer
        )
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def line(self, patience):
        """Give its next line; None when it has ended, TimeoutError when none comes."""
        if not self.selector.select(patience):
            raise TimeoutError
        text = self.process.stdout.readline()
        return json.loads(text) if text.endswith(b"\n") else None

    def end(self):
        """End it; give its exit code and the end of what it wrote to stderr."""
        self.process.kill()
        code = self.process.wait()
        self.process.stdout.close()
        self.selector.close()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        self.errors.close()
        return code, text


def run(kind, first, seconds, most):
    """Try inputs of a kind for some seconds; give the count of every outcome, and the faults."""
    outcomes, faults = collections.Counter(), []
    deadline, number = time.monotonic() + seconds, first

    def goes_on():
        return time.monotonic() < deadline and number < first + most

    while goes_on():
        child = Child(kind, number)
        end = None
        while end is None and goes_on():
            try:
                line = child.line(PATIENCE_S)
            except TimeoutError:
                end = "hang"
                continue
            if line is None:
                end = "crash"
            elif "ended" in line:
                outcomes[line["outcome"]] += 1
                if line["fault"] is not None:
                    faults.append((kind, line["ended"], line["outcome"], line["fault"]))
                number = line["ended"] + 1
        code, text = child.end()
        if end is not None:
            outcomes[end] += 1
            faults.append((kind, number, f"{end} (exit code {code})", shortened(text)))
            number += 1
    return outcomes, faults


def shortened(text):
    """Give the beginning of a sanitizer's report or the end of other messages."""
    at = max(text.find("ERROR: AddressSanitizer"), text.find("runtime error"))
    lines = text[at:].splitlines()[:SHOWN] if at >= 0 else text.splitlines()[-SHOWN:]
    return "\n".join(lines)


def summary(kind, outcomes):
    """Give a line of figures."""
    count = collections.Counter()
    for outcome, times in outcomes.items():
        count[outcome.partition(":")[0]] += times
    parts = ", ".join(f"{times} {word}" for word, times in count.most_common())
    return f"{kind:13}{sum(outcomes.values()):7} inputs: {parts}"


def grouped(faults):
    """Put together faults that differ in numbers only."""
    groups = collections.defaultdict(list)
    for kind, number, what, text in faults:
        alike = re.sub(r"[0-9.e+-]+", "", "".join(text.splitlines()[-1:]))
        groups[kind, what, alike].append((number, text))
    return groups


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--most", type=int, default=sys.maxsize, help="inputs of a kind")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first input")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--input", nargs=2, metavar=("KIND", "NUMBER"), help="one input again")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbose", action="store_true", help="print every outcome")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if args.child:
        work(args.child[0], int(args.child[1]))
    if args.input:
        warnings.simplefilter("error")
        print(attempt(args.input[0], int(args.input[1])))
        return 0
    kinds = args.kinds or list(KINDS)
    share = args.seconds * min(args.jobs, len(kinds)) / len(kinds)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda kind: run(kind, args.seed, share, args.most), kinds))
    for kind, (outcomes, _) in zip(kinds, results, strict=True):
        print(summary(kind, outcomes))
        for outcome, times in outcomes.most_common() if args.verbose else ():
            print(f"{times:14} {outcome}")
    faults = [fault for _, found in results for fault in found]
    for (kind, what, _), group in grouped(faults).items():
        numbers = [number for number, _ in group]
        print(f"\n{what}: tests/fuzz/run.py --input {kind} {numbers[0]}\n{group[0][1]}")
        if len(numbers) > 1:
            print(f"... and {len(numbers) - 1} like it: {' '.join(map(str, numbers[1:8]))}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
