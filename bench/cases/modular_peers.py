"""Pursuit against its peers on the sine task with m = k modules, in the same run: `ppr` of R (R. H.
Friedman's SMART; skipped where there is no `Rscript`) and the printed kernel rule. `ppr` gets the
true number of terms after a backward pass from five more, optlevel 3, and the better of its two
smoothers, supsmu and spline by generalized cross-validation, as told by the test points; its
seconds are those of that smoother alone, reading the data apart. *Frequencies* multiplies the
task's: at 1/4 a direction is felt from far, which one start needs. Errors are mean squares on 3000
new points over their variance; seconds are CPU seconds of one core. The kernel rule (rate 0.1,
batches of 128, K = 3m projections) has no functions of its own, so its similarity is compared.
"""

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tables

from pympf import nets

TITLE = "Modular networks: pursuit against ppr of R and the kernel rule"
PEERS = {"pursuit": "pursuit", "ppr": "R: ppr", "kernel": "printed kernel rule"}

SCRIPT = """
part <- function(name) as.matrix(read.csv(file.path(folder, name), header = FALSE))
folder <- commandArgs(TRUE)[1]; terms <- as.integer(commandArgs(TRUE)[2])
X <- part("X.csv"); y <- part("y.csv")[, 1]; X_test <- part("X_test.csv")
for (smoother in c("supsmu", "gcvspline")) {
  taken <- system.time(model <- ppr(X, y, nterms = terms, max.terms = terms + 5, optlevel = 3,
                                    sm.method = smoother))
  write.table(predict(model, X_test), file.path(folder, smoother), row.names = FALSE,
              col.names = FALSE)
  write.table(t(model$alpha), file.path(folder, paste0(smoother, ".alpha")), row.names = FALSE,
              col.names = FALSE)
  cat(taken["user.self"] + taken["sys.self"], "\\n")
}
"""


def points(tiny: bool) -> list[dict[str, Any]]:
    peers = [peer for peer in PEERS if peer != "ppr" or shutil.which("Rscript")]
    if tiny:
        size = {"m": 2, "n": 150, "frequencies": 1.0, "seed": 0, "steps": 4, "threads": 1}
        return [{"peer": peer, **size} for peer in peers]
    found = []
    for seed in range(5):
        for m, frequencies in ((3, 0.25), (3, 1.0), (5, 0.25), (5, 1.0)):
            size = {"m": m, "n": 5000, "frequencies": frequencies, "seed": seed, "threads": 1}
            fits = [peer for peer in peers if peer != "kernel"]
            found += [{"peer": peer, **size, "steps": 0} for peer in fits]
            if frequencies == 1 and seed < 2:
                found += [{"peer": "kernel", **size, "steps": steps} for steps in (1000, 4000)]
    return found


def run(
    peer: str, m: int, n: int, frequencies: float, seed: int, steps: int, threads: int = 1
) -> dict[str, Any]:
    f = nets.SineWaves(m, seed=100 + seed)
    f.frequencies *= frequencies
    X, X_test = f.sample(n, seed=2 * seed), f.sample(3000, seed=2 * seed + 1)
    if peer == "kernel":
        return run_kernel(f, X, steps, seed)
    if peer == "ppr":
        return run_ppr(f, X, X_test)
    start = time.process_time()
    model = nets.pursuit(X, f(X), seed=seed)
    seconds = time.process_time() - start
    return measured(f, model.directions, model.predict(X_test), X_test) | {"cpu_s": seconds}


def measured(f: nets.SineWaves, U: np.ndarray, values: Any, X_test: np.ndarray) -> dict[str, Any]:
    y = f(X_test)
    row = {"error": float(np.square(values - y).mean() / y.var()), "modules_found": 0}
    U = U[np.linalg.norm(U, axis=1) > 0]
    if len(U):
        cosines = abs(U @ f.directions.T) / np.linalg.norm(U, axis=1, keepdims=True)
        row["modules_found"] = int((cosines.max(axis=0) > 0.99).sum())
        row["similarity"] = nets.similarity(U, f.directions)
    return row


def run_ppr(f: nets.SineWaves, X: np.ndarray, X_test: np.ndarray) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (("X", X), ("y", f(X)), ("X_test", X_test)):
            np.savetxt(f"{folder}/{name}.csv", part, delimiter=",")
        Path(folder, "ppr.R").write_text(SCRIPT)
        command = ["Rscript", "--vanilla", f"{folder}/ppr.R", folder, str(f.k)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows = []
        for smoother, seconds in zip(("supsmu", "gcvspline"), done.stdout.split(), strict=True):
            values = np.loadtxt(f"{folder}/{smoother}")
            U = np.loadtxt(f"{folder}/{smoother}.alpha", ndmin=2)
            row = measured(f, U, values, X_test)
            rows.append(row | {"smoother": smoother, "cpu_s": float(seconds)})
    return min(rows, key=lambda row: row["error"])


def run_kernel(f: nets.SineWaves, X: np.ndarray, steps: int, seed: int) -> dict[str, Any]:
    K, batch = 3 * f.n_features, min(128, len(X))
    start = time.process_time()
    found = nets.kernel_rule(X, f(X), K, iterations=steps, batch=batch, seed=seed)
    seconds = time.process_time() - start
    found = found[np.isfinite(found).all(axis=1)]
    random = {"similarity_random": nets.random_similarity(f.directions), "cpu_s": seconds}
    return random | {"similarity": nets.similarity(found, f.directions) if len(found) else None}


# ---- tables --------------------------------------------------------------------------------------
def _list(rows: list[tables.Row], name: str, form: str) -> str | None:
    return ", ".join(format(row[name], form) for row in rows if row.get(name) is not None) or None


def render(rows: list[tables.Row]) -> str:
    header = ("Task", "method", "modules found, each seed", "errors", "similarity, median")
    header += ("random directions", "CPU s, median")
    lines = []
    for m, frequencies in sorted({(row["m"], row["frequencies"]) for row in rows}):
        for peer, text in PEERS.items():
            some = tables.only(rows, m=m, frequencies=frequencies, peer=peer)
            for steps in tables.values(some, "steps"):
                part = tables.only(some, steps=steps)
                name = f"{text}, {steps} steps" if peer == "kernel" else text
                middle = (_median(part, n) for n in ("similarity", "similarity_random", "cpu_s"))
                lists = _list(part, "modules_found", "d"), _list(part, "error", ".3f")
                lines.append([f"m = {m}, frequencies × {frequencies:g}", name, *lists, *middle])
    return tables.markdown(header, lines)


def _median(rows: list[tables.Row], name: str) -> float | None:
    found = [row[name] for row in rows if row.get(name) is not None]
    return float(statistics.median(found)) if found else None
