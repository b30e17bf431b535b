"""A pair of made-up languages whose word alignments are known.

The source puts its verb last and adjectives before nouns; the target puts the verb second and
adjectives behind. In between there is what makes alignment hard: articles whose form depends on
the noun behind them, compounds that become two words, verbs with a particle that become one, verbs
whose translation depends on the object, and words that come from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pympf._described import Described
from pympf.explain.alignments.links import Link, Links
from pympf.la import checks
from pympf.nets._checks import random_numbers

__all__ = ["AlignedPair", "SyntheticLanguages"]

GENDERS, PARTICLES, ZIPF_EXPONENT = 3, 4, 0.8
# Chances of what a sentence has.
COMPOUND, ARTICLE, DEFINITE, GENITIVE = 0.25, 0.8, 0.5, 0.25
OBJECT, ADVERB, NEGATION = 0.8, 0.5, 0.15
ADJECTIVES = (0.5, 0.35, 0.15)


class AlignedPair(NamedTuple):
    """A sentence, its translation, and the links between their words.

    Parameters
    ----------
    source, target : tuple of str
        Words.
    links : Links
        Sure: what a word is made of; possible, too: what decides its form.

    Examples
    --------
    >>> from pympf.explain.alignments import AlignedPair, Links
    >>> AlignedPair(("a",), ("A",), Links.of([(0, 0)])).target
    ('A',)
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    links: Links


class _Noun(NamedTuple):
    source: str
    target: tuple[str, ...]
    gender: int
    animate: bool


class _Verb(NamedTuple):
    source: str
    target: str  # with no object, or an inanimate one
    animate: str  # with an animate object
    particle: str  # "" if it has none


@dataclass
class _Phrase:
    """Words of both languages and the links between them, that grows at either end."""

    source: list[str] = field(default_factory=list)
    target: list[str] = field(default_factory=list)
    sure: list[Link] = field(default_factory=list)
    possible: list[Link] = field(default_factory=list)
    noun: _Noun | None = None
    head: int = 0  # where the noun stands in the source

    def say(self, word: str) -> int:
        """Append a word of the source and give its place."""
        self.source.append(word)
        return len(self.source) - 1

    def write(self, word: str, *sure: int, possible: tuple[int, ...] = ()) -> None:
        """Append a word of the target with the source words that it comes from."""
        self.sure += [(i, len(self.target)) for i in sure]
        self.possible += [(i, len(self.target)) for i in possible]
        self.target.append(word)

    def write_phrase(self, part: _Phrase, offset: int) -> None:
        """Append the target of a phrase whose source stands at `offset` here."""
        shift = len(self.target)
        self.sure += [(i + offset, j + shift) for i, j in part.sure]
        self.possible += [(i + offset, j + shift) for i, j in part.possible]
        self.target += part.target

    def say_phrase(self, part: _Phrase) -> int:
        """Append the source of a phrase and give the place of its first word."""
        self.source += part.source
        return len(self.source) - len(part.source)


class SyntheticLanguages(Described):
    """Two made-up languages: their words, and a grammar that draws sentences of both.

    Parameters
    ----------
    nouns, verbs, adjectives, adverbs, compounds : int
        How many words there are of a kind; the k-th is drawn with a chance of k^-0.8.
    seed : int
        Seed of genders and meanings.

    Examples
    --------
    >>> from pympf.explain.alignments import SyntheticLanguages
    >>> pair = SyntheticLanguages().draw(1, seed=3)[0]
    >>> " ".join(pair.source), " ".join(pair.target)
    ('der a15 n72 v11', 'THE1 N72 A15 V11')
    """

    def __init__(
        self,
        *,
        nouns: int = 120,
        verbs: int = 60,
        adjectives: int = 50,
        adverbs: int = 20,
        compounds: int = 40,
        seed: int = 0,
    ) -> None:
        sizes = {"nouns": nouns, "verbs": verbs, "adjectives": adjectives}
        for name, size in (sizes | {"adverbs": adverbs, "compounds": compounds}).items():
            checks.integer(size, name)
        rng = random_numbers(seed, "languages")
        genders, animate = rng.integers(GENDERS, size=nouns), rng.random(nouns) < 0.5
        self._nouns = [
            _Noun(f"n{i}", (f"N{i}",), int(genders[i]), bool(animate[i])) for i in range(nouns)
        ]
        parts, genders = rng.integers(30, size=(compounds, 2)), rng.integers(3, size=compounds)
        self._compounds = [
            _Noun(f"k{i}", (f"P{parts[i, 0]}", f"Q{parts[i, 1]}"), int(genders[i]), False)
            for i in range(compounds)
        ]
        self._verbs = [_verb(i) for i in range(verbs)]
        self._adjectives, self._adverbs = adjectives, adverbs
        self._chances: dict[int, NDArray[np.float64]] = {}

    def draw(self, n: int, seed: int = 0) -> list[AlignedPair]:
        """Draw sentences with their translations.

        Not collective.

        Parameters
        ----------
        n : int
            How many.
        seed : int
            Seed of the draws.

        Returns
        -------
        list of AlignedPair

        Examples
        --------
        >>> from pympf.explain.alignments import SyntheticLanguages
        >>> len(SyntheticLanguages().draw(3))
        3
        """
        rng = random_numbers(seed, "sentences")
        return [self._sentence(rng) for _ in range(checks.integer(n, "n", 0))]

    def _sentence(self, rng: np.random.Generator) -> AlignedPair:
        """[adverb] subject [adverb] object [not] [particle] verb -> subject verb object adverb."""
        verb = self._verbs[self._zipf(rng, len(self._verbs))]
        subject = self._noun_phrase(rng)
        thing = self._noun_phrase(rng) if rng.random() < OBJECT else None
        adverb = self._zipf(rng, self._adverbs) if rng.random() < ADVERB else None
        negated, early = rng.random() < NEGATION, rng.random() < 0.5
        out, at = _Phrase(), {}
        if adverb is not None and early:
            at["adverb"] = out.say(f"w{adverb}")
        at["subject"] = out.say_phrase(subject)
        if adverb is not None and not early:
            at["adverb"] = out.say(f"w{adverb}")
        if thing is not None:
            at["object"] = out.say_phrase(thing)
        if negated:
            at["not"] = out.say("nicht")
        if verb.particle:
            at["particle"] = out.say(verb.particle)
        at["verb"] = out.say(verb.source)
        self._translate(out, at, verb, subject, thing, adverb)
        links = Links.of(out.sure, out.possible)
        return AlignedPair(tuple(out.source), tuple(out.target), links)

    @staticmethod
    def _translate(
        out: _Phrase,
        at: dict[str, int],
        verb: _Verb,
        subject: _Phrase,
        thing: _Phrase | None,
        adverb: int | None,
    ) -> None:
        """Write the target of a sentence whose parts stand `at` places of the source."""
        out.write_phrase(subject, at["subject"])
        if "not" in at:
            out.write("DO", possible=(at["not"],))
            out.write("NOT", at["not"])
        animate = thing is not None and thing.noun is not None and thing.noun.animate
        decides: tuple[int, ...] = ()
        if thing is not None and verb.animate != verb.target:
            decides = (at["object"] + thing.head,)
        made_of = [at[part] for part in ("particle", "verb") if part in at]
        out.write(verb.animate if animate else verb.target, *made_of, possible=decides)
        if thing is not None:
            out.write_phrase(thing, at["object"])
        if adverb is not None:
            out.write(f"W{adverb}", at["adverb"])

    def _noun_phrase(self, rng: np.random.Generator, inner: bool = False) -> _Phrase:
        """[article] adjectives noun [genitive] -> [article] noun adjectives [OF genitive]."""
        kind = self._compounds if rng.random() < COMPOUND else self._nouns
        noun = kind[self._zipf(rng, len(kind))]
        article, definite = rng.random() < ARTICLE, rng.random() < DEFINITE
        count = rng.choice(len(ADJECTIVES), p=ADJECTIVES)
        chosen = [self._zipf(rng, self._adjectives) for _ in range(count)]
        out = _Phrase(noun=noun)
        if article:
            out.say("der" if definite else "ein")
        places = [out.say(f"a{adjective}") for adjective in chosen]
        out.head = out.say(noun.source)
        if article:
            out.write(("THE" if definite else "SOME") + str(noun.gender), 0, possible=(out.head,))
        for word in noun.target:
            out.write(word, out.head)
        for adjective, place in reversed(list(zip(chosen, places, strict=True))):
            out.write(f"A{adjective}", place)
        if not inner and rng.random() < GENITIVE:
            part = self._noun_phrase(rng, inner=True)
            out.write("OF")
            out.write_phrase(part, out.say_phrase(part))
        return out

    def _zipf(self, rng: np.random.Generator, n: int) -> int:
        """Draw k of n with a chance of (k + 1)^-0.8."""
        if n not in self._chances:
            weights = np.arange(1, n + 1) ** -ZIPF_EXPONENT
            self._chances[n] = np.cumsum(weights / weights.sum())
        return min(int(np.searchsorted(self._chances[n], rng.random(), "right")), n - 1)


def _verb(i: int) -> _Verb:
    """Every third verb depends on its object, every fourth has a particle."""
    forms = (f"V{i}a", f"V{i}b") if i % 3 == 0 else (f"V{i}", f"V{i}")
    return _Verb(f"v{i}", *forms, f"p{i // 4 % PARTICLES}" if i % 4 == 1 else "")
