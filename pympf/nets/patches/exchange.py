"""What servers and workers send each other: buffers of numbers only.

Every step of a worker begins with a message from each server, VALUES, and ends with one to each,
GRADIENT. Either side says STOP instead, in an empty message, when something has failed. In
asynchronous training server 0 decides on the order and tells the other servers by EVENTs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pympf.la import Ranks
from pympf.nets._checks import Array
from pympf.nets.patches.tasks import Blocks, Learner
from pympf.nets.patches.turns import APPLY, SEND, Turns

__all__ = ["Link", "Plan", "serve", "work"]

VALUES, GRADIENT, STOP, EVENT = 1, 2, 3, 4
DRAIN, HALT, END = 2, 3, 4
"""Events besides SEND and APPLY: receive and forget; say STOP to a worker; all is done."""

LONGEST_PAUSE = 2e-4
"""Seconds between two looks for a message, at most: a rank that waits leaves its core to others."""

EMPTY = np.empty(0, np.uint8)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Plan:
    """Who does what.

    Parameters
    ----------
    workers : list of (task, part, parts)
        What each worker does: of synchronous training its part of each batch, of asynchronous
        training each parts-th batch from its part's on.
    steps : int
        Batches of each task.
    servers : int
        The first ranks.
    bound : int or None
        Of the staleness.
    asynchronous : bool
    """

    workers: list[tuple[int, int, int]]
    steps: int
    servers: int = 1
    bound: int | None = None
    asynchronous: bool = False

    def batches(self, worker: int) -> range:
        """Give the steps that a worker computes gradients for."""
        _, part, parts = self.workers[worker]
        return range(part, self.steps, parts) if self.asynchronous else range(self.steps)

    def compute(self, worker: int, learner: Learner, step: int) -> tuple[float, Array]:
        """Compute a worker's loss and gradient of a step."""
        _, part, parts = self.workers[worker]
        return learner.gradient(step) if self.asynchronous else learner.gradient(step, part, parts)

    def turns(self) -> Turns:
        """Give the order of asynchronous updates."""
        return Turns([len(self.batches(w)) for w in range(len(self.workers))], self.bound)


class Link:
    """Ranks among which sending goes on by itself, and receiving sleeps.

    A rank that waited in MPI would keep a core busy that another one needs.

    Parameters
    ----------
    ranks : pympf.la.Ranks

    Attributes
    ----------
    waited : float
        Seconds that receiving took.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.waited = 0.0
        self._sent: list[Callable[[], bool]] = []

    def send(self, buffer: Array, rank: int, tag: int) -> None:
        """Send an array, which nobody changes any more."""
        self._all_gone()
        self._sent.append(self.ranks.send(buffer, rank, tag))

    def receive(self, buffer: Array, rank: int | None = None) -> tuple[int, int]:
        """Wait for a message of a rank, or of any; give its rank and tag."""
        start = time.perf_counter()
        found = _sleep_until(lambda: self.ranks.probe(rank))
        self.ranks.receive(buffer, *found)
        self.waited += time.perf_counter() - start
        return found

    def flush(self) -> None:
        """Wait until everything that was sent has gone."""
        _sleep_until(self._all_gone)

    def _all_gone(self) -> bool:
        self._sent = [gone for gone in self._sent if not gone()]
        return not self._sent


def _sleep_until(look: Callable[[], Found | None]) -> Found:
    pause = 1e-5
    while not (found := look()):
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    return found


# ---- workers -------------------------------------------------------------------------------------
def work(
    link: Link, plan: Plan, blocks: Blocks, learner: Learner, losses: Array
) -> BaseException | None:
    """Compute gradients until all is done, or something fails: give what failed here."""
    worker = link.ranks.rank - plan.servers
    task, servers = learner.number, range(plan.servers)
    places = [blocks.places(task, server, plan.servers) for server in servers]
    buffers = [np.concatenate([learner.values[place] for place in own]) for own in places]
    for step in plan.batches(worker):
        tags = [link.receive(buffers[server], server)[1] for server in servers]
        if STOP in tags:
            return None
        for own, buffer in zip(places, buffers, strict=True):
            _scatter(buffer, learner.values, own)
        try:
            loss, message = plan.compute(worker, learner, step)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised on all ranks
            for server in servers:
                link.send(EMPTY, server, STOP)
            return error
        losses[task, step] += loss
        for server, own in enumerate(places):
            link.send(np.concatenate([message[place] for place in own]), server, GRADIENT)
    return None


def _scatter(buffer: Array, values: Array, places: Sequence[slice]) -> None:
    start = 0
    for place in places:
        size = place.stop - place.start
        values[place] = buffer[start : start + size]
        start += size


# ---- servers -------------------------------------------------------------------------------------
def serve(link: Link, plan: Plan, blocks: Blocks) -> Turns | None:
    """Own a slice of the blocks until all is done, or a worker has stopped."""
    server = _Server(link, plan, blocks)
    if not plan.asynchronous:
        server.synchronous()
        return None
    if link.ranks.rank == 0:
        return server.leading()
    server.following()
    return None


class _Server:
    """One server at work."""

    def __init__(self, link: Link, plan: Plan, blocks: Blocks) -> None:
        self.link, self.plan, self.blocks = link, plan, blocks
        self.task = [task for task, _, _ in plan.workers]
        self.messages: dict[int, Array] = {}
        sizes = [len(blocks.message(task)) for task in range(len(blocks.keys))]
        self._sizes, dtype = sizes, blocks.message(0).dtype
        self._buffer = np.empty(max(sizes), dtype)

    def synchronous(self) -> None:
        """Send the values to all, receive from all, update, and again."""
        workers = range(len(self.plan.workers))
        for step in range(self.plan.steps):
            for worker in workers:
                self.send(worker)
            stopped = [worker for worker in workers if not self.receive(worker)]
            if stopped:
                last = step == self.plan.steps - 1
                for worker in workers:
                    if worker not in stopped and not last:
                        self.stop(worker)
                return
            self.apply(*workers)

    def leading(self) -> Turns:
        """Decide on the order of asynchronous updates."""
        turns, stopped = self.plan.turns(), None
        while not turns.done and stopped is None:
            action = turns.next()
            if action is None:
                rank, tag = self.link.receive(self._buffer)
                worker = rank - self.plan.servers
                if tag == STOP:
                    stopped = worker
                    continue
                self._keep(worker)
                turns.arrive(worker)
                continue
            self._tell(*action)
            self._do(*action)
        if stopped is not None:
            self._wind_up(turns, stopped)
        self._tell(END, 0)
        return turns

    def _wind_up(self, turns: Turns, stopped: int) -> None:
        """Let all workers end: those still at work send one more message, which nobody needs."""
        for worker in turns.read:
            self._tell(DRAIN, worker)
            ended = worker == stopped or turns.remaining[worker] == 1
            if worker != stopped and worker not in turns.arrived:
                ended |= not self.receive(worker)
            if not ended:
                self._tell(HALT, worker)
                self.stop(worker)
        for worker in turns.waiting:
            self._tell(HALT, worker)
            self.stop(worker)

    def following(self) -> None:
        """Do what server 0 says."""
        event = np.empty(2, np.int64)
        while True:
            self.link.receive(event, 0)
            kind, worker = event.tolist()
            if kind == END:
                return
            if kind in (APPLY, DRAIN):
                self.receive(worker)
            self._do(kind, worker)

    def _tell(self, kind: int, worker: int) -> None:
        for server in range(1, self.plan.servers):
            self.link.send(np.array([kind, worker], np.int64), server, EVENT)

    def _do(self, kind: int, worker: int) -> None:
        if kind == SEND:
            self.send(worker)
        elif kind == APPLY:
            self.apply(worker)
        elif kind == HALT:
            self.stop(worker)

    def send(self, worker: int) -> None:
        """Give a worker the values."""
        values = self.blocks.message(self.task[worker])
        self.link.send(values, self.plan.servers + worker, VALUES)

    def stop(self, worker: int) -> None:
        """Tell a worker to end."""
        self.link.send(EMPTY, self.plan.servers + worker, STOP)

    def receive(self, worker: int) -> bool:
        """Receive a worker's gradient; False: it has failed."""
        _, tag = self.link.receive(self._buffer, self.plan.servers + worker)
        self._keep(worker)
        return tag != STOP

    def _keep(self, worker: int) -> None:
        self.messages[worker] = self._buffer[: self._sizes[self.task[worker]]].copy()

    def apply(self, *workers: int) -> None:
        """Update by the gradients of some workers."""
        self.blocks.update([(self.task[worker], self.messages.pop(worker)) for worker in workers])
