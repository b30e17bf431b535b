"""The HDF5 files of a factorization (docs/files.md) and of a hash table (docs/lsh.md)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pympf._engine import engine
from pympf.io import create_hdf5, open_hdf5

__all__ = ["load_factors", "load_table", "save_factors", "save_table"]

T = TypeVar("T")

FILE_TYPE = "mmf"
TABLE_TYPE = "lsh_table"
FILE_VERSION = 1


def save_factors(factors: Any, path: str | os.PathLike[str]) -> None:
    """Write the factors of an `Mmf` to a file, whole or not at all."""
    arrays, stages = factors.state()
    report = factors.report()
    with create_hdf5(path) as file:
        attributes = {key: report[key] for key in ("stop", "norm", "dropped")}
        attributes |= {"type": FILE_TYPE, "format_version": FILE_VERSION}
        attributes |= {"dtype": factors.dtype.name, "rows": factors.rows}
        _write_group(file, {**attributes, "core_size": factors.core_size}, arrays)
        _write_group(file.create_group("params"), report["params"], {})
        for level, (named, line) in enumerate(zip(stages, report["stages"], strict=True), 1):
            _write_group(file.create_group(f"stage_{level}"), line, named)


def load_factors(path: str | os.PathLike[str]) -> Any:
    """Read what `save_factors` wrote; OSError if the file is no whole factorization."""
    with open_hdf5(path, "factorization") as file:
        _check_type(file, FILE_TYPE)
        return _read(file)


def save_table(state: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the state of a `Table` to a file, whole or not at all."""
    rows, features = state["points"].shape
    with create_hdf5(path) as file:
        attributes = {"type": TABLE_TYPE, "format_version": FILE_VERSION}
        attributes |= {name: state[name] for name in ("kind", "dtype", "next_id")}
        arrays = {"points": state["points"].ravel(), "ids": state["ids"]}
        _write_group(file, {**attributes, "rows": rows, "features": features}, arrays)
        # A seed of 64 bits has no exact float64 value: numbers are written as text.
        family = {name: repr(value) for name, value in state["family"].items()}
        _write_group(file.create_group("family"), family, {})


def load_table(path: str | os.PathLike[str], restore: Callable[[dict[str, Any]], T]) -> T:
    """Read what `save_table` wrote; OSError if it is no whole table, or `restore` refuses it."""
    with open_hdf5(path, "hash table") as file:
        _check_type(file, TABLE_TYPE)
        state = {name: _value(file.attrs[name]) for name in ("kind", "dtype", "next_id")}
        state["family"] = {
            name: float(_value(text)) if name in ("width", "offset") else int(_value(text))
            for name, text in file["family"].attrs.items()
        }
        rows, features = int(file.attrs["rows"]), int(file.attrs["features"])
        state["points"] = _array(file["points"]).reshape(rows, features)
        state["ids"] = _array(file["ids"])
        return restore(state)


def _check_type(file: Any, expected: str) -> None:
    kind, version = (_value(file.attrs.get(name)) for name in ("type", "format_version"))
    if kind != expected or version != FILE_VERSION:
        raise ValueError(
            f"expected type {expected!r} in format_version {FILE_VERSION}, "
            f"got type {kind!r} in format_version {version!r}"
        )


def _write_group(group: Any, attributes: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write what checksums can protect: texts of fixed length, arrays with Fletcher's sum."""
    for name, value in attributes.items():
        group.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
    for name, array in arrays.items():
        group.create_dataset(name, data=array, fletcher32=array.size > 0)


def _value(attribute: Any) -> Any:
    attribute = attribute.item() if isinstance(attribute, np.generic) else attribute
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def _read(file: Any) -> Any:
    dtype = np.dtype(_value(file.attrs["dtype"]))
    if dtype not in (np.float64, np.float32):
        raise ValueError(f"dtype {dtype} is not float64 or float32")
    groups = [file[f"stage_{i + 1}"] for i in range(sum(k.startswith("stage_") for k in file))]
    lines = [
        {k: int(v) if k in _LINE_INTEGERS else float(v) for k, v in group.attrs.items()}
        for group in groups
    ]
    report = {
        "params": {k: str(_value(v)) for k, v in file["params"].attrs.items()},
        "norm": float(file.attrs["norm"]),
        "dropped": float(file.attrs["dropped"]),
        "stop": str(_value(file.attrs["stop"])),
        "stages": lines,
    }
    rows, core_size = int(file.attrs["rows"]), int(file.attrs["core_size"])
    arrays = {k: _array(file[k]) for k in file if k != "params" and k[:6] != "stage_"}
    stages = [{k: _array(group[k]) for k in group} for group in groups]
    return engine(dtype).from_state(rows, core_size, arrays, stages, report)


_LINE_INTEGERS = {"level", "rows", "nnz", "clusters", "bypassed", "rotations", "retired", "bytes"}


def _array(dataset: Any) -> NDArray[Any]:
    array = dataset[()]
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ValueError(f"{dataset.name} is not a 1-D array")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} is not finite")
    return np.ascontiguousarray(array)
