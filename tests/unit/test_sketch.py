"""Sketches: the recursion, what is recovered from them, and how far off it is."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.sketch import (
    Graph,
    Scheme,
    Sketch,
    StreamingSketch,
    compare,
    nearest,
    noise_level,
    plan,
    recover_attributes,
    recover_frequency,
    recover_jointly,
    recover_quantized,
    recover_signature,
    recover_summed_attributes,
    similarity,
    unroll,
)

SMALL = {"d": 546, "b": 39, "w": 4}
MIDDLE = {"d": 4128, "b": 48, "w": 8}


def unit(rng, m=64):
    x = np.abs(rng.standard_normal(m))
    return x / np.linalg.norm(x)


def flat(k, rng, module=lambda i: ("m", i), **more):
    """A graph of k objects of depth 2, of equal weight."""
    graph = Graph()
    for i in range(k):
        graph.add(i, module(i), unit(rng), **{key: value(i) for key, value in more.items()})
    graph.set_output(dict.fromkeys(range(k), 1 / k))
    return graph


def tree(parents, children, rng):
    """A graph of depth 3: every object is of a module of its own."""
    graph = Graph()
    for t in range(parents):
        for c in range(children):
            graph.add((t, c), f"child {t} {c}", unit(rng))
        inputs = {(t, c): 1 / children for c in range(children)}
        graph.add(t, f"parent {t}", unit(rng), inputs=inputs)
    graph.set_output(dict.fromkeys(range(parents), 1 / parents))
    return graph


def dag(rng):
    """Two paths of one length, and one of another, to the same object."""
    graph = Graph()
    graph.add("edge", "edge", unit(rng, 5), signature=[1, -1, 1])
    graph.add("wheel", "wheel", unit(rng, 6), inputs={"edge": 0.5})
    graph.add("door", "door", unit(rng, 7), inputs={"wheel": 0.2, "edge": 0.4})
    graph.add("car", "car", unit(rng, 8), inputs=[("wheel", 0.6), ("door", 0.4)])
    graph.set_output({"car": 0.7, "wheel": 0.3})
    return graph


def by_definition(scheme, graph):
    """The overall sketch, by the recursion of the paper."""
    half = lambda R, s: 0.5 * (s + R.apply(s))  # noqa: E731

    def inputs(edges, h):
        parts = [
            e.weight * half(scheme.input_matrix(h, e.index), made(graph.objects[e.name], h + 1))
            for e in edges
        ]
        return sum(parts, np.zeros(scheme.d))

    def padded(x):
        return np.concatenate([x, np.zeros(scheme.d - len(x))])

    def made(o, h):
        R = [scheme.matrix(o.module, i) for i in range(4)]
        attr = 0.5 * R[1].apply(padded(o.attributes)) + 0.5 * R[2].apply(padded(np.ones(1)))
        if o.signature is not None:
            attr = attr + 0.5 * R[3].apply(padded(o.signature / math.sqrt(len(o.signature))))
        s = 0.5 * half(scheme.attribute_matrix(h, 1), attr)
        s = s + 0.5 * half(scheme.attribute_matrix(h, 2), inputs(o.inputs, h))
        return half(R[0], s)

    return inputs(graph.output, 1)


FAMILIES = [SMALL, {"d": 546, "b": 39, "q": 0.4}, {"d": 512, "family": "orthonormal"}]
FAMILIES += [{**SMALL, "tuple_keys": "shared"}]


@pytest.mark.parametrize("sizes", FAMILIES, ids=str)
def test_sketch_is_that_of_the_definition(sizes):
    rng = np.random.default_rng(0)
    scheme, graphs = Scheme(seed=3, **sizes), [dag(rng), tree(2, 2, rng), Graph()]
    for graph, sketch in zip(graphs, scheme.sketch_many(graphs), strict=True):
        np.testing.assert_allclose(sketch.values, by_definition(scheme, graph), atol=1e-16)
    one = scheme.sketch(graphs[0])
    np.testing.assert_allclose(one.values, scheme.sketch_many(graphs)[0].values, atol=1e-16)


def test_norm_is_that_of_the_law():
    rng = np.random.default_rng(1)
    for k in (1, 4, 16):
        norms = [Scheme(seed=s, **MIDDLE).sketch(flat(k, rng)).norm() for s in range(2)]
        assert np.mean(norms) == pytest.approx(0.125 / math.sqrt(k), rel=0.08)


def test_streaming_follows_the_graph():
    rng = np.random.default_rng(0)
    scheme = Scheme(**SMALL)
    stream = StreamingSketch(scheme)
    stream.add("car", "car", unit(rng, 8), into={None: 0.7})
    stream.add("wheel", "wheel", unit(rng, 6), into={"car": 0.6, None: 0.3})
    stream.add("edge", "edge", unit(rng, 5), into={"wheel": 0.5}, signature=[1, -1, 1])
    stream.add("door", "door", unit(rng, 7), inputs={"wheel": 0.2}, into={"car": 0.4})

    def agrees():
        expected = scheme.sketch(stream.graph).values
        np.testing.assert_allclose(stream.sketch.values, expected, atol=1e-16)

    agrees()
    stream.change("wheel", unit(rng, 9))
    agrees()
    stream.remove("wheel")
    agrees()
    stream.add("wheel", "wheel", unit(rng, 6), into={"door": 0.3, None: 0.3})
    assert [edge.index for edge in stream.graph.output] == [1, 3]  # 2 is not used again
    agrees()
    before = stream.sketch.values
    cycle = {"into": {"door": 0.1}, "inputs": {"car": 1.0}}
    for bad in ({"into": {None: 0.5}}, {"into": {"nobody": 0.1}}, cycle):
        with pytest.raises(ValueError, match=r"sum to at most 1|no object|cycle"):
            stream.add("more", "car", [1.0], **bad)
    for name in ("nobody", "more"):
        with pytest.raises(ValueError, match="no object"):
            stream.remove(name)
    assert (stream.sketch.values == before).all()
    agrees()


# ---- theorem 1 -----------------------------------------------------------------------------------

C = {  # the measured law: c for k = 1, 4, 16, within the tenth that is allowed for
    "identity": (1.34, 1.06, 1.04),
    "own": (1.11, 0.72, 0.61),
    "index": (2.23, 1.40, 1.13),
    "index_own": (1.45, 0.81, 0.60),
    "full": (1.18, 0.65, 0.46),
}


@pytest.mark.parametrize("k", [1, 4, 16])
def test_attributes_are_off_by_the_law(k):
    found = {name: [] for name in C}
    gains = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        scheme, graph = Scheme(seed=seed, **MIDDLE), flat(k, rng)
        sketch = scheme.sketch(graph)
        sigma0 = 32 * sketch.norm() * k / math.sqrt(scheme.d)
        for i in range(min(k, 2)):
            x = graph.objects[i].attributes
            for name in C:
                path = None if name in ("identity", "own") else (i + 1,)
                how = {"path": path, "estimator": name}
                value = recover_attributes(scheme, sketch, ("m", i), 1 / k, **how)
                error = value.value - np.pad(x, (0, scheme.d - 64))
                assert abs(error).max() < value.bound
                found[name].append(np.sqrt((error**2).mean()) / sigma0)
                gains.append(value.value[:64] @ x)
    assert np.mean(gains) == pytest.approx(1, abs=0.1)
    for name, (one, four, sixteen) in C.items():
        most = {1: one, 4: four, 16: sixteen}[k]
        assert 0.8 * most < np.mean(found[name]) < 1.1 * most


def test_error_falls_with_the_root_of_the_dimension():
    errors = []
    for d, b in ((1050, 42), (4128, 48), (16416, 54)):
        rng = np.random.default_rng(0)
        scheme, graph = Scheme(d, b=b), flat(2, rng)
        value = recover_attributes(scheme, scheme.sketch(graph), ("m", 0), 0.5, size=64)
        errors.append(np.linalg.norm(value.value - graph.objects[0].attributes))
    slope = np.polyfit(np.log([1050, 4128, 16416]), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.12)


def test_shared_tuple_matrices_break_the_recovery_by_path():
    """Theorem 1 (ii) with the literal R_i: a sibling of the same module leaks in."""
    leaks = {}
    for keys in ("per_depth", "shared"):
        rng = np.random.default_rng(0)
        scheme = Scheme(tuple_keys=keys, **MIDDLE)
        graph = Graph()
        a, b = np.zeros(64), np.zeros(64)
        a[:32], b[32:] = unit(rng, 32), unit(rng, 32)
        graph.add("a", "m", a)
        graph.add("b", "m", b)
        graph.set_output({"a": 0.5, "b": 0.5})
        found = recover_attributes(
            scheme, scheme.sketch(graph), "m", 0.5, size=64, path=(1,), estimator="index"
        )
        leaks[keys] = found.value @ a, found.value @ b
    assert leaks["per_depth"] == pytest.approx((1, 0), abs=0.25)
    assert leaks["shared"] == pytest.approx((2, 1), abs=0.35)


def test_quantized_attributes_are_exact():
    rng = np.random.default_rng(0)
    scheme = Scheme(16416, b=54)
    graph = Graph()
    x = rng.integers(0, 2, 20).astype(float)
    graph.add("a", "m", x)
    graph.add("b", "n", rng.integers(0, 2, 20).astype(float))
    graph.set_output({"a": 1.0, "b": 0.0})
    value, exact = recover_quantized(scheme, scheme.sketch(graph), "m", 1.0, 1.0, size=20)
    assert exact
    assert (value == x).all()
    rough = Scheme(**SMALL)
    assert not recover_quantized(rough, rough.sketch(graph), "m", 1.0, 1.0, size=20)[1]


# ---- theorem 2 -----------------------------------------------------------------------------------


def test_similar_sketches_are_told_from_unrelated_ones():
    k, same, other, unrelated = 4, [], [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scheme = Scheme(seed=seed, **MIDDLE)
        x = unit(rng)
        graphs = [flat(k, rng, lambda i, g=g: (g, i)) for g in range(3)]
        shared = [Graph(), Graph(), Graph()]
        for g, at in ((0, 0), (1, 0), (2, 1)):
            for i in range(k):
                shared[g].add(i, "common" if i == at else (10 + g, i), x if i == at else unit(rng))
            shared[g].set_output(dict.fromkeys(range(k), 1 / k))
        s = scheme.sketch_many(graphs + shared)
        same.append(s[3].dot(s[4]) / (1 / (k * k * 64)))
        other.append(s[3].dot(s[5]) / (1 / (k * k * 128)))
        unrelated += [s[0].dot(s[1]), s[0].dot(s[2]), s[1].dot(s[2])]
        assert similarity(scheme, s[3], s[4]).z > abs(similarity(scheme, s[0], s[1]).z)
        assert abs(similarity(scheme, s[0], s[1]).z) < 2
    assert np.mean(same) == pytest.approx(1, abs=0.15)
    assert np.mean(other) == pytest.approx(1, abs=0.2)
    rms = np.sqrt(np.mean(np.square(unrelated))) * math.sqrt(MIDDLE["d"]) / (0.125**2 / k)
    assert 0.5 < rms < 2.7
    assert min(same) / (k * k * 64) > max(map(abs, unrelated))


def test_a_change_of_attributes_is_not_contracted_by_block_sparse_matrices():
    """Theorem 2 (iii) says at most ε/2 with probability one: true of orthonormal matrices only."""
    ratios = {}
    for sizes in (SMALL, {"d": 512, "family": "orthonormal"}):
        scheme = Scheme(**sizes)
        d = scheme.d
        R = [scheme.matrix("m", i).toarray() for i in (0, 1)]
        I = np.eye(d)
        half = [
            0.5 * (I + T)
            for T in (
                scheme.input_matrix(1, 1).toarray(),
                R[0],
                scheme.attribute_matrix(2, 1).toarray(),
            )
        ]
        A = half[0] @ half[1] @ (0.5 * half[2]) @ (0.5 * R[1])
        # The linear map of attributes is that of the sketches.
        x, y = np.eye(2, d, 0)[:, :8]
        one, two = Graph(), Graph()
        one.add("a", "m", x)
        two.add("a", "m", y)
        for graph in (one, two):
            graph.set_output({"a": 1.0})
        change = scheme.sketch(one).values - scheme.sketch(two).values
        np.testing.assert_allclose(change, A[:, :8] @ (x - y), atol=1e-15)
        ratios[scheme.family] = np.linalg.norm(A, 2)
    assert ratios["orthonormal"] <= 0.25
    assert 0.5 < ratios["block"] < 0.7


# ---- theorem 3 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [{"w": 8}, {"q": 0.3}], ids=str)
def test_frequencies_are_exact(law):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scheme = Scheme(16416, b=54, seed=seed, **law)
        graph = flat(4, rng, lambda i: "cat" if i < 2 else ("other", i))
        sketch = scheme.sketch(graph)
        for estimator in ("identity", "own"):
            found = recover_frequency(scheme, sketch, "cat", 0.25, estimator=estimator)
            assert round(found.value) == 2
        assert abs(recover_frequency(scheme, sketch, "nobody", 0.25).value) < 0.5


def test_an_empty_counter_is_refused():
    for seed in range(400):
        scheme = Scheme(132, b=33, q=0.15, seed=seed)
        if scheme.counter_norm2("cat") == 0:
            break
    with pytest.raises(ValueError, match="no nonzero block"):
        recover_frequency(scheme, Sketch(np.zeros(132), scheme.checksum), "cat", 1.0)


def test_attributes_are_summed():
    rng = np.random.default_rng(0)
    scheme = Scheme(16416, b=54)
    graph = flat(4, rng, lambda i: "cat" if i < 2 else ("other", i))
    total = graph.objects[0].attributes + graph.objects[1].attributes
    for estimator in ("identity", "own"):
        found = recover_summed_attributes(
            scheme, scheme.sketch(graph), "cat", 0.25, size=64, estimator=estimator
        )
        assert abs(found.value - total).max() < found.bound
        assert found.value @ total / (total @ total) == pytest.approx(1, abs=0.15)


# ---- signatures, drill-down, comparison, erasure -------------------------------------------------


def test_signatures_are_found_among_ten_thousand():
    rng = np.random.default_rng(0)
    known = 2.0 * rng.integers(0, 2, (10_000, 32)) - 1
    for seed in range(3):
        scheme = Scheme(seed=seed, **MIDDLE)
        graph = flat(4, rng, signature=lambda i, s=seed: known[100 * s + i])
        sketch = scheme.sketch(graph)
        for i in range(4):
            found = recover_signature(scheme, sketch, ("m", i), 32, path=(i + 1,))
            assert nearest(found, known) == 100 * seed + i


def test_drilling_down_finds_the_object_in_a_repository():
    rng = np.random.default_rng(0)
    scheme = Scheme(**MIDDLE)
    graph, decoys = flat(4, rng), flat(12, rng, lambda i: ("m", i % 6))
    sketch = scheme.sketch(graph)
    known = [*scheme.object_sketches(graph).values(), *scheme.object_sketches(decoys).values()]
    assert (known[2].values == scheme.object_sketch(graph, 2).values).all()
    for i in range(4):
        part = unroll(scheme, sketch, (i + 1,), 0.25)
        assert nearest(part, known) == i
        cosine = part.dot(known[i]) / part.norm() / known[i].norm()
        assert 0.2 < cosine < 0.35


@pytest.mark.parametrize("sizes", [MIDDLE, {"d": 4096, "family": "orthonormal"}], ids=str)
def test_comparison_finds_the_common_object(sizes):
    k = 3
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scheme, x = Scheme(seed=seed, **sizes), unit(rng)
        at = rng.integers(k, size=2)
        sketches = []
        for g in range(2):
            graph = Graph()
            for i in range(k):
                graph.add(i, "common" if i == at[g] else (g, i), x if i == at[g] else unit(rng))
            graph.set_output(dict.fromkeys(range(k), 1 / k))
            sketches.append(scheme.sketch(graph))
        best = compare(scheme, *sketches, k)[0]
        assert (best.path, best.other_path) == ((at[0] + 1,), (at[1] + 1,))


@given(st.floats(0.1, 1.0))
@settings(max_examples=5, deadline=None)
def test_erasure_costs_the_root_of_what_is_left(fraction):
    errors = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        scheme, graph = Scheme(seed=seed, **MIDDLE), flat(4, rng)
        sketch = scheme.sketch(graph)
        left = sketch.erase(max(1, int(fraction * scheme.d)))
        x = np.pad(graph.objects[0].attributes, (0, scheme.d - 64))
        both = [
            recover_attributes(scheme, s, ("m", 0), 0.25, estimator="identity")
            for s in (sketch, left)
        ]
        errors.append([np.linalg.norm(found.value - x) for found in both])
        assert abs(both[1].value - x).max() < both[1].bound
    whole, erased = np.sqrt(np.mean(np.square(errors), axis=0))
    assert erased / whole == pytest.approx(fraction**-0.5, rel=0.12)


def test_erased_sketches_are_compared_by_what_both_have():
    sketch = Sketch([1.0, 2.0, 3.0, 4.0], "x")
    assert sketch.erase(2).dot(sketch) == 2 * (1 + 4)
    assert sketch.erase(3).erase(1).kept == 1
    with pytest.raises(ValueError, match="kept = 3"):
        sketch.erase(2).erase(3)


# ---- least squares -------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1050, 840, 630])
def test_least_squares_are_exact_at_depth_three(kept):
    rng = np.random.default_rng(0)
    scheme, graph = Scheme(1050, b=42, seed=1), tree(2, 2, rng)
    found = recover_jointly(scheme, scheme.sketch(graph).erase(kept), graph)
    worst = max(abs(found.attributes[n] - o.attributes).max() for n, o in graph.objects.items())
    assert worst < 1e-4
    assert found.residual < 1e-6
    assert found.iterations <= 200


def test_least_squares_share_an_object_of_several_paths():
    rng = np.random.default_rng(0)
    scheme, graph = Scheme(**SMALL), dag(rng)
    found = recover_jointly(scheme, scheme.sketch(graph).erase(300), graph)
    for name, made in graph.objects.items():
        np.testing.assert_allclose(found.attributes[name], made.attributes, atol=1e-5)
    with pytest.raises(
        ValueError, match="at most as many attributes as numbers are kept, 20; got 26"
    ):
        recover_jointly(scheme, scheme.sketch(graph).erase(20), graph)
    with pytest.raises(ValueError, match="objects in its output"):
        recover_jointly(scheme, scheme.sketch(Graph()), Graph())


# ---- plans and bad input -------------------------------------------------------------------------


def test_a_plan_keeps_what_it_promises():
    found = plan(0.3, 0.95, objects=2, attributes=16)
    assert found.reachable
    assert found.bound <= 0.3
    worst = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scheme = Scheme(found.d, b=found.b, w=found.w, seed=seed)
        graph = Graph()
        for i in range(2):
            graph.add(i, ("m", i), unit(rng, 16))
        graph.set_output({0: 0.5, 1: 0.5})
        sketch = scheme.sketch(graph)
        value = recover_attributes(scheme, sketch, ("m", 0), 0.5, size=16)
        worst.append(abs(value.value - graph.objects[0].attributes).max())
        assert noise_level(scheme, sketch, 0.5) == pytest.approx(found.noise, rel=0.1)
    assert max(worst) < 0.3
    assert plan(0.1, objects=2, depth=3).reachable is False
    assert plan(0.2, objects=1, family="orthonormal").d < plan(0.2, objects=1).d
    for bad in ({"error": 0.0}, {"error": 0.1, "probability": 1.0}, {"error": 0.1, "family": "x"}):
        with pytest.raises(ValueError, match=r"error = 0|not a number in|not one of"):
            plan(**bad)


def test_bad_graphs_are_refused():
    graph = Graph()
    with pytest.raises(ValueError, match=r"weight = 1.5 is not a number in \[0, 1\]"):
        graph.add("a", "m", [1.0], inputs={"b": 1.5})
    with pytest.raises(ValueError, match="weight = nan is not a number"):
        graph.set_output({"a": math.nan})
    with pytest.raises(ValueError, match=r"sum to at most 1, got 1.2"):
        graph.set_output({"a": 0.6, "b": 0.6})
    for bad in ([math.nan], [], [[1.0]]):
        with pytest.raises(ValueError, match="attributes of 'a': expected"):
            graph.add("a", "m", bad)
    with pytest.raises(ValueError, match="expected signs"):
        graph.add("a", "m", [1.0], signature=[0.5])
    graph.add("a", "m", [1.0], inputs={"b": 1.0})
    with pytest.raises(ValueError, match="there is an object 'a' already"):
        graph.add("a", "m", [1.0])
    graph.set_output({"a": 1.0})
    scheme = Scheme(132, b=33)
    with pytest.raises(ValueError, match="'b' is an input, but there is no such object"):
        scheme.sketch(graph)
    graph.add("b", "m", [1.0], inputs={"a": 0.5})
    with pytest.raises(ValueError, match="cycle: a -> b -> a"):
        scheme.sketch(graph)
    long = Graph()
    long.add("a", "m", np.ones(133))
    long.set_output({"a": 1.0})
    with pytest.raises(ValueError, match="at most d = 132 attributes, got 133"):
        scheme.sketch(long)


def test_sketches_of_another_scheme_are_refused():
    one, two = Scheme(132, b=33), Scheme(132, b=33, seed=1)
    assert Scheme(**one.parameters).checksum == one.checksum != two.checksum
    rng = np.random.default_rng(0)
    sketch = one.sketch(flat(1, rng))
    for ask in (
        lambda: recover_attributes(two, sketch, ("m", 0), 1.0),
        lambda: recover_frequency(two, sketch, ("m", 0), 1.0),
        lambda: unroll(two, sketch, (1,), 1.0),
        lambda: recover_jointly(two, sketch, flat(1, rng)),
        lambda: similarity(two, sketch, sketch),
    ):
        with pytest.raises(ValueError, match="is of scheme"):
            ask()
    with pytest.raises(ValueError, match="one scheme"):
        sketch.dot(two.sketch(flat(1, rng)))
    for bad in ({"weight": 0.0}, {"estimator": "best"}, {"path": (1, 1)}, {"path": (0,)}):
        with pytest.raises(ValueError, match=r"weight|estimator|ancestors|index = 0"):
            recover_attributes(one, sketch, ("m", 0), **{"weight": 1.0, **bad})
    for bad in ({"family": "dense"}, {"tuple_keys": "none"}, {"family": "orthonormal", "w": 3}):
        with pytest.raises(ValueError, match=r"not one of|are of family"):
            Scheme(132, **bad)


def test_plan_on_the_command_line(capsys):
    from pympf.cli import main

    assert main(["sketch", "plan", "--error", "0.3", "--objects", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plan(0.3, objects=2).as_dict()
    assert main(["sketch", "plan", "--error", "0"]) != 0
    assert "error = 0" in capsys.readouterr().err
