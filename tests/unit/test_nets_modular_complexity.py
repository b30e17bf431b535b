"""Algorithm 2: the bracket closes around the number; what is never enough."""

import math

import pytest

from pympf.nets import sample_complexities, sample_complexity


@pytest.mark.parametrize("needed", [2, 100, 4096, 5000, 10**6])
def test_the_bracket_holds_the_number(needed):
    asked = []

    def train(n):
        asked.append(n)
        return 0.0 if n >= needed else 1.0

    found = sample_complexity(train, 0.25)
    assert found.bracket[0] < needed <= found.n == found.bracket[1]
    assert math.log2(found.n / found.bracket[0]) < 0.3 + 1 / found.bracket[0]
    assert sorted(found.evaluations) == sorted(asked)  # nothing is asked twice
    assert asked[0] == 4096


def test_the_path_is_that_of_the_text():
    found = sample_complexity(lambda n: 1e5 / n, 1.0)
    assert list(found.evaluations)[:4] == [2**12, 2**14, 2**16, 2**18]
    assert list(found.evaluations)[4] == 2**17


def test_what_is_never_enough_is_infinite():
    found = sample_complexity(lambda n: 1.0, 0.25, most=15)
    assert found.n == math.inf
    assert found.bracket == (2**15, math.inf)
    assert max(found.evaluations) == 2**15
    assert sample_complexity(lambda n: math.nan, 0.25).n == math.inf


def test_several_learners():
    trains = [lambda n, c=c: c / n for c in (10, 1000)]
    assert sample_complexities(trains, 0.1) == [sample_complexity(t, 0.1) for t in trains]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"error": 0.0}, "error = .* number in .0, inf"),
        ({"tolerance": 0.0}, "tolerance = .* number in .0, inf"),
        ({"start": 23}, "start at most 22"),
        ({"iterations": 0}, "iterations = .* integer in .1, inf"),
    ],
)
def test_refused(options, text):
    with pytest.raises(ValueError, match=text):
        sample_complexity(lambda n: 1.0, **({"error": 0.1} | options))
