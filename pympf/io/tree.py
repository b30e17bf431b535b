"""Objects in HDF5 files: a tree of numbers, texts and arrays, to which every object maps itself.

=======================  ===========================================================================
in the tree              in the file
=======================  ===========================================================================
number, text             attribute of the group; a text as bytes of fixed length
array                    dataset of one axis; an attribute ``shape_<name>`` where it has others
`Slice`                  the same, of which each rank writes its pieces
tree                     group
=======================  ===========================================================================

The root says what it is by the attributes ``type`` and ``format_version``. Attributes lie within
the structure, which file format 1.10 protects by checksums; arrays have Fletcher's and our own
(`_sums`). A file is written under a temporary name and renamed; a pickle is the file in memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pympf.io import _sums
from pympf.io._files import atomic_write, cannot_write, reading
from pympf.io._hdf5 import create_hdf5, open_hdf5
from pympf.la.ranks import Ranks

__all__ = [
    "FORMAT_VERSION",
    "Slice",
    "Tree",
    "array_of",
    "check_type",
    "image",
    "load",
    "opened",
    "read",
    "save",
    "value_of",
]

FORMAT_VERSION = 1
LIBVER = ("v110", "v110")
SHAPE = "shape_"

Array = NDArray[Any]
Tree = dict[str, Any]
T = TypeVar("T")


@dataclass
class Slice:
    """Pieces (first place, values) of an array of `total` numbers that this rank has."""

    pieces: list[tuple[int, Array]]
    total: int
    dtype: Any


@dataclass
class _Group:
    """A group of the file."""

    attributes: dict[str, Any]
    slices: dict[str, Slice]


def _groups(tree: Tree, name: str = "/") -> dict[str, _Group]:
    """Flatten a tree: its groups by their names."""
    own = _Group({}, {})
    groups = {name: own}
    for key, value in tree.items():
        if isinstance(value, dict):
            groups |= _groups(value, f"{name.rstrip('/')}/{key}")
        elif isinstance(value, Slice):
            own.slices[key] = value
        elif isinstance(value, np.ndarray):
            flat = value.reshape(-1)
            own.slices[key] = Slice([(0, flat)], flat.size, flat.dtype)
            if value.ndim != 1:
                own.attributes[SHAPE + key] = np.array(value.shape, dtype=np.int64)
        else:
            is_text = isinstance(value, str)
            own.attributes[key] = np.bytes_(value.encode()) if is_text else value
    return groups


# ---- writing -------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], type_: str, tree: Tree, ranks: Ranks | None = None) -> None:
    """Write an object to a file, whole or not at all.

    Collective.

    Parameters
    ----------
    path : path-like
        The file to create or to replace.
    type_ : str
        What the file says that it is.
    tree : dict
        The object. On several ranks its arrays are slices, and all else is the same on all.
    ranks : Ranks, optional
        By default this process alone. Several write together where h5py was built with MPI, else
        by turns.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pympf.io import tree
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.h5"
    >>> tree.save(path, "example", {"name": "a", "inner": {"x": np.eye(2)}})
    >>> tree.load(path, {"example": dict}, "example")["inner"]["x"]
    array([[1., 0.],
           [0., 1.]])
    """
    ranks = Ranks(None) if ranks is None else ranks
    groups, sums = _prepared(type_, tree, ranks)
    if ranks.size == 1:
        with create_hdf5(path) as file:
            _create(file, groups, sums)
            _fill(file, groups)
        return
    import h5py

    size = sum(
        s.total * np.dtype(s.dtype).itemsize for g in groups.values() for s in g.slices.values()
    )
    with _written_by_all(path, size, ranks) as temporary:
        if h5py.get_config().mpi:
            with (
                ranks.together(),
                h5py.File(temporary, "w", driver="mpio", comm=ranks.comm, libver=LIBVER) as file,
            ):
                _create(file, groups, sums)
                _fill_together(file, groups)
            return
        for rank in range(ranks.size):
            with ranks.guard():
                if rank != ranks.rank:
                    continue
                with h5py.File(temporary, "r+" if rank > 0 else "w", libver=LIBVER) as file:
                    if rank == 0:
                        _create(file, groups, sums)
                    _fill(file, groups)


def image(type_: str, tree: Tree) -> bytes:
    """Return the file that `save` writes of an object of one process.

    Not collective.

    Parameters
    ----------
    type_, tree
        As in `save`.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.io import tree
    >>> with tree.opened(tree.image("example", {"n": 3}), "example") as file:
    ...     tree.read(file)["n"]
    3
    """
    import h5py

    whole = BytesIO()
    groups, sums = _prepared(type_, tree, Ranks(None))
    with h5py.File(whole, "w", libver=LIBVER) as file:
        _create(file, groups, sums)
        _fill(file, groups)
    return whole.getvalue()


def _prepared(
    type_: str, tree: Tree, ranks: Ranks
) -> tuple[dict[str, _Group], dict[tuple[str, str], int]]:
    groups = _groups({"type": type_, "format_version": FORMAT_VERSION} | tree)
    return groups, _checksums(groups, ranks)


@contextmanager
def _written_by_all(path: str | os.PathLike[str], size: int, ranks: Ranks) -> Iterator[Path]:
    """Give all ranks one temporary file, which rank 0 renames at the end. Collective."""
    with ExitStack() as stack:
        temporary = None
        with ranks.guard():
            if ranks.rank == 0:
                temporary = stack.enter_context(atomic_write(path))
                # HDF5 cannot close a file in an orderly way once the disk is full.
                free = shutil.disk_usage(temporary.parent).free
                if size > free:
                    raise OSError(f"cannot write {path}: {size} bytes needed, {free} are free")
        try:
            yield ranks.broadcast(temporary)
        except OSError as error:
            if ranks.rank == 0:  # atomic_write says it
                raise
            raise cannot_write(path, error) from error
        with ranks.guard():
            stack.close()


def _checksums(groups: dict[str, _Group], ranks: Ranks) -> dict[tuple[str, str], int]:
    """Give the checksum of every array, which the ranks hold in pieces. Collective."""
    own = {
        (name, key): [
            (first, _sums.crc_of(in_file), in_file.nbytes)
            for first, values in part.pieces
            if (in_file := np.asarray(values, dtype=part.dtype)).size
        ]
        for name, group in groups.items()
        for key, part in group.slices.items()
    }
    every = ranks.gather(own)
    return {
        name: _sums.combined(
            (crc, size) for _, crc, size in sorted(piece for rank in every for piece in rank[name])
        )
        for name in own
    }


def _create(file: Any, groups: dict[str, _Group], sums: dict[tuple[str, str], int]) -> None:
    """Write what checksums can protect: texts of fixed length, arrays with Fletcher's sum."""
    for name, group in groups.items():
        place = file.require_group(name)
        for key, value in group.attributes.items():
            place.attrs[key] = value
        for key, part in group.slices.items():
            dataset = place.create_dataset(
                key, (part.total,), part.dtype, fletcher32=part.total > 0
            )
            _sums.label(dataset, sums[name, key])


def _pieces(file: Any, groups: dict[str, _Group]) -> Iterator[tuple[Any, int, Array]]:
    for name, group in groups.items():
        for key, part in group.slices.items():
            for first, values in part.pieces:
                yield file[name][key], first, np.ascontiguousarray(values, dtype=part.dtype)


def _fill(file: Any, groups: dict[str, _Group]) -> None:
    for dataset, first, values in _pieces(file, groups):
        if values.size:
            dataset[first : first + values.size] = values


def _fill_together(file: Any, groups: dict[str, _Group]) -> None:
    """Write the slices of all ranks at once: every rank takes part in every piece. Collective."""
    from h5py import h5d, h5fd, h5p, h5s

    transfer = h5p.create(h5p.DATASET_XFER)
    transfer.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE)
    for dataset, first, values in _pieces(file, groups):
        if dataset.size == 0:
            continue
        memory, place = h5s.create_simple((max(values.size, 1),)), dataset.id.get_space()
        if values.size:
            place.select_hyperslab((first,), (values.size,))
        else:
            memory.select_none()
            place.select_none()
            values = np.zeros(1, values.dtype)
        h5d.DatasetID.write(dataset.id, memory, place, values, dxpl=transfer)


# ---- reading -------------------------------------------------------------------------------------


@contextmanager
def opened(source: str | os.PathLike[str] | bytes, kind: str) -> Iterator[Any]:
    """Open a file, or the image of one; what is wrong with its content becomes an OSError.

    Not collective.

    Parameters
    ----------
    source : path-like, or bytes
        Bytes are an `image`.
    kind : str
        What it should be, as it stands in messages.

    Examples
    --------
    See `image`.
    """
    if not isinstance(source, bytes):
        with open_hdf5(source, kind) as file:
            yield file
        return
    import h5py

    with reading(Path("pickle"), kind), h5py.File(BytesIO(source), "r") as file:
        yield file


def load(path: str | os.PathLike[str], types: dict[str, Callable[[Tree], T]], kind: str) -> T:
    """Read an object that `save` wrote on one process.

    Not collective.

    Parameters
    ----------
    path : path-like
    types : dict
        For each type that may be in the file what makes the object of its tree.
    kind : str
        What it should be, as it stands in messages.

    Raises
    ------
    OSError
        If the file is no whole object of one of the types, or what makes it raises a ValueError.

    Examples
    --------
    See `save`.
    """
    with opened(path, kind) as file:
        type_ = value_of(file.attrs.get("type", b""))
        if type_ not in types and len(types) > 1:
            raise ValueError(f"expected one of the types {', '.join(types)}, got type {type_!r}")
        check_type(file, type_ if type_ in types else next(iter(types)))
        _sums.check(file)
        return types[type_](read(file))


def read(group: Any) -> Tree:
    """Return the tree of a group, without what it says of its type.

    Not collective.

    Parameters
    ----------
    group : h5py.Group

    Examples
    --------
    See `image`.
    """
    tree: Tree = {}
    for name, item in group.items():
        if hasattr(item, "dtype"):
            shape = group.attrs.get(SHAPE + name)
            values = np.asarray(item[()])
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"{item.name} is not finite")
            tree[name] = values if shape is None else values.reshape([int(side) for side in shape])
        else:
            tree[name] = read(item)
    for name, value in group.attrs.items():
        if not name.startswith(SHAPE) and name not in ("type", "format_version"):
            tree[name] = value_of(value)
    return tree


def check_type(file: Any, expected: str) -> None:
    """Raise ValueError unless the file says that it is of this type, in the version known here.

    Not collective.

    Parameters
    ----------
    file : h5py.File
    expected : str

    Examples
    --------
    See `image`.
    """
    kind, version = (value_of(file.attrs.get(name)) for name in ("type", "format_version"))
    if kind != expected or version != FORMAT_VERSION:
        raise ValueError(
            f"expected type {expected!r} in format_version {FORMAT_VERSION}, "
            f"got type {kind!r} in format_version {version!r}"
        )


def value_of(attribute: Any) -> Any:
    """Give an attribute as Python's number or text.

    Not collective.

    Parameters
    ----------
    attribute : object

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.io import tree
    >>> tree.value_of(np.bytes_(b"csr")), tree.value_of(np.int64(3))
    ('csr', 3)
    """
    attribute = attribute.item() if isinstance(attribute, np.generic) else attribute
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def array_of(dataset: Any, places: Any = ()) -> Array:
    """Read a 1-D array of finite numbers, or these places of it.

    Not collective.

    Parameters
    ----------
    dataset : h5py.Dataset
    places : slice, optional

    Examples
    --------
    See `image`.
    """
    array = dataset[places]
    if not isinstance(array, np.ndarray) or array.ndim != 1:
        raise ValueError(f"{dataset.name} is not a 1-D array")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} is not finite")
    return np.ascontiguousarray(array)
