"""The parameter server has the bits of the serial training; its failures end on all ranks."""

import numpy as np
import pytest

from pympf.nets.patches import Scenes, Task, residual_network, train_tasks

pytest.importorskip("mpi4py")
from mpi4py import MPI

from .jobs import run_job, starts_a_job

pytestmark = pytest.mark.mpi
COMM = MPI.COMM_WORLD
KINDS = ("shape", "texture", "orientation")


def make(tasks, dtype=np.float32, images=True, sizes=(8, 8, 8)):
    """Give tasks on scenes, of different labels and sizes."""
    made = []
    for number in range(tasks):
        scenes, kind = Scenes(sizes[number], classes=4), KINDS[number]
        X, labels = scenes.sample(96, seed=number)
        shape, classes = (3, sizes[number], sizes[number]), scenes.n_classes[kind]
        blocks = [(1, 8, 1), (2, 8, 1)]
        net = residual_network(shape, classes, blocks, stem=8, head=16, dtype=dtype, seed=number)
        made.append(Task(net, *((X, labels[kind]) if images else ())))
    return made


def numbers(tasks):
    """Give all numbers of the networks, after another."""
    arrays = [(*t.network.parameters().values(), *t.network.statistics().values()) for t in tasks]
    return np.concatenate([array.ravel() for group in arrays for array in group])


def layouts():
    """Give (tasks, servers) with one worker a task on these ranks."""
    return [
        (COMM.size - servers, servers) for servers in (1, 2, 3) if 1 <= COMM.size - servers <= 3
    ]


needs_two = pytest.mark.skipif(COMM.size < 2, reason="one rank: the serial training")


@needs_two
@pytest.mark.parametrize("method", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("private", [("scale-bias", "last"), ("last",)])
def test_synchronous_training_has_the_bits_of_the_serial_one(method, private):
    for tasks, servers in layouts():
        alone, shared = make(tasks, sizes=(8, 12, 6)), make(tasks, sizes=(8, 12, 6))
        options = {"steps": 7, "batch": 16, "method": method, "private": private, "every": 3}
        options["schedule"] = "cosine" if method == "adam" else "exponential"
        first = train_tasks(alone, **options)
        second = train_tasks(shared, comm=COMM, servers=servers, **options)
        assert np.array_equal(numbers(alone), numbers(shared))
        assert np.array_equal(first.losses, second.losses)
        assert first.n_parameters == second.n_parameters
        assert second.waited_s.shape == (COMM.size,)


@needs_two
@pytest.mark.parametrize("statistics", ["batch", "frozen"])
def test_several_workers_of_a_task_share_its_batches(statistics):
    """The same bits as the serial training with as many workers; frozen: one batch, to rounding."""
    options = {"steps": 5, "batch": 24, "statistics": statistics, "learning_rate": 1e-3}
    alone, shared, whole = (make(1, np.float64) for _ in range(3))
    train_tasks(alone, workers=COMM.size - 1, **options)
    train_tasks(shared, comm=COMM, **options)
    assert np.array_equal(numbers(alone), numbers(shared))
    train_tasks(whole, **options)
    difference = abs(numbers(whole) - numbers(shared)).max()
    if statistics == "frozen":
        assert difference < 1e-9
    elif COMM.size > 2:
        assert difference > 1e-6  # each part has statistics of its own


@needs_two
@pytest.mark.parametrize("bound", [None, 0, 1])
def test_asynchronous_training_keeps_the_bound(bound):
    for servers in (1, 2):
        tasks = min(2, COMM.size - servers)
        if tasks < 1:
            continue
        made = make(tasks)
        told = train_tasks(
            made, comm=COMM, mode="asynchronous", max_staleness=bound, servers=servers, steps=9
        )
        assert told.staleness.sum() == 9 * tasks
        assert bound is None or len(told.staleness) <= bound + 1
        assert told.losses.all()
        values = numbers(made)
        assert np.isfinite(values).all()
        assert all(np.array_equal(values, other) for other in COMM.allgather(values))
        if COMM.size - servers == 1:
            alone = make(tasks)
            train_tasks(alone, mode="asynchronous", steps=9)
            assert np.array_equal(numbers(alone), values)


def failing(at):
    """Give an augmentation that fails at one of its calls."""
    calls = []

    def augment(images, rng):
        calls.append(1)
        if len(calls) == at:
            raise ValueError("no such image")
        return images

    return augment


@needs_two
@pytest.mark.parametrize("mode", ["synchronous", "asynchronous"])
@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_worker_that_fails_ends_all_with_its_message(mode, at):
    for servers in (1, 2):
        if COMM.size <= servers:
            continue
        tasks = make(min(2, COMM.size - servers))
        tasks[-1].augment = failing(at)
        before = numbers(tasks)
        with pytest.raises(ValueError, match=r"rank.* of \d: no such image"):
            train_tasks(tasks, comm=COMM, mode=mode, servers=servers, steps=6)
        assert np.array_equal(before, numbers(tasks))


@needs_two
def test_only_workers_need_images():
    tasks = make(COMM.size - 1, images=False) if COMM.size <= 4 else make(3, images=False)
    if COMM.rank > 0:
        number = (COMM.rank - 1) % len(tasks)
        tasks[number] = make(len(tasks))[number]
    alone = make(len(tasks))
    train_tasks(tasks, comm=COMM, steps=2)
    train_tasks(alone, workers=COMM.size - 1, steps=2)
    assert np.array_equal(numbers(alone), numbers(tasks))


@needs_two
def test_a_worker_without_images_is_an_error_on_all():
    tasks = make(1, images=COMM.rank != COMM.size - 1)
    with pytest.raises(ValueError, match="expected images and labels of task 0"):
        train_tasks(tasks, comm=COMM, steps=2)


@pytest.mark.skipif(COMM.size < 3, reason="two workers of a task are needed")
def test_workers_of_a_task_have_the_same_images():
    tasks = make(1)
    tasks[0].X = tasks[0].X + (COMM.rank == 2)
    with pytest.raises(ValueError, match="task 0 on all its workers, got others on rank 2"):
        train_tasks(tasks, comm=COMM, steps=2)


@needs_two
def test_too_few_ranks_and_other_settings_are_errors_on_all():
    with pytest.raises(ValueError, match=f"expected at least .* ranks .* got {COMM.size}"):
        train_tasks(make(2), comm=COMM, servers=COMM.size - 1)
    with pytest.raises(ValueError, match="the same on every rank"):
        train_tasks(make(1), comm=COMM, steps=2 + COMM.rank)
    with pytest.raises(ValueError, match="workers to be"):
        train_tasks(make(1), comm=COMM, workers=COMM.size)


def test_one_rank_trains_serially():
    alone, shared = make(2), make(2)
    train_tasks(alone, steps=3)
    told = train_tasks(shared, comm=MPI.COMM_SELF, steps=3)
    assert np.array_equal(numbers(alone), numbers(shared))
    assert told.waited_s.tolist() == [0]


@starts_a_job
def test_a_server_that_fails_ends_the_job_with_its_message(tmp_path):
    """The workers wait for it: after ten seconds the job ends."""
    code, printed = run_job(
        tmp_path,
        """
        from mpi4py import MPI
        from pympf.nets.patches import Scenes, Task, residual_network, train_tasks
        from pympf.nets.patches.tasks import Blocks

        def update(self, messages):
            raise MemoryError("the server is full")

        Blocks.update = update
        X, labels = Scenes(8, classes=4).sample(64)
        tasks = [Task(residual_network((3, 8, 8), 4, [(1, 8, 1)]), X, labels["shape"])]
        train_tasks(tasks, comm=MPI.COMM_WORLD, steps=3, batch=8)
        """,
    )
    assert code != 0
    assert "the server is full" in printed
