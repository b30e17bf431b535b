"""The HDF5 files of networks and of patches (docs/patches.md)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pympf.io import create_hdf5, open_hdf5
from pympf.io.tree import FORMAT_VERSION, array_of, check_type, value_of
from pympf.nets._checks import Array

if TYPE_CHECKING:
    from pympf.nets.patches.network import Network
    from pympf.nets.patches.patches import Patchable, Stored

__all__ = ["load_network", "read_patch", "save_network", "write_patch"]

NETWORK_TYPE = "patched_network"
PATCH_TYPE = "network_patch"

N = TypeVar("N", bound="Network")


def write_patch(path: str | os.PathLike[str], name: str, stored: Stored, checksum: str) -> None:
    """Write a patch and the checksum of the weights that it is for."""
    with create_hdf5(path) as file:
        _write(file, type=PATCH_TYPE, format_version=FORMAT_VERSION, checksum=checksum)
        _put_patch(file, name, stored)


def read_patch(path: str | os.PathLike[str], network: Patchable) -> tuple[str, Stored, str]:
    """Read what `write_patch` wrote: name, patch, checksum; shapes are checked by the network's."""
    with open_hdf5(path, "patch") as file:
        check_type(file, PATCH_TYPE)
        checksum = str(value_of(file.attrs["checksum"]))
        # With another checksum the arrays need not have the shapes of this network's.
        known = network.pretrained() if checksum == network.checksum() else {}
        return (*_get_patch(file, known), checksum)


def save_network(network: Patchable, path: str | os.PathLike[str]) -> None:
    """Write the pretrained arrays and all patches."""
    active = network.active_patch
    with create_hdf5(path) as file:
        _write(file, type=NETWORK_TYPE, format_version=FORMAT_VERSION, dtype=network.dtype.name)
        _write(file, structure=json.dumps(network.structure), patches=len(network.patches))
        file.attrs["shape"] = np.array(network.shape)
        _put(file.create_group("pretrained"), network.pretrained())
        names = list(network.patches)
        _write(file, active=-1 if active is None else names.index(active))
        for number, name in enumerate(names):
            _put_patch(file.create_group(f"patch_{number}"), name, network._stored(name))


def load_network(kind: type[N], path: str | os.PathLike[str]) -> N:
    """Read what `save_network` wrote; OSError if it is no whole network."""
    with open_hdf5(path, "network") as file:
        check_type(file, NETWORK_TYPE)
        structure = json.loads(str(value_of(file.attrs["structure"])))
        shape, dtype = [int(side) for side in file.attrs["shape"]], value_of(file.attrs["dtype"])
        network = kind(shape, structure, dtype=dtype)
        network.bind(_get(file["pretrained"], network.pretrained()))
        known = network.pretrained()
        for number in range(int(file.attrs["patches"])):
            network._store(*_get_patch(file[f"patch_{number}"], known))
        active = int(file.attrs["active"])
        network.set_patch(None if active < 0 else list(network.patches)[active])
    return network


def _put_patch(group: Any, name: str, stored: Stored) -> None:
    patch = stored.patch
    _write(group, name=name, groups=" ".join(patch.groups), own_last=patch.own_last)
    _write(group, n_classes=patch.n_classes or 0, seed=patch.seed)
    _put(group.create_group("arrays"), stored.arrays)


def _get_patch(group: Any, known: dict[str, Array]) -> tuple[str, Stored]:
    """Read a patch; without known arrays only what it has."""
    from pympf.nets.patches.patches import Patch, Stored

    at = {key: value_of(value) for key, value in group.attrs.items()}
    groups, n_classes = tuple(str(at["groups"]).split()), int(at["n_classes"]) or None
    patch = Patch(groups, bool(at["own_last"]), n_classes, int(at["seed"]))
    wanted = {name: known[name] for name in group["arrays"] if known}
    arrays = _get(group["arrays"], wanted, known.keys())
    return str(at["name"]), Stored(patch, arrays)


def _put(group: Any, arrays: dict[str, Array]) -> None:
    for name, array in arrays.items():
        group.create_dataset(name, data=array.reshape(-1), fletcher32=True)


def _get(group: Any, known: dict[str, Array], order: Any = None) -> dict[str, Array]:
    """Read arrays of the shapes of the known ones; a last layer may have another number of rows."""
    names = sorted(known, key=list(order).index) if order else list(known)
    return {
        name: array_of(group[name]).reshape(-1, *known[name].shape[1:])
        if name.startswith("last.")
        else array_of(group[name]).reshape(known[name].shape)
        for name in names
    }


def _write(group: Any, **attributes: Any) -> None:
    """Write what checksums can protect: texts of fixed length."""
    for name, value in attributes.items():
        group.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
