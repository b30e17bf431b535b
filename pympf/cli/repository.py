"""The commands of `pympf sketch` that keep and search sketches."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pympf import io
from pympf.cli.sketch import Command
from pympf.sketch import Repository, Scheme

__all__ = ["COMMANDS"]

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def _size(text: str) -> float:
    """Read a number of bytes such as 300M."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)([kMG]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a number of bytes such as 300M, got {text!r}")
    return float(match[1]) * UNITS[match[2]]


def _sketches(args: argparse.Namespace, d: int) -> NDArray[Any]:
    """Read sketches, the rows of an array; a vector is one."""
    values = np.atleast_2d(io.read_vector(args.sketches, key=args.key))
    if values.shape[1] != d:
        raise ValueError(
            f"{args.sketches}: expected sketches of {d} numbers as rows, got shape {values.shape}"
        )
    return values


def _declare_files(parser: argparse.ArgumentParser, *, sketches: bool) -> None:
    parser.add_argument("repository", metavar="DIR", help="the directory of the repository")
    if sketches:
        parser.add_argument("sketches", metavar="FILE", help="sketches, the rows of an array")
        parser.add_argument("--key", help="which array of an HDF5 or .mat file")


def _declare_add(parser: argparse.ArgumentParser) -> None:
    _declare_files(parser, sketches=True)
    parser.add_argument("--label", default="", help="of all these sketches")
    scheme = parser.add_argument_group("scheme of a repository that is not there yet")
    scheme.add_argument("--block", type=int, metavar="B", help="block size")
    scheme.add_argument("--weight", type=int, metavar="W", help="nonzero blocks of a column")
    scheme.add_argument("--seed", type=int, default=0, metavar="N")
    scheme.add_argument("--family", choices=("block", "orthonormal"), default="block")
    scheme.add_argument("--head", type=int, metavar="N", help="numbers that are never forgotten")


def _add(args: argparse.Namespace) -> dict[str, Any]:
    if os.path.exists(args.repository):
        repository = Repository(args.repository, "a", comm=args.ranks.comm)
    else:
        d = np.atleast_2d(io.read_vector(args.sketches, key=args.key)).shape[1]
        sizes = {"b": args.block, "w": args.weight, "family": args.family, "seed": args.seed}
        scheme = Scheme(d, **sizes)
        repository = Repository.create(
            args.repository, scheme, head=args.head, comm=args.ranks.comm
        )
    with repository:
        values = _sketches(args, repository.report()["d"])
        cut = args.ranks.cut(len(values))
        mine = values[cut.start : cut.stop]
        repository.add(mine, [args.label] * len(mine))
        repository.commit()
        return {"added": len(values), **repository.report()}


def _declare_query(parser: argparse.ArgumentParser) -> None:
    _declare_files(parser, sketches=True)
    parser.add_argument("-k", type=int, default=10, help="how many are wanted")
    parser.add_argument("--probes", type=int, default=8, help="buckets to look into in each table")
    parser.add_argument("--candidates", type=int, default=64, help="compared by all numbers")
    parser.add_argument("--touch", action="store_true", help="note that the nearest were used")


def _query(args: argparse.Namespace) -> dict[str, Any]:
    with Repository(
        args.repository, "a" if args.touch else "r", comm=args.ranks.comm
    ) as repository:
        values = _sketches(args, repository.report()["d"])
        how = {"probes": args.probes, "candidates": args.candidates}
        similarity, ids = repository.query(values, args.k, **how)
        if args.touch:
            repository.touch(np.unique(ids[:, 0][ids[:, 0] >= 0]))
        labels = [repository.labels(row[row >= 0]) for row in ids]
    return {"sketches": args.sketches, "ids": ids, "similarity": similarity, "labels": labels}


def _declare_forget(parser: argparse.ArgumentParser) -> None:
    _declare_files(parser, sketches=False)
    parser.add_argument(
        "--budget", type=_size, required=True, metavar="BYTES", help="such as 300M, for all numbers"
    )


def _forget(args: argparse.Namespace) -> dict[str, Any]:
    with Repository(args.repository, "a", comm=args.ranks.comm) as repository:
        before = repository.bytes
        repository.forget(args.budget)
        return {"bytes_before": before, **repository.report()}


def _declare_info(parser: argparse.ArgumentParser) -> None:
    _declare_files(parser, sketches=False)
    parser.add_argument("--check", action="store_true", help="read all and compare checksums")


def _info(args: argparse.Namespace) -> dict[str, Any]:
    repository = Repository(args.repository, comm=args.ranks.comm)
    if args.check:
        repository.check()
    return repository.report()


COMMANDS = (
    Command("add", "put sketches into a repository", _declare_add, _add),
    Command("query", "find the most similar sketches", _declare_query, _query),
    Command("forget", "cut what was used least, to a budget", _declare_forget, _forget),
    Command("info", "describe a repository", _declare_info, _info),
)
