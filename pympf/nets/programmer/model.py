"""Neural Programmer: a network that answers questions over tables by programs of four steps."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from pympf._described import Parameterized
from pympf._progress import each, working
from pympf.la import checks
from pympf.nets._checks import Array
from pympf.nets.programmer.encode import Batch, encode, header_words
from pympf.nets.programmer.network import Selections, initial, inputs_of, select
from pympf.nets.programmer.operators import OPERATORS, USES_COLUMN, execute
from pympf.nets.programmer.storage import load_state, save_state
from pympf.nets.programmer.table import Answer, Program, Question, Table
from pympf.nets.programmer.training import (
    Epoch,
    is_answer,
    restore,
    resume,
    state_of,
    train_epoch,
)
from pympf.nets.programmer.vocabulary import Vocabulary
from pympf.nets.train import Adam, decaying

__all__ = ["NeuralProgrammer"]

ROOM = 8  # words that an attack may add to the longest question of the training
AT_ONCE = 250
Self = TypeVar("Self", bound="NeuralProgrammer")


class NeuralProgrammer(Parameterized):
    """Answers questions over tables.

    Parameters
    ----------
    width : int
        d of the vectors and the states; 256 in the paper.
    epochs : int
        How often every question is used.
    batch : int
        Questions of a step.
    learning_rate : float
        Of Adam; it falls along half a cosine.
    program_share : float
        Share of the questions whose program is seen, of [0, 1]; 0 is training from answers.
    answers : bool
        Whether answers are seen, those of all questions.
    dropout, word_dropout : float
        Share of the activations, and of the words that become unk, in training.
    least : int
        How often a word has to be there to be known.
    length : int, optional
        The most words of a question; default eight more than the longest in training.
    either : bool
        Whether an answer of one text that is a number may be a count, as in WikiTableQuestions.
    entropy : float
        Weight of a reward for undecided selections, which falls to 0 over the first half of the
        epochs: it keeps training from answers from settling on the first operator that helps.
    clip : float
        The largest norm of a gradient.
    seed : int
        The same seed gives the same network.

    Attributes
    ----------
    parameters_ : dict of ndarray
        The weights.
    vocabulary_ : Vocabulary
        The words.
    length_ : int
        The most words of a question.
    history_ : list of Epoch
        The training.

    References
    ----------
    .. [1] A. Neelakantan, Q. Le, M. Abadi, A. McCallum, D. Amodei, "Learning a natural language
       interface with Neural Programmer", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.nets.programmer import NeuralProgrammer, Question, Table
    >>> table = Table(("nation", "gold"), (("Fiji", "Peru"), ("1", "5")))
    >>> ask = lambda *words: Question(words, table, np.zeros((2, 2), bool), np.zeros(2, bool))
    >>> most = ask("who", "has", "most").changed(answer=frozenset({"Peru"}))
    >>> count = ask("how", "many").changed(answer=2)
    >>> model = NeuralProgrammer(8, epochs=40, batch=2, least=1, dropout=0, seed=1)
    >>> model = model.fit([most, count] * 8)
    >>> model.predict([count])
    [2]
    """

    def __init__(
        self,
        width: int = 32,
        *,
        epochs: int = 20,
        batch: int = 50,
        learning_rate: float = 3e-3,
        program_share: float = 0.0,
        answers: bool = True,
        dropout: float = 0.1,
        word_dropout: float = 0.05,
        least: int = 10,
        length: int | None = None,
        either: bool = False,
        entropy: float = 0.0,
        clip: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.width, self.epochs, self.batch = width, epochs, batch
        self.learning_rate, self.clip = learning_rate, clip
        self.program_share, self.answers, self.either = program_share, answers, either
        self.dropout, self.word_dropout = dropout, word_dropout
        self.entropy = entropy
        self.least, self.length, self.seed = least, length, seed
        self.parameters_: dict[str, Array] = {}
        self.vocabulary_ = Vocabulary()
        self.length_ = 0
        self.history_: list[Epoch] = []

    # ---- training --------------------------------------------------------------------------------
    def fit(
        self: Self,
        questions: Sequence[Question],
        validation: Sequence[Question] = (),
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Callable[[Epoch], None] | None = None,
    ) -> Self:
        """Train the network.

        Not collective.

        Parameters
        ----------
        questions : sequence of Question
            With answers, or with programs, or both.
        validation : sequence of Question
            Other ones, for `history_`.
        checkpoint : path, optional
            A file that is replaced after each epoch. If it is there, the training goes on from it,
            and comes to the same network as one that was not interrupted.
        progress : callable, optional
            Called after each epoch.

        Returns
        -------
        NeuralProgrammer
            This one.

        Raises
        ------
        ValueError
            If there are no questions, a parameter is out of range, or the checkpoint belongs to
            other parameters.

        Examples
        --------
        See the class.
        """
        self._check(questions)
        tables = {id(question.table): question.table for question in questions}
        headers = (word for table in tables.values() for word in header_words(table))
        texts = [*(question.words for question in questions), *headers]
        self.vocabulary_ = Vocabulary.of(texts, self.least)
        longest = max(len(question.words) for question in questions)
        self.length_ = (
            longest + ROOM if self.length is None else checks.integer(self.length, "length")
        )
        self.parameters_ = initial(self.width, len(self.vocabulary_), self.seed)
        self.history_ = []
        optimizer = decaying(
            Adam(self.learning_rate, eps=1e-6), len(questions), epochs=self.epochs, batch=self.batch
        )
        if checkpoint is not None and Path(checkpoint).exists():
            resume(self, load_state(checkpoint), optimizer)
        everything = self._encode(questions)
        with working("train") as work:
            tell = each(work, self.epochs, "epoch")
            for number in range(len(self.history_) + 1, self.epochs + 1):
                loss, cpu_s = train_epoch(self, number, everything, optimizer)
                self.history_.append(Epoch(number, loss, cpu_s, *self._validate(validation)))
                if checkpoint is not None:
                    save_state(state_of(self, optimizer), checkpoint)
                tell(number, loss)
                if progress is not None:
                    progress(self.history_[-1])
        return self

    def _check(self, questions: Sequence[Question]) -> None:
        for name in ("width", "epochs", "batch", "least"):
            checks.integer(getattr(self, name), name)
        checks.positive(self.clip, "clip")
        for name, most in (("program_share", 1.0), ("dropout", 0.99), ("word_dropout", 0.99)):
            checks.number(getattr(self, name), name, 0, most=most)
        if not questions:
            raise ValueError("expected at least one question to train with, got none")
        if not (self.answers or self.program_share):
            raise ValueError("expected answers or programs to train with, got answers=False")

    def _validate(self, questions: Sequence[Question]) -> tuple[float, dict[str, float]]:
        verdicts = defaultdict(list)
        for question, given in zip(questions, self.predict(questions), strict=True):
            verdicts[question.intent].append(is_answer(given, question.answer))
        every = [verdict for some in verdicts.values() for verdict in some]
        by_intent = {intent: float(np.mean(some)) for intent, some in sorted(verdicts.items())}
        return (float(np.mean(every)) if every else float("nan")), by_intent

    # ---- answers ---------------------------------------------------------------------------------
    def _encode(self, questions: Sequence[Question]) -> Batch:
        if not self.parameters_:
            raise ValueError("expected a network that was trained, call fit first")
        return encode(questions, self.vocabulary_, self.length_, either=self.either)

    def selections(self, questions: Sequence[Question]) -> Selections:
        """Compute the probabilities of operators and columns.

        Not collective.

        Parameters
        ----------
        questions : sequence of Question
            B of them.

        Returns
        -------
        Selections
            Nodes of shape (B, 15) and (B, n) for each step.

        Examples
        --------
        See `pympf.nets.programmer.network.select`.
        """
        return select(
            dict(self.parameters_), inputs_of(dict(self.parameters_), self._encode(questions))
        )

    def programs(self, questions: Iterable[Question]) -> list[Program]:
        """Give the most probable program of each question.

        Not collective.

        Parameters
        ----------
        questions : iterable of Question
            Of any tables.

        Returns
        -------
        list of tuple of (operator, column)
            Four steps; the column is None where the operator uses none.

        Examples
        --------
        See `predict`.
        """
        return self._programs(list(questions))

    def _programs(self, questions: Sequence[Question], every_column: bool = False) -> list[Program]:
        result: list[Program] = []
        for start in range(0, len(questions), AT_ONCE):
            selections = self.selections(questions[start : start + AT_ONCE])
            operators = np.stack([probs.value.argmax(1) for probs in selections.operators], 1)
            columns = np.stack([probs.value.argmax(1) for probs in selections.columns], 1)
            for some, others in zip(operators, columns, strict=True):
                steps = zip((OPERATORS[i] for i in some), map(int, others), strict=True)
                result.append(
                    tuple(
                        (name, column if every_column or name in USES_COLUMN else None)
                        for name, column in steps
                    )
                )
        return result

    def program(self, question: Question) -> Program:
        """Give the most probable program of a question.

        Not collective.

        Parameters
        ----------
        question : Question
            About any table.

        Returns
        -------
        tuple of (operator, column)
            Four steps.

        Examples
        --------
        See `programs`.
        """
        return self.programs([question])[0]

    def default_program(self, table: Table) -> Program:
        """Give the program of the empty question of a table (equation 3.1).

        Not collective.

        Parameters
        ----------
        table : Table
            Any.

        Returns
        -------
        tuple of (operator, column)
            Four steps.

        Examples
        --------
        See `programs`.
        """
        n, m = table.shape
        return self.program(Question((), table, np.zeros((n, m), bool), np.zeros(n, bool)))

    def predict(self, questions: Iterable[Question]) -> list[Answer | None]:
        """Answer questions by their most probable programs, run hard.

        Not collective.

        Parameters
        ----------
        questions : iterable of Question
            Of any tables.

        Returns
        -------
        list of int, frozenset of str, or None
            None where a program neither counts nor prints.

        Examples
        --------
        See the class.
        """
        questions = list(questions)
        programs = self.programs(questions)
        return [execute(program, q) for program, q in zip(programs, questions, strict=True)]

    def score(self, questions: Sequence[Question]) -> float:
        """Give the share of right answers.

        Not collective.

        Parameters
        ----------
        questions : sequence of Question
            With answers.

        Returns
        -------
        float
            Of [0, 1].

        Examples
        --------
        See `predict`.
        """
        return self._validate(questions)[0]

    # ---- parameters and files --------------------------------------------------------------------
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to an HDF5 file, whole or not at all.

        Not collective.

        Parameters
        ----------
        path : path
            Created or replaced.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        See `load`.
        """
        save_state(state_of(self), path)

    @classmethod
    def load(cls: type[Self], path: str | os.PathLike[str]) -> Self:
        """Read a network from a file, a checkpoint too.

        Not collective.

        Parameters
        ----------
        path : path
            Of `save`.

        Returns
        -------
        NeuralProgrammer
            With the same answers.

        Raises
        ------
        OSError
            If the file is no whole network.

        Examples
        --------
        >>> import numpy as np
        >>> from pympf.nets.programmer import NeuralProgrammer, Question, Table
        >>> table = Table(("gold",), (("1", "5"),))
        >>> count = Question(("many",), table, np.zeros((1, 2)), np.ones(1), answer=2)
        >>> NeuralProgrammer(4, epochs=1).fit([count]).save("np.h5")
        >>> NeuralProgrammer.load("np.h5").width
        4
        """
        state = load_state(path)
        model = cls(**state.settings)
        restore(model, state)
        return model
