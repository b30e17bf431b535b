"""Training of several tasks at once: one after the other, or by workers and a parameter server.

References
----------
.. [1] Thesis, section 4.1 (multi-task learning) and 4.4.3, 4.4.4.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from pympf.la import Ranks, checks
from pympf.nets._checks import Array
from pympf.nets.model import make_optimizer
from pympf.nets.patches.checks import STATISTICS
from pympf.nets.patches.exchange import Link, Plan, serve, work
from pympf.nets.patches.tasks import Blocks, Learner, Task, private_groups, rounds
from pympf.nets.patches.turns import APPLY, SEND, Turns
from pympf.nets.train import SCHEDULES, Optimizer, scheduled

__all__ = ["TaskTraining", "train_tasks"]


@dataclass(frozen=True)
class TaskTraining:
    """What a training of several tasks tells.

    Parameters
    ----------
    losses : ndarray, shape (tasks, steps)
        Of each task's batches.
    staleness : ndarray of int
        How many updates came 0, 1, 2, … updates after the values that their gradient was computed
        at; of synchronous training, all 0.
    n_parameters : int
        Of all tasks together, shared ones once; running statistics are none.
    message_bytes : int
        Of the largest message, from a worker to one server.
    wall_s : float
        Seconds of the training.
    waited_s : ndarray, shape (ranks,)
        Seconds in which each rank waited for a message; [0] for the serial training.
    """

    losses: Array
    staleness: Array
    n_parameters: int
    message_bytes: int
    wall_s: float
    waited_s: Array


def train_tasks(
    tasks: Sequence[Task],
    private: Iterable[str] = ("scale-bias", "last"),
    comm: Any = None,
    mode: str = "synchronous",
    max_staleness: int | None = None,
    *,
    steps: int = 100,
    batch: int = 64,
    method: str = "adam",
    learning_rate: float = 5e-3,
    schedule: str = "cosine",
    decay: float = 0.98,
    every: int = 100,
    statistics: str = "batch",
    servers: int = 1,
    workers: int | None = None,
    seed: int = 0,
) -> TaskTraining:
    """Train networks that share all parameters but some groups, each on its own task.

    Collective. Each step takes one batch of every task, so that all tasks
    have equal numbers of batches per step of the decay (the thesis's rule); a task goes through its
    images in random orders, one after the other. Shared blocks step along the mean of the tasks'
    gradients, private ones along their task's. The running statistics of normalization belong to
    'scale-bias': private with it, or shared.

    On ranks the first `servers` are parameter servers, each of which owns a slice of every
    parameter, and the others are workers, that take the tasks in turns. Several workers of a task
    each compute a part of its batch (with statistics 'batch', those of the part). The serial
    training does the same sums in the same order: synchronous training on ranks gives its bits.
    Asynchronous workers take a whole batch each, in turns, and nobody waits, unless for
    `max_staleness`; a shared block then steps after every gradient. All ranks' networks have the
    result at the end; where something fails on a rank, all raise its error and keep what they had.

    Parameters
    ----------
    tasks : sequence of Task
        The same on all ranks, but for images and labels, which only workers of the task need.
    private : iterable of {"scale-bias", "depthwise", "pointwise", "last"}
        Groups that every task has for itself; ``()`` shares all.
    comm : mpi4py.MPI.Comm, optional
        At least tasks + servers ranks. None, or one rank: the serial training.
    mode : {"synchronous", "asynchronous"}
        Whether a step waits for all workers.
    max_staleness : int, optional
        Most updates between the reading of values and the update by their gradient, in
        asynchronous training; whoever would exceed it waits. None: no bound.
    steps, batch : int
        Batches of each task, and images of a batch.
    method : {"adam", "rmsprop", "sgd"}
        The optimizer of each block.
    learning_rate : float
        Of the first step.
    schedule : {"cosine", "exponential", "constant"}
        How the rate falls.
    decay, every : float, int
        The exponential schedule's factor, and its steps at one rate.
    statistics : {"batch", "running", "frozen"}
        As of `Network.gradient`.
    servers : int
        Ranks that own parameters.
    workers : int, optional
        Of the serial training: act as so many workers; one for each task by default.
    seed : int
        Of the order of the images.

    Returns
    -------
    TaskTraining

    Raises
    ------
    ValueError
        If there are fewer ranks than tasks and servers, a worker has no images, a part of a batch
        would be too small, or what is shared has not the same shapes.

    References
    ----------
    .. [1] Thesis, tables 4.4 (private 'scale-bias' and 'last') and 4.5 (private 'scale-bias').

    Examples
    --------
    >>> from pympf.nets.patches import Scenes, Task, residual_network, train_tasks
    >>> X, labels = Scenes(8, classes=4).sample(200)
    >>> blocks = [(2, 8, 1)]
    >>> nets = [residual_network((3, 8, 8), n, blocks, stem=8, head=16) for n in (4, 3)]
    >>> tasks = [Task(nets[0], X, labels["shape"]), Task(nets[1], X, labels["texture"])]
    >>> trained = train_tasks(tasks, steps=20)
    >>> bool(trained.losses[1, -5:].mean() < trained.losses[1, :5].mean())
    True
    >>> first, second = (net.parameters("pointwise")["00.convolution.weights"] for net in nets)
    >>> bool((first == second).all())
    True
    """
    start, tasks = time.perf_counter(), _checked(tasks)
    checks.choice(mode, "mode", ("synchronous", "asynchronous"))
    bound = None if max_staleness is None else checks.integer(max_staleness, "max_staleness", 0)
    if bound is not None and mode == "synchronous":
        raise ValueError(
            f"expected max_staleness with mode 'asynchronous' only, got {bound}: synchronous "
            "gradients are never stale"
        )
    ranks = Ranks(comm)
    plan = Plan(
        _workers(len(tasks), ranks, checks.integer(servers, "servers"), workers),
        checks.integer(steps, "steps"),
        servers,
        bound,
        mode == "asynchronous",
    )
    rule = _Rule(method, checks.positive(learning_rate, "learning_rate"), schedule, decay, every)
    feed = _Feed(checks.integer(batch, "batch"), statistics, seed)
    if ranks.size == 1:
        return _serial(plan, rule, feed, tasks, private, start)
    ranks = ranks.own()
    settings = (len(tasks), plan, rule, feed)
    ranks.same(settings, "train_tasks")
    with ranks.guard():
        blocks = rule.blocks(plan, tasks, private)
        learner = _learner_of(ranks.rank, plan, feed, tasks)
    ranks.same(blocks.sizes, "what tasks share")
    _same_images(ranks, learner)
    with ranks.together():
        return _on_ranks(ranks, plan, blocks, learner, tasks, start)


def _checked(tasks: Sequence[Task]) -> list[Task]:
    """Refuse what is no task, and networks that cannot be trained together."""
    tasks = list(tasks)
    for task in tasks:
        if not isinstance(task, Task):
            raise TypeError(f"expected tasks, got {type(task).__name__}")
    if not tasks:
        raise ValueError("expected at least one task, got none")
    if len({id(task.network) for task in tasks}) < len(tasks):
        raise ValueError("expected a network of its own for each task, got one twice")
    for task in tasks:
        if task.network.patches:
            raise ValueError(
                f"expected networks without patches, whose pretrained weights must not change; got "
                f"one with {', '.join(task.network.patches)}: `merge` gives a network of its own"
            )
    dtypes = {task.network.dtype.name for task in tasks}
    if len(dtypes) > 1:
        raise ValueError(f"expected networks of the same dtype, got {sorted(dtypes)}")
    return tasks


def _workers(
    tasks: int, ranks: Ranks, servers: int, workers: int | None
) -> list[tuple[int, int, int]]:
    """Give task, part and parts of each worker."""
    if ranks.size == 1:
        return rounds(
            tasks, tasks if workers is None else checks.integer(workers, "workers", tasks)
        )
    if ranks.size < tasks + servers:
        raise ValueError(
            f"expected at least {tasks + servers} ranks for tasks and servers ({tasks} + "
            f"{servers}), got {ranks.size}"
        )
    if workers not in (None, ranks.size - servers):
        raise ValueError(f"expected workers to be {ranks.size - servers} here, got {workers}")
    return rounds(tasks, ranks.size - servers)


@dataclass(frozen=True)
class _Rule:
    """How blocks step."""

    method: str
    learning_rate: float
    schedule: str
    decay: float
    every: float

    def __post_init__(self) -> None:
        checks.choice(self.schedule, "schedule", SCHEDULES)
        checks.positive(self.every, "every")

    def blocks(self, plan: Plan, tasks: Sequence[Task], private: Iterable[str]) -> Blocks:
        """Make the blocks, with fresh optimizers."""
        blocks = Blocks([task.network for task in tasks], private_groups(tasks, private))
        optimizer = make_optimizer(self.method, {"learning_rate": self.learning_rate})
        every = self.every / plan.steps

        def falling(optimizer: Optimizer, users: int) -> Optimizer:
            # In asynchronous training a block steps once for every gradient of its tasks.
            updates = plan.steps * (users if plan.asynchronous else 1)
            size = {"epochs": 1, "batch": 1}
            return scheduled(
                optimizer, updates, self.schedule, decay=self.decay, every=every, **size
            )

        blocks.use(optimizer, falling)
        return blocks


@dataclass(frozen=True)
class _Feed:
    """How images come."""

    batch: int
    statistics: str
    seed: int

    def __post_init__(self) -> None:
        checks.choice(self.statistics, "statistics", STATISTICS)
        checks.integer(self.seed, "seed", 0)

    def learner(self, number: int, task: Task, parts: int) -> Learner:
        """Make what computes a task's gradients."""
        least = parts * (2 if self.statistics == "batch" else 1)
        learner = Learner(number, task, self.batch, self.statistics, self.seed)
        if learner.batch < least:
            raise ValueError(
                f"expected batches of at least {least} images in task {number}, for {parts} "
                f"workers and statistics {self.statistics!r}; got {learner.batch}"
            )
        return learner


# ---- one process ---------------------------------------------------------------------------------
def _serial(
    plan: Plan,
    rule: _Rule,
    feed: _Feed,
    tasks: Sequence[Task],
    private: Iterable[str],
    start: float,
) -> TaskTraining:
    """Do what ranks do, in a fixed order; this defines the result of synchronous training."""
    blocks = rule.blocks(plan, tasks, private)
    learners = [feed.learner(i, task, _parts(plan, i)) for i, task in enumerate(tasks)]
    losses, turns = np.zeros((len(tasks), plan.steps)), plan.turns()
    train = _asynchronously if plan.asynchronous else _synchronously
    with ExitStack() as stack:
        for learner in learners:
            stack.enter_context(learner)
        train(plan, blocks, learners, losses, turns)
    for number, task in enumerate(tasks):
        blocks.write(number, task.network)
    return _told(plan, blocks, losses, turns, start, np.zeros(1))


def _synchronously(
    plan: Plan, blocks: Blocks, learners: list[Learner], losses: Array, turns: Turns
) -> None:
    for step in range(plan.steps):
        messages = []
        for worker, (task, _, _) in enumerate(plan.workers):
            learners[task].values[:] = blocks.message(task)
            loss, message = plan.compute(worker, learners[task], step)
            losses[task, step] += loss
            messages.append((task, message))
        blocks.update(messages)


def _asynchronously(
    plan: Plan, blocks: Blocks, learners: list[Learner], losses: Array, turns: Turns
) -> None:
    """Let gradients arrive in the order in which their values were read."""
    batches = [iter(plan.batches(worker)) for worker in range(len(plan.workers))]
    computing: dict[int, Array] = {}
    while not turns.done:
        action = turns.next()
        if action is None:
            turns.arrive(next(worker for worker in computing if worker not in turns.arrived))
            continue
        kind, worker = action
        task = plan.workers[worker][0]
        if kind == SEND:
            step, learner = next(batches[worker]), learners[task]
            learner.values[:] = blocks.message(task)
            losses[task, step], computing[worker] = plan.compute(worker, learner, step)
        elif kind == APPLY:
            blocks.update([(task, computing.pop(worker))])


# ---- ranks ---------------------------------------------------------------------------------------
def _learner_of(rank: int, plan: Plan, feed: _Feed, tasks: Sequence[Task]) -> Learner | None:
    """Make the learner of a worker; servers have none."""
    if rank < plan.servers:
        return None
    number = plan.workers[rank - plan.servers][0]
    return feed.learner(number, tasks[number], _parts(plan, number))


def _same_images(ranks: Ranks, learner: Learner | None) -> None:
    """Refuse other images on another worker of a task."""
    first: dict[int, tuple[int, int]] = {}
    mine = None if learner is None else (learner.number, learner.checksum())
    for rank, found in enumerate(ranks.gather(mine)):
        if found is None:
            continue
        task, checksum = found
        other, expected = first.setdefault(task, (rank, checksum))
        if checksum != expected:
            raise ValueError(
                f"expected the same images and labels of task {task} on all its workers, got "
                f"others on rank {rank} than on rank {other}"
            )


def _parts(plan: Plan, task: int) -> int:
    """Tell into how many parts the batches of a task are cut."""
    return 1 if plan.asynchronous else sum(1 for one, _, _ in plan.workers if one == task)


def _on_ranks(
    ranks: Ranks,
    plan: Plan,
    blocks: Blocks,
    learner: Learner | None,
    tasks: Sequence[Task],
    start: float,
) -> TaskTraining:
    """Be a server or a worker, and share the result."""
    for values in blocks.values.values():
        ranks.fill(values)
    link, losses = Link(ranks), np.zeros((len(tasks), plan.steps))
    slices, turns, failure = blocks, None, None
    if learner is None:
        slices = blocks.sliced(ranks.rank, plan.servers)
        turns = serve(link, plan, slices)
    else:
        with learner:
            failure = work(link, plan, blocks, learner, losses)
    link.flush()
    with ranks.guard():
        if failure is not None:
            raise failure
    parts = []
    for server in range(plan.servers):
        size = sum(last - first for first, last in blocks.slices(server, plan.servers).values())
        part = np.empty(size, blocks.message(0).dtype)
        if ranks.rank == server:
            part = np.concatenate(list(slices.values.values()))
        ranks.fill(part, server)
        parts.append(part)
    blocks.join(parts)
    for number, task in enumerate(tasks):
        blocks.write(number, task.network)
    total, waited = ranks.sum(losses), np.array(ranks.gather(link.waited))
    return _told(plan, blocks, total, _share_turns(ranks, plan, turns), start, waited)


def _share_turns(ranks: Ranks, plan: Plan, turns: Turns | None) -> Turns:
    """Give all ranks the staleness that server 0 has counted."""
    shared = plan.turns() if turns is None else turns
    counts = ranks.broadcast(dict(shared.staleness))
    shared.staleness.update(counts if turns is None else {})
    return shared


def _told(
    plan: Plan, blocks: Blocks, losses: Array, turns: Turns, start: float, waited: Array
) -> TaskTraining:
    """Sum up a training."""
    histogram = [turns.staleness[s] for s in range(max(turns.staleness, default=0) + 1)]
    if not plan.asynchronous:
        histogram = [plan.steps]
    largest = max(len(blocks.message(task)) for task in range(len(blocks.keys)))
    return TaskTraining(
        losses=losses,
        staleness=np.array(histogram),
        n_parameters=blocks.n_parameters(),
        message_bytes=-(-largest // plan.servers) * blocks.message(0).itemsize,
        wall_s=time.perf_counter() - start,
        waited_s=waited,
    )
