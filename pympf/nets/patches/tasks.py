"""Tasks that share parameters: where each number lives, who computes gradients, who steps.

The parameters of all tasks are cut into *blocks*: for each group one block of all tasks that share
it, or one for each task that has it as its own. The running statistics of normalization are a block
like the others, that goes with 'scale-bias'; a batch does not give a gradient for them but their
change. The serial training and the parameter server are made of the same `Learner` and `Blocks`.

References
----------
.. [1] Thesis, section 4.1, multi-task learning.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pympf.la import as_array, checks
from pympf.nets._checks import Array, random_numbers
from pympf.nets.patches.checks import GROUPS, as_groups, as_images, as_labels
from pympf.nets.patches.model import Loss, cross_entropy
from pympf.nets.patches.network import Network
from pympf.nets.train import Optimizer

__all__ = ["Blocks", "Learner", "Task", "private_groups", "rounds"]

RUNNING = "statistics"
"""The block of running means and variances."""

Key = tuple[str, int]
"""Of a block: its group, and the first task that has it."""


@dataclass(eq=False)
class Task:
    """A network with the images that it is to learn from.

    Parameters
    ----------
    network : Network
        Its shape is that of the images; groups that are shared have the same arrays in all tasks'
        networks. It is changed in place.
    X : array_like, shape (n, channels, height, width), optional
        Images; on ranks that are no worker of this task they may be left out.
    y : array_like, shape (n, ...), optional
        Classes, or what `loss` takes.
    loss : callable
        As of `Network.gradient`.
    private : iterable of str, optional
        Groups that this task does not share; by default those of the call.
    augment : callable, optional
        Maps a batch (channels, n, height, width) and random numbers to another one.

    Examples
    --------
    >>> from pympf.nets.patches import Scenes, Task, residual_network
    >>> X, labels = Scenes(16).sample(100)
    >>> task = Task(residual_network((3, 16, 16), 10), X, labels["shape"])
    """

    network: Network
    X: ArrayLike | None = None
    y: ArrayLike | None = None
    loss: Loss = cross_entropy
    private: Iterable[str] | None = None
    augment: Callable[[Array, np.random.Generator], Array] | None = None


def private_groups(tasks: Sequence[Task], private: Iterable[str]) -> list[tuple[str, ...]]:
    """Give the groups that each task has for itself."""
    own = [private if task.private is None else task.private for task in tasks]
    listed = [[groups] if isinstance(groups, str) else list(groups) for groups in own]
    return [as_groups(groups) if groups else () for groups in listed]


# ---- where numbers live --------------------------------------------------------------------------
class Blocks:
    """The blocks of some tasks, or a server's slices of them, and the optimizers of the slices.

    Parameters
    ----------
    networks : sequence of Network
        One for each task, where blocks start from: from the first task that has them.
    private : sequence of tuple of str
        Groups of each task that are not shared.

    Attributes
    ----------
    keys : list of list of (str, int)
        The blocks of each task, in the order in which its numbers lie in a message.
    values : dict of ndarray, shape (size of the block,)
        The blocks by key, or this server's slices.
    users : dict of int
        How many tasks have a block.
    """

    def __init__(self, networks: Sequence[Network], private: Sequence[tuple[str, ...]]) -> None:
        self.keys = [_keys(number, private) for number in range(len(networks))]
        self.values: dict[Key, Array] = {}
        self.users: dict[Key, int] = {}
        self.sizes: dict[Key, int] = {}
        shapes: dict[Key, dict[str, tuple[int, ...]]] = {}
        for number, (network, keys) in enumerate(zip(networks, self.keys, strict=True)):
            for key in keys:
                arrays = _arrays(network, key[0])
                found = {name: array.shape for name, array in arrays.items()}
                if found != shapes.setdefault(key, found):
                    raise ValueError(
                        f"expected the same arrays of {key[0]!r} in tasks {key[1]} and {number}, "
                        f"which share it; got {_differing(shapes[key], found)}. Make it private, "
                        "or give the networks the same layers"
                    )
                self.users[key] = self.users.get(key, 0) + 1
                if key not in self.values:
                    self.values[key] = _flat(arrays, network)
                    self.sizes[key] = self.values[key].size
        self._optimizers: dict[Key, Optimizer] = {}

    def sliced(self, server: int, servers: int) -> Blocks:
        """Give the slice of each block that one of several servers owns."""
        part = copy(self)
        part.values = {
            key: self.values[key][first:last].copy()
            for key, (first, last) in self.slices(server, servers).items()
        }
        return part

    def join(self, parts: Sequence[Array]) -> None:
        """Take over the values of all servers' slices, each server's one after the other."""
        for server, part in enumerate(parts):
            start = 0
            for key, (first, last) in self.slices(server, len(parts)).items():
                self.values[key][first:last] = part[start : start + last - first]
                start += last - first

    def slices(self, server: int, servers: int) -> dict[Key, tuple[int, int]]:
        """Give where a server's slices begin and end."""
        return {
            key: (size * server // servers, size * (server + 1) // servers)
            for key, size in self.sizes.items()
        }

    def places(self, task: int, server: int, servers: int) -> list[slice]:
        """Give where a server's slices lie in a message of a task with all of its numbers."""
        start, found, slices = 0, [], self.slices(server, servers)
        for key in self.keys[task]:
            first, last = slices[key]
            found.append(slice(start + first, start + last))
            start += self.sizes[key]
        return found

    def use(self, optimizer: Optimizer, scheduled: Callable[[Optimizer, int], Optimizer]) -> None:
        """Give each block an optimizer, `scheduled` for the number of tasks that have the block."""
        self._optimizers = {
            key: scheduled(deepcopy(optimizer), self.users[key])
            for key in self.values
            if key[0] != RUNNING
        }

    def message(self, task: int) -> Array:
        """Give all numbers of a task, one after the other."""
        return np.concatenate([self.values[key] for key in self.keys[task]])

    def update(self, messages: Sequence[tuple[int, Array]]) -> None:
        """Step along the gradients (task, message): the sum over workers, the mean over tasks.

        They are added in the order in which they come. A block that gets none stays.
        """
        sums: dict[Key, Array] = {}
        tasks: dict[Key, set[int]] = {}
        for task, message in messages:
            start = 0
            for key in self.keys[task]:
                part = message[start : start + len(self.values[key])]
                sums[key] = sums[key] + part if key in sums else part
                tasks.setdefault(key, set()).add(task)
                start += len(part)
        for key, total in sums.items():
            mean = total / total.dtype.type(len(tasks[key]))
            if key[0] == RUNNING:
                self.values[key] += mean
            else:
                self._optimizers[key].step([self.values[key]], [mean])

    def write(self, task: int, network: Network) -> None:
        """Copy the numbers of a task into a network's arrays."""
        _copy(self.message(task), network)

    def n_parameters(self) -> int:
        """Count the parameters of all tasks; running statistics are none."""
        return sum(size for key, size in self.sizes.items() if key[0] != RUNNING)


def _keys(task: int, private: Sequence[tuple[str, ...]]) -> list[Key]:
    keys = []
    for group in (*GROUPS, RUNNING):
        owner = "scale-bias" if group == RUNNING else group
        sharing = [other for other, own in enumerate(private) if owner not in own]
        keys.append((group, task if owner in private[task] else sharing[0]))
    return keys


def _flat(arrays: Mapping[str, Array], network: Network) -> Array:
    """Put arrays, of which there may be none, one after the other."""
    return np.concatenate([np.empty(0, network.dtype), *(a.ravel() for a in arrays.values())])


def _all_arrays(network: Network) -> dict[str, Array]:
    """Give all arrays of a network in the order of its blocks."""
    groups = [_arrays(network, group) for group in (*GROUPS, RUNNING)]
    return {name: array for arrays in groups for name, array in arrays.items()}


def _views(vector: Array, network: Network) -> Iterator[tuple[str, Array]]:
    """Cut a vector with all numbers of a network into its arrays."""
    start = 0
    for name, array in _all_arrays(network).items():
        yield name, vector[start : start + array.size].reshape(array.shape)
        start += array.size


def _copy(vector: Array, network: Network) -> None:
    arrays = _all_arrays(network)
    for name, view in _views(vector, network):
        arrays[name][...] = view


def _arrays(network: Network, group: str) -> dict[str, Array]:
    return network.statistics() if group == RUNNING else network.parameters(group)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return f"{names[0]} of shapes {one.get(names[0])} and {other.get(names[0])}"


# ---- who computes --------------------------------------------------------------------------------
class Learner:
    """Computes gradients of a task's batches: a worker, or the serial training's part of it.

    In its context the network's arrays are views of one vector, `values`; afterwards it has its own
    arrays back, as they were.

    Parameters
    ----------
    number : int
        Of the task.
    task : Task
    batch : int
        Images of a step.
    statistics : {"batch", "running", "frozen"}
        As of `Network.gradient`.
    seed : int
        Of the order of the images.
    """

    def __init__(self, number: int, task: Task, batch: int, statistics: str, seed: int) -> None:
        network = task.network
        if task.X is None or task.y is None or len(np.asarray(task.X)) == 0:
            raise ValueError(f"expected images and labels of task {number} on its worker, got none")
        self.task, self.number, self.seed = task, number, seed
        self.statistics = statistics
        self._images = as_images(task.X, network.shape, network.dtype)
        self.n = self._images.shape[1]
        if task.loss is cross_entropy:
            self._labels = as_labels(task.y, self.n, network.n_classes)
        else:
            as_array(task.y, None, "y")
            self._labels = np.asarray(task.y)
            if self._labels.shape[:1] != (self.n,):
                shape = self._labels.shape
                raise ValueError(f"expected labels of shape ({self.n}, ...), got {shape}")
        self.batch = min(checks.integer(batch, "batch"), self.n)
        self._kept = _all_arrays(network)
        self.values = _flat(self._kept, network)
        # The statistics are the last block of the vector.
        measured = sum(array.size for array in network.statistics().values())
        self._running = self.values[len(self.values) - measured :]
        self._epoch, self._order = -1, np.empty(0, np.intp)

    def checksum(self) -> int:
        """Tell other images or labels apart."""
        return zlib.crc32(self._labels.tobytes(), zlib.crc32(self._images.tobytes()))

    def __enter__(self) -> Learner:
        self.task.network.bind(dict(_views(self.values, self.task.network)))
        return self

    def __exit__(self, *_: object) -> None:
        self.task.network.bind(self._kept)

    def gradient(self, step: int, part: int = 0, parts: int = 1) -> tuple[float, Array]:
        """Compute loss and message of a part of a step's batch, each times the part's share.

        The message has the gradients in the order of `values`, then the statistics' change.
        """
        chosen = np.array_split(self._batch(step), parts)[part]
        images, y = self._images[:, chosen], self._labels[chosen]
        if self.task.augment is not None:
            rng = random_numbers(self.seed, f"augment {self.number} {step} {part}")
            images = self.task.augment(images, rng)
        before = self._running.copy()
        loss, gradients = self.task.network.gradient(
            images, y, GROUPS, statistics=self.statistics, loss=self.task.loss
        )
        names = [name for group in GROUPS for name in self.task.network.parameters(group)]
        parts_of = [gradients[name].ravel() for name in names]
        message = np.concatenate([*parts_of, self._running - before])
        share = len(chosen) / self.batch
        return loss * share, message * message.dtype.type(share) if parts > 1 else message

    def _batch(self, step: int) -> Array:
        """Give the images of a step: full batches of one random order after the other."""
        per_epoch = self.n // self.batch
        epoch, place = divmod(step, per_epoch)
        if epoch != self._epoch:
            rng = random_numbers(self.seed, f"batches of task {self.number}, epoch {epoch}")
            self._epoch, self._order = epoch, rng.permutation(self.n)
        return self._order[place * self.batch : (place + 1) * self.batch]


def rounds(tasks: int, workers: int) -> list[tuple[int, int, int]]:
    """Give task, part and number of parts of each worker: they take tasks in turns."""
    return [
        (worker % tasks, worker // tasks, len(range(worker % tasks, workers, tasks)))
        for worker in range(workers)
    ]
