"""Encoder-decoders: gradients, training, search, files, and the names of their graph."""

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pympf.nets.graph import Graph, grad, variable
from pympf.nets.seq2seq import Seq2Seq, Vocabulary, beam_search, length_batches, padded
from pympf.nets.seq2seq.network import (
    cross_entropy,
    decode,
    encode,
    initial_parameters,
    logits,
    word_probabilities,
)

KINDS = list(itertools.product(("gru", "lstm"), (True, False), ("after", "before")))
SMALL = {"embedding": 12, "hidden": 16, "batch": 8, "dropout": 0.0, "learning_rate": 0.02}
WORDS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four"}


def numbers_backwards(n, seed=0):
    """Sentences whose translation says their words from the last to the first."""
    rng = np.random.default_rng(seed)
    sources = [list(rng.choice(list(WORDS), rng.integers(1, 5))) for _ in range(n)]
    return sources, [[WORDS[word] for word in reversed(source)] for source in sources]


@pytest.fixture(scope="module")
def trained():
    return Seq2Seq(**SMALL, query="after", epochs=12, seed=1).fit(*numbers_backwards(300))


# ---- words ---------------------------------------------------------------------------------------
def test_vocabulary():
    words = Vocabulary.of([["b", "a"], ["b", "c"]], min_count=2)
    assert words.words == ["<pad>", "<unk>", "<s>", "</s>", "b"]
    assert words.encode(["b", "a"]) == [4, 1]
    assert words.decode([4, 1, 3]) == ("b", "<unk>", "</s>")
    assert len(words) == 5
    with pytest.raises(ValueError, match=r"every word once .* got \['a'\] again"):
        Vocabulary(["a", "a"])
    with pytest.raises(ValueError, match="<s>"):
        Vocabulary(["<s>"])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1), st.integers(1, 7))
def test_batches_hold_every_pair_once_and_like_lengths(lengths, batch):
    rng = np.random.default_rng(0)
    batches = list(length_batches(np.array(lengths), batch, rng))
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= batch
    ranges = sorted(sorted(lengths[i][0] for i in chosen) for chosen in batches)
    assert all(a[-1] <= b[0] + 2 for a, b in itertools.pairwise(ranges))


# ---- the network ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("cell", "bidirectional", "query"), KINDS)
def test_gradients_of_the_loss(cell, bidirectional, query):
    """All parameters and inputs against central differences, padding included."""
    rng = np.random.default_rng(0)
    P = initial_parameters((7, 8), 3, 4, cell=cell, bidirectional=bidirectional, seed=0)
    P = {
        name: array.astype(np.float64) + 0.1 * rng.standard_normal(array.shape)
        for name, array in P.items()
    }
    X = rng.standard_normal((2, 3, 3))
    mask = np.array([[True, True, True], [True, True, False]])
    given_words, wanted = np.array([[2, 4, 5], [2, 6, 0]]), np.array([[4, 5, 3], [6, 3, 0]])
    weights = (wanted != 0) / 5.0

    def loss(X, P):
        encoded = encode(P, X, mask, cell)
        return cross_entropy(logits(P, decode(P, encoded, given_words, query)), wanted, weights)

    leaves = {name: variable(array) for name, array in (P | {"X": X}).items()}
    x = leaves.pop("X")
    found = grad(loss(x, leaves), [x, *leaves.values()])
    for place, array in enumerate([X, *P.values()]):
        for _ in range(3):
            entry = tuple(rng.integers(n) for n in array.shape)
            kept, values = array[entry], []
            for step in (1e-6, -1e-6):
                array[entry] = kept + step
                values.append(loss(variable(X), P).value.sum())
            array[entry] = kept
            expected = (values[0] - values[1]) / 2e-6
            assert_allclose(found[place][entry], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("cell", "bidirectional", "query"), KINDS)
def test_padding_changes_nothing(cell, bidirectional, query):
    P = initial_parameters((9, 9), 4, 5, cell=cell, bidirectional=bidirectional, seed=1)
    rows = padded([[4, 5], [5, 6, 7, 8]])
    words = np.array([4, 6, 3])
    given_words = np.array([[2, 4, 6]])

    def chances(rows):
        encoded = encode(P, P["source_words"][rows], rows != 0, cell)
        out = decode(P, encoded, given_words, query)
        return np.stack([node.value for node in word_probabilities(P, out, words, log=True)], 1)

    assert_allclose(chances(rows)[0], chances(rows[:1, :2])[0], rtol=2e-6)
    assert_allclose(chances(rows)[1], chances(rows[1:])[0], rtol=2e-6)


def test_nodes_and_paths_have_the_names_of_the_equations(trained):
    x = variable(trained.embed(["un", "deux"])[None], "source")
    nodes = trained.word_probabilities(x, ["two", "one"])
    graph = Graph(*nodes)
    steps = {
        f"{name}_{t}" for name in ("attention", "context", "state", "probability") for t in (1, 2)
    }
    assert set(graph.named()) == steps | {"source", "encoder_states", "final_state"}
    # Attention is asked after the state: c_1 is no way to s_1, and c_2 no way to p_1.
    paths = set(graph.paths("source", "probability_1"))
    assert ("source", "encoder_states", "context_1", "probability_1") in paths
    assert not any("context_2" in path for path in paths)
    early = [path for path in paths if "state_1" in path and "context_1" in path]
    assert all(path.index("state_1") < path.index("context_1") for path in early)
    # Where attention is asked first, it is the other way round.
    net = Seq2Seq(**SMALL, epochs=0, query="before").fit(*numbers_backwards(3))
    x = variable(net.embed(["un", "deux"])[None], "source")
    paths = set(Graph(*net.word_probabilities(x, ["two"])).paths("source", "probability_1"))
    assert ("source", "encoder_states", "context_1", "state_1", "probability_1") in paths


@pytest.mark.parametrize("query", ["after", "before"])
def test_attention_weights(query):
    net = Seq2Seq(**SMALL, epochs=1, query=query).fit(*numbers_backwards(20))
    A = net.attention(["un", "deux", "?"], ["two", "one"])
    assert A.shape == (3, 2)
    assert_allclose(A.sum(axis=0), 1)
    assert A.min() > 0


# ---- training ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("cell", "bidirectional", "query"), KINDS)
def test_all_kinds_learn(cell, bidirectional, query):
    net = Seq2Seq(**SMALL, cell=cell, bidirectional=bidirectional, query=query, epochs=12)
    net.fit(*numbers_backwards(300))
    sources, targets = numbers_backwards(60, seed=1)
    assert net.losses[-1] < net.losses[0] / 4
    assert net.score(sources, targets) > 0.95
    right = [list(found) == t for found, t in zip(net.predict(sources), targets, strict=True)]
    assert np.mean(right) > 0.9


def test_same_seed_same_network():
    text, epochs = numbers_backwards(40), []
    nets = [Seq2Seq(**SMALL | {"dropout": 0.3}, epochs=2, seed=seed) for seed in (3, 3, 4)]
    for net in nets:
        net.fit(*text, progress=lambda epoch, loss: epochs.append((epoch, loss)))
    one, same, other = (net.parameters for net in nets)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["decoder_U"], other["decoder_U"])
    assert epochs[:2] == [(1, nets[0].losses[0]), (2, nets[0].losses[1])]


def test_the_loss_is_the_mean_over_words():
    sources, targets = numbers_backwards(30)
    net = Seq2Seq(**SMALL | {"learning_rate": 1e-12}, epochs=1).fit(sources, targets)
    log_p = words = 0.0
    for source, target in zip(sources, targets, strict=True):
        # The end of the sentence is a word, too.
        for node in net.word_probabilities(net.embed(source)[None], [*target, "</s>"], log=True):
            log_p, words = log_p + float(node.value[0]), words + 1
    assert net.losses[0] == pytest.approx(-log_p / words, rel=1e-5)


def test_rare_words_are_one_word():
    net = Seq2Seq(**SMALL, epochs=1, min_count=2).fit([["a"], ["a"], ["b"]], [["A"], ["A"], ["B"]])
    assert net.source_vocabulary.words[4:] == ["a"]
    assert_array_equal(net.embed(["b"]), net.embed(["never seen"]))


# ---- search --------------------------------------------------------------------------------------
def chain(transition):
    """A decoder whose next word depends on the last one only."""
    log_p = np.log(transition)

    def step(last, state):
        return log_p[last], state

    return step, (np.zeros((2, 1)),)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([0.0, 0.6, 1.0]))
def test_a_wide_beam_is_exhaustive(seed, max_length, penalty):
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(6, 0.5), size=6) + 1e-3
    step, state = chain(transition)
    found = beam_search(step, state, beam=40, max_length=max_length, length_penalty=penalty)
    best = (-np.inf, 0.0, [])
    for length in range(max_length + 1):
        for words in itertools.product((1, 4, 5), repeat=length):
            said = [*words, 3] if length < max_length else list(words)
            log_p = sum(np.log(transition[a, b]) for a, b in itertools.pairwise([2, *said]))
            best = max(best, (log_p / len(said) ** penalty, log_p, list(words)))
    for hypothesis in found:
        assert hypothesis.log_probability == pytest.approx(best[1])
        assert hypothesis.ids == best[2]


def test_a_beam_finds_what_greed_misses():
    transition = np.full((6, 6), 1e-6)
    transition[2, [4, 5]] = 0.6, 0.4  # the likelier first word leads nowhere
    transition[4, [1, 3, 4, 5]] = 0.25
    transition[5, 3] = 1.0
    step, state = chain(transition)
    assert beam_search(step, state, beam=3, length_penalty=0.0)[0].ids == [5]
    assert beam_search(step, state, beam=1, length_penalty=0.0)[0].ids[0] == 4


def test_predictions_do_not_depend_on_their_neighbours(trained):
    sources, _ = numbers_backwards(20, seed=5)
    for beam in (1, 3):
        alone = [trained.predict([source], beam=beam)[0] for source in sources]
        assert trained.predict(sources, beam=beam) == alone
    assert trained.predict([["un", "deux", "trois"]], max_length=2) == [("three", "two")]


# ---- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("cell", "bidirectional", "query"), KINDS[1::3])
def test_files(tmp_path, cell, bidirectional, query):
    sources, targets = numbers_backwards(20)
    net = Seq2Seq(**SMALL, cell=cell, bidirectional=bidirectional, query=query, epochs=1)
    net.fit(sources, [["é", *target] for target in targets]).save(tmp_path / "net.h5")
    again = Seq2Seq.load(tmp_path / "net.h5")
    assert again.get_params() == net.get_params()
    assert again.losses == net.losses
    assert again.target_vocabulary.words == net.target_vocabulary.words
    assert all(
        np.array_equal(net.parameters[name], again.parameters[name]) for name in net.parameters
    )
    assert again.predict(sources) == net.predict(sources)


def test_files_that_are_none(tmp_path, trained):
    path = tmp_path / "net.h5"
    path.write_bytes(b"no")
    with pytest.raises(OSError, match="net"):
        Seq2Seq.load(path)
    trained.save(path)
    with h5py.File(path, "a") as file:
        del file["parameters/decoder_U"]
    with pytest.raises(OSError, match="decoder_U"):
        Seq2Seq.load(path)


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "rnn"}, "cell = 'rnn' is not one of gru, lstm"),
        ({"query": "during"}, "query = .* is not one of before, after"),
        ({"hidden": 0}, "hidden = .* integer in .1, inf"),
        ({"dropout": 1.0}, r"dropout = 1.0 is not a number in \[0, 1\)"),
        ({"learning_rate": -1}, "learning_rate = .* number in .0, inf"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Seq2Seq(**arguments)


def test_bad_text(trained):
    with pytest.raises(ValueError, match="got 1 sources and 0 targets"):
        Seq2Seq().fit([["a"]], [])
    with pytest.raises(ValueError, match="targets with words, got an empty one at 1"):
        Seq2Seq().fit([["a"], ["b"]], [["A"], []])
    with pytest.raises(ValueError, match="sources with words, got none"):
        Seq2Seq().fit([], [])
    with pytest.raises(TypeError, match="got a string: split it"):
        trained.predict(["un deux"])
    with pytest.raises(ValueError, match="call fit first"):
        Seq2Seq().predict([["un"]])
    with pytest.raises(ValueError, match="target with words, got none"):
        trained.attention(["un"], [])
    with pytest.raises(ValueError, match=r"shape \(n, words, 12\), got \(2, 12\)"):
        trained.word_probabilities(trained.embed(["un", "un"]), ["one"])
