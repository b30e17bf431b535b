"""Segment a photograph by solving a large system: the command ``pympf demo``.

A walker starts at a pixel and steps at random to a neighbour, rarely across an edge of the
picture. The probability that it meets a stroke on the foreground before one on the background is
the solution of a linear system with one unknown for each pixel [1]_. Several solvers solve it to
the same accuracy; a picture shows the segmentation, how the solvers converged, and what the
classic factorization does to the matrix.

References
----------
.. [1] L. Grady, Random walks for image segmentation, IEEE Transactions on Pattern Analysis and
   Machine Intelligence 28(11), 2006, 1768-1783.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from json import dumps
from pathlib import Path

from pympf._engine import get_num_threads
from pympf.demo._figure import draw
from pympf.demo._problem import Problem
from pympf.demo._scenes import CAMERA, RETINA
from pympf.demo._trials import MMF, RTOL, Trial, solvers
from pympf.io import check_output

__all__ = ["run"]

PICTURE = "demo.png"
ROW = "{:<18}{:>10}{:>12}{:>10}{:>10}{:>15}"


def run(
    *,
    large: bool = False,
    output: Path | None = None,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Segment a photograph, compare the solvers and draw what happened.

    Not collective.

    Parameters
    ----------
    large : bool
        The vessels of a retina (about two million pixels) instead of a photographer (262 144).
    output : pathlib.Path, optional
        The folder for ``demo.png``; made if it is not there. The current one by default.
    json : bool
        Print one JSON object instead of the tables.
    quiet : bool
        Print nothing but, if asked for, that object.

    Returns
    -------
    int
        0, or 1 if CG with the MMF preconditioner did not reach the accuracy: an exit code.

    Raises
    ------
    ImportError
        If scikit-image or matplotlib is not installed.
    OSError
        If the picture cannot be written.

    Examples
    --------
    >>> from pympf import demo
    >>> demo.run(quiet=True)  # takes a minute  # doctest: +SKIP
    0
    """
    _check_installed("matplotlib", "skimage")
    scene = RETINA if large else CAMERA
    target = (Path() if output is None else output) / PICTURE
    target.parent.mkdir(parents=True, exist_ok=True)
    check_output(target)
    say = _silent if json or quiet else _say

    problem = scene.problem()
    height, width = problem.labels.shape
    say(
        f"Segmenting {scene.subject} in scikit-image's picture {scene.name!r} by the random "
        f"walker.\n{width} x {height} pixels, {problem.A.shape[0]} unknowns, {problem.A.nnz} "
        f"entries; to a relative residual of {RTOL:g}, on {get_num_threads()} threads.\n"
    )
    trials = compare(problem, say)
    say(f"\nThe preconditioner of {MMF}:\n{trials[MMF].report}\n")
    draw(target, scene, problem, trials)
    say(f"The picture: {target}")
    if json:
        print(
            dumps(
                {
                    "picture": scene.name,
                    "unknowns": problem.A.shape[0],
                    "nnz": problem.A.nnz,
                    "rtol": RTOL,
                    "threads": get_num_threads(),
                    "solvers": {name: trial.as_dict() for name, trial in trials.items()},
                    "output": str(target),
                }
            )
        )
    return 0 if trials[MMF].converged else 1


def compare(problem: Problem, say: Callable[..., None]) -> dict[str, Trial]:
    """Solve the system with each solver and say so line by line."""
    say(ROW.format("solver", "unknowns", "iterations", "setup s", "solve s", "true residual"))
    trials = {}
    for name, solver in solvers().items():
        trial = trials[name] = solver(problem.A, problem.b)
        line = ROW.format(
            name,
            problem.A.shape[0],
            "direct" if trial.iterations is None else trial.iterations,
            f"{trial.setup_s:.2f}",
            f"{trial.solve_s:.2f}",
            f"{trial.true_residual:.1e}",
        )
        say(line if trial.converged else f"{line}  cut off: {trial.reason}")
    return trials


def _check_installed(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ImportError(
            f"pympf demo needs {' and '.join(missing)}, not installed here: "
            "pip install 'pmmf[demo]'"
        )


def _say(line: str) -> None:
    print(line, flush=True)


def _silent(line: str) -> None:
    del line
