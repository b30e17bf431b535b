"""The words that a network knows, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pympf._described import Described
from pympf.la import checks
from pympf.nets.programmer.table import COLUMN_TOKEN, TABLE_TOKEN, read_number

__all__ = ["DUMMY", "NUMBER_WORD", "UNKNOWN", "Vocabulary"]

DUMMY, UNKNOWN, NUMBER_WORD = "dummy", "unk", "<num>"
SPECIAL = (DUMMY, UNKNOWN, NUMBER_WORD, TABLE_TOKEN, COLUMN_TOKEN)


class Vocabulary(Described):
    """Words and their numbers; a number is one word, and all words that are not here are another.

    Parameters
    ----------
    words : sequence of str
        What to know besides the special words.

    Examples
    --------
    >>> from pympf.nets.programmer import Vocabulary
    >>> vocabulary = Vocabulary.of([["most", "gold"], ["most", "fiji_7"]], least=2)
    >>> vocabulary.words[5:], [vocabulary.words[i] for i in vocabulary.numbers(["most", "a", "12"])]
    (('most',), ['most', 'unk', '<num>'])
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = tuple(dict.fromkeys([*SPECIAL, *words]))
        self._numbers = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]], least: int = 10) -> Vocabulary:
        """Make the vocabulary of some texts.

        Parameters
        ----------
        texts : iterable of iterable of str
            Questions and headers.
        least : int
            How often a word has to be there.

        Returns
        -------
        Vocabulary
            In alphabetical order.

        Examples
        --------
        See the class.
        """
        counts = Counter(word for text in texts for word in text if read_number(word) is None)
        least = checks.integer(least, "least")
        return cls(sorted(word for word, count in counts.items() if count >= least))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._numbers

    def numbers(self, words: Iterable[str]) -> list[int]:
        """Give the numbers of words.

        Parameters
        ----------
        words : iterable of str
            Any.

        Returns
        -------
        list of int
            One for each.

        Examples
        --------
        See the class.
        """
        known, unknown, number = self._numbers, self._numbers[UNKNOWN], self._numbers[NUMBER_WORD]
        return [known.get(word, unknown if read_number(word) is None else number) for word in words]
