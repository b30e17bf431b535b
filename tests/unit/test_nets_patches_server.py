"""Training of several tasks in one process, and the order of asynchronous updates."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.nets import SGD
from pympf.nets.patches import ScaleBias, Scenes, Task, cross_entropy, residual_network, train_tasks
from pympf.nets.patches.tasks import Blocks, Learner, private_groups
from pympf.nets.patches.turns import APPLY, SEND, Turns

GROUPS = ("scale-bias", "depthwise", "pointwise", "last")


def network(size=8, classes=4, dtype=np.float64, seed=0):
    blocks = [(1, 8, 1), (2, 8, 1)]
    return residual_network(
        (3, size, size), classes, blocks, stem=8, head=16, dtype=dtype, seed=seed
    )


def two_tasks(n=(60, 40), dtype=np.float64, sizes=(8, 8), classes=(4, 3)):
    kinds = ("shape", "texture") if classes == (4, 3) else ("shape", "shape")
    tasks = []
    for number in range(2):
        X, labels = Scenes(sizes[number], classes=4).sample(n[number], seed=number)
        tasks.append(Task(network(sizes[number], classes[number], dtype), X, labels[kinds[number]]))
    return tasks


def arrays(task):
    return {**task.network.parameters(), **task.network.statistics()}


# ---- what is shared ------------------------------------------------------------------------------
@pytest.mark.parametrize("private", [("scale-bias", "last"), ("last", "depthwise"), GROUPS])
def test_shared_groups_are_equal_and_private_ones_are_not(private):
    tasks = two_tasks()
    told = train_tasks(tasks, private, steps=3, batch=16)
    one, other = (arrays(task) for task in tasks)
    groups = {name: g for g in GROUPS for name in tasks[0].network.parameters(g)}
    for name in one:
        same = one[name].shape == other[name].shape and np.array_equal(one[name], other[name])
        assert same == (groups.get(name, "scale-bias") not in private), name
    counts = [task.network.count() for task in tasks]
    shared = sum(counts[0][g] for g in GROUPS if g not in private)
    assert told.n_parameters == shared + sum(count[g] for count in counts for g in private)


def test_all_shared_is_one_network_at_several_sizes():
    tasks = two_tasks(sizes=(12, 6), classes=(4, 4))
    told = train_tasks(tasks, (), steps=3, batch=16)
    assert told.n_parameters == tasks[0].network.count()["all"]
    for one, other in zip(*(arrays(task).values() for task in tasks), strict=True):
        assert np.array_equal(one, other)


def test_a_task_may_have_other_private_groups_than_the_rest():
    tasks = [*two_tasks(classes=(4, 4)), *two_tasks(classes=(4, 4))[:1]]
    tasks[1].private = ("depthwise",)
    told = train_tasks(tasks, ("last",), steps=2, batch=16)
    count = tasks[0].network.count()
    # 'last' is that of task 1 and, each for itself, of tasks 0 and 2; 'depthwise' twice
    assert told.n_parameters == count["all"] + 2 * count["last"] + count["depthwise"]
    for group, (a, b) in (("depthwise", (0, 2)), ("pointwise", (0, 1))):
        pair = [tasks[i].network.parameters(group).values() for i in (a, b)]
        assert all(np.array_equal(one, other) for one, other in zip(*pair, strict=True))


def test_a_step_is_along_the_mean_of_the_tasks_gradients():
    tasks, rate = two_tasks(n=(16, 16)), 0.1
    before = arrays(tasks[0])
    before = {name: array.copy() for name, array in before.items()}
    gradients = []
    for task in tasks:
        images = np.ascontiguousarray(np.asarray(task.X, np.float64).transpose(1, 0, 2, 3))
        net = network(classes=task.network.n_classes)
        gradients.append(net.gradient(images, task.y)[1])
    told = train_tasks(
        tasks, steps=1, batch=16, method="sgd", learning_rate=rate, schedule="constant"
    )
    after = arrays(tasks[0])
    for name in tasks[0].network.parameters(("depthwise", "pointwise")):
        mean = (gradients[0][name] + gradients[1][name]) / 2
        np.testing.assert_allclose(after[name], before[name] - rate * mean, atol=1e-12)
    for name in tasks[0].network.parameters(("scale-bias", "last")):
        np.testing.assert_allclose(
            after[name], before[name] - rate * gradients[0][name], atol=1e-12
        )
    assert told.losses.shape == (2, 1)


def test_a_task_alone_is_an_ordinary_training():
    """With batches of all images there is one order only: `fit` has the same numbers."""
    tasks, net = two_tasks()[:1], network()
    train_tasks(tasks, steps=6, batch=60, learning_rate=0.01, schedule="cosine")
    net.fit(tasks[0].X, tasks[0].y, epochs=6, batch=60, learning_rate=0.01, schedule="cosine")
    for name, array in (net.parameters() | net.statistics()).items():
        np.testing.assert_allclose(arrays(tasks[0])[name], array, atol=1e-7, err_msg=name)


def test_tasks_of_other_sizes_have_equal_numbers_of_batches():
    """Each goes through all its images before it begins anew."""
    seen = [Counter(), Counter()]

    def recording(counter):
        def loss(logits, y):
            counter.update(y.tolist())
            assert y.dtype.kind == "i"
            return cross_entropy(logits, y % logits.shape[1])

        return loss

    tasks = two_tasks(n=(48, 16))
    for task, counter in zip(tasks, seen, strict=True):
        task.y, task.loss = np.arange(len(task.X)), recording(counter)
    train_tasks(tasks, steps=6, batch=8)
    assert set(seen[0].values()) == {1}
    assert set(seen[1].values()) == {3}
    assert len(seen[0]) == 48
    assert len(seen[1]) == 16


def test_workers_of_the_serial_training_cut_batches():
    one, three = (two_tasks(n=(48, 48)) for _ in range(2))
    options = {"steps": 4, "batch": 12, "statistics": "frozen", "learning_rate": 1e-3}
    first, second = train_tasks(one, **options), train_tasks(three, workers=5, **options)
    np.testing.assert_allclose(first.losses, second.losses, rtol=1e-7)
    for a, b in zip(one, three, strict=True):
        for name, array in arrays(a).items():
            np.testing.assert_allclose(array, arrays(b)[name], atol=1e-8)


@pytest.mark.parametrize(("workers", "bound", "expected"), [(2, None, 1), (4, None, 3), (4, 1, 1)])
def test_the_asynchronous_serial_training_is_evenly_stale(workers, bound, expected):
    tasks = two_tasks(dtype=np.float32)
    told = train_tasks(
        tasks, mode="asynchronous", workers=workers, max_staleness=bound, steps=12, batch=16
    )
    assert told.staleness.sum() == 24
    assert told.staleness.argmax() == expected == len(told.staleness) - 1
    assert told.losses.all()


def test_networks_keep_their_own_arrays():
    tasks = two_tasks()
    before = [dict(arrays(task)) for task in tasks]
    train_tasks(tasks, steps=1)
    for task, kept in zip(tasks, before, strict=True):
        assert all(arrays(task)[name] is array for name, array in kept.items())


def test_a_failure_changes_nothing():
    tasks, calls = two_tasks(), []

    def augment(images, rng):
        calls.append(rng.random())
        if len(calls) == 3:
            raise RuntimeError("no more images")
        return images

    tasks[1].augment = augment
    before = [{name: array.copy() for name, array in arrays(task).items()} for task in tasks]
    with pytest.raises(RuntimeError, match="no more images"):
        train_tasks(tasks, steps=5)
    assert len(set(calls)) == 3
    for task, kept in zip(tasks, before, strict=True):
        assert all(np.array_equal(arrays(task)[name], array) for name, array in kept.items())


def test_statistics_follow_the_batches_unless_they_are_frozen():
    for statistics in ("batch", "running", "frozen"):
        tasks = two_tasks()
        before = {name: a.copy() for name, a in tasks[1].network.statistics().items()}
        train_tasks(tasks, steps=1, statistics=statistics)
        after = tasks[1].network.statistics()
        same = all(np.array_equal(after[name], array) for name, array in before.items())
        assert same == (statistics == "frozen")


def test_networks_without_normalization_have_no_statistics():
    tasks = two_tasks()
    for task in tasks:
        task.network = task.network.fold()
    told = train_tasks(tasks, steps=2, learning_rate=1e-4)
    assert np.isfinite(told.losses).all()


# ---- slices --------------------------------------------------------------------------------------
@pytest.mark.parametrize("servers", [1, 2, 3, 7])
def test_slices_of_servers_make_up_the_whole(servers):
    tasks = two_tasks()
    networks = [task.network for task in tasks]
    blocks = Blocks(networks, private_groups(tasks, ("last",)))
    parts = [blocks.sliced(server, servers) for server in range(servers)]
    for task in range(2):
        whole = blocks.message(task)
        rebuilt = np.full(len(whole), np.nan)
        for server, part in enumerate(parts):
            message, start = part.message(task), 0
            for place in blocks.places(task, server, servers):
                size = place.stop - place.start
                rebuilt[place] = message[start : start + size]
                start += size
            assert start == len(message)
        assert np.array_equal(rebuilt, whole)
    kept = {key: values.copy() for key, values in blocks.values.items()}
    for values in blocks.values.values():
        values[:] = 0
    blocks.join([np.concatenate(list(part.values.values())) for part in parts])
    assert all(np.array_equal(blocks.values[key], kept[key]) for key in kept)


def test_an_update_of_slices_is_that_of_the_whole():
    tasks, rng = two_tasks(), np.random.default_rng(0)
    blocks = Blocks([task.network for task in tasks], private_groups(tasks, ("last",)))
    blocks.use(SGD(0.1), lambda optimizer, users: optimizer)
    gradients = [rng.standard_normal(len(blocks.message(task))) for task in range(2)]
    part = blocks.sliced(1, 3)
    cut = [
        np.concatenate([gradients[task][place] for place in blocks.places(task, 1, 3)])
        for task in range(2)
    ]
    blocks.update(list(enumerate(gradients)))
    part.update(list(enumerate(cut)))
    for key, (first, last) in blocks.slices(1, 3).items():
        assert np.array_equal(blocks.values[key][first:last], part.values[key])


def test_a_learner_gives_full_batches_of_one_order_after_the_other():
    learner = Learner(0, two_tasks(n=(50, 40))[0], 16, "batch", seed=3)
    steps = [learner._batch(step).copy() for step in range(7)]
    assert all(len(chosen) == 16 for chosen in steps)
    assert len(set(np.concatenate(steps[:3]).tolist())) == 48
    assert not np.array_equal(steps[0], steps[3])
    again = Learner(0, two_tasks(n=(50, 40))[0], 16, "batch", seed=3)
    assert np.array_equal(again._batch(5), steps[5])


# ---- the order of asynchronous updates -----------------------------------------------------------
@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(0, 6)),
    st.randoms(use_true_random=False),
)
def test_no_gradient_is_staler_than_the_bound_and_nobody_waits_for_ever(counts, bound, random):
    """Workers send their gradients in any order."""
    turns, computing, done = Turns(counts, bound), {}, [0] * len(counts)
    version = 0
    while not turns.done:
        action = turns.next()
        if action is None:
            away = sorted(worker for worker, at in computing.items() if at[1])
            assert away, "stuck"
            worker = random.choice(away)
            computing[worker] = (computing[worker][0], False)
            turns.arrive(worker)
        elif action[0] == SEND:
            assert action[1] not in computing
            computing[action[1]] = (version, True)
        else:
            assert action[0] == APPLY
            read, away = computing.pop(action[1])
            assert not away
            assert bound is None or version - read <= bound
            version += 1
            done[action[1]] += 1
    assert done == counts
    assert turns.next() is None
    assert sum(turns.staleness.values()) == sum(counts)


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "eventually"}, "mode = .* is not one of synchronous, asynchronous"),
        ({"max_staleness": -1}, "max_staleness = .* integer in .0, inf"),
        ({"max_staleness": 1}, "max_staleness with mode 'asynchronous' only, got 1"),
        ({"private": ("scales",)}, "group = .* is not one of"),
        ({"private": ("scale-bias",)}, "'last' in tasks 0 and 1.*last.weights of shapes"),
        ({"steps": 0}, "steps = .* integer in .1, inf"),
        ({"servers": 0}, "servers = .* integer in .1, inf"),
        ({"workers": 1}, "workers = .* integer in .2, inf"),
        ({"method": "newton"}, "method = .* is not one of"),
        ({"schedule": "steps"}, "schedule = .* is not one of"),
        ({"every": 0}, "every = .* number in .0, inf"),
        ({"statistics": "mine"}, "statistics = .* is not one of"),
        ({"batch": 1}, "batches of at least 2 images in task 0"),
        ({"batch": 8, "workers": 10}, "at least 10 images in task 0, for 5 workers"),
        ({"learning_rate": 0}, "learning_rate = .* number in .0, inf"),
        ({"seed": -1}, "seed = .* integer in .0, inf"),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        train_tasks(two_tasks(), **options)


def test_bad_tasks_are_refused():
    with pytest.raises(ValueError, match="at least one task"):
        train_tasks([])
    tasks = two_tasks()
    tasks[1].X = None
    with pytest.raises(ValueError, match="images and labels of task 1"):
        train_tasks(tasks)
    tasks = two_tasks()
    tasks[0].y = tasks[0].y + 1
    with pytest.raises(ValueError, match=r"labels from 0 to 3"):
        train_tasks(tasks)
    tasks = two_tasks()
    tasks[0].network = network(size=12)
    with pytest.raises(ValueError, match="X: expected shape"):
        train_tasks(tasks)
    tasks = two_tasks()
    tasks[1].network = network(classes=3, dtype=np.float32)
    with pytest.raises(ValueError, match="the same dtype"):
        train_tasks(tasks)
    tasks = two_tasks()
    tasks[1].network = tasks[0].network
    with pytest.raises(ValueError, match="a network of its own"):
        train_tasks(tasks, private=())
    tasks = two_tasks()
    tasks[1].network.add_patch("mine", ScaleBias())
    with pytest.raises(ValueError, match=r"without patches.* got one with mine"):
        train_tasks(tasks)
    with pytest.raises(TypeError, match="expected tasks"):
        train_tasks([network()])
    with pytest.raises(TypeError, match="mpi4py communicator"):
        train_tasks(two_tasks(), comm=3)
