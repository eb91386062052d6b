"""Mistakes of a model: the shortest and the most confident ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.evaluation.classify import Classifier, as_tested, classes_of, draw
from myrnn.finite import NO_CLASS, is_lost, predicted, warn_of_lost
from myrnn.results import Result, Shown, Table, number, text
from myrnn.sequences import Sequences
from myrnn.tasks import Palindromes, TwinHalves
from myrnn.tokens import written_tokens

if TYPE_CHECKING:
    from rich.text import Text

# Characters per line so that the table fits into 80; a longer half continues further down.
WIDTH = 30
MARK, STYLE = "^", "bold red"


@dataclass(frozen=True, eq=False, repr=False)
class Halves:
    """The two halves, the second in the order in which it is compared with the first.

    Attributes
    ----------
    first, second : ndarray, int64 (T // 2,)
    middle : ndarray, int64 (T % 2,)
        The symbols between them.
    backwards : bool
        Whether the second half is shown reversed.

    Examples
    --------
    >>> import numpy as np
    >>> halves = Halves(np.array([1, 2]), np.array([1, 3]), np.array([], dtype=np.int64), backwards=True)
    >>> halves
    Halves(12 and 13, written backwards)
    >>> halves.differ
    array([False,  True])
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    middle: NDArray[np.int64]
    backwards: bool

    @property
    def differ(self) -> NDArray[np.bool_]:
        """Where the two differ, bool (T // 2,)."""
        return self.first != self.second

    def __repr__(self) -> str:
        """Show both halves."""
        order = ", written backwards" if self.backwards else ""
        return f"Halves({_short(self.first)} and {_short(self.second)}{order})"


def halves_of(task: Any, tokens: NDArray[np.int64]) -> Halves | None:
    """Return the halves of a sequence, or None if the task has none."""
    half = len(tokens) // 2
    first, middle, second = tokens[:half], tokens[half : len(tokens) - half], tokens[len(tokens) - half :]
    if isinstance(task, Palindromes):
        return Halves(first, second[::-1], middle, backwards=True)
    if isinstance(task, TwinHalves):
        return Halves(first, second, middle, backwards=False)
    return None


@dataclass(frozen=True, eq=False, repr=False)
class Mistake:
    """One sequence that the model classifies wrongly.

    Attributes
    ----------
    sequence : ndarray
        Its tokens, int64 (T,), or its features, float32 (T, C).
    truth : int
        Its class.
    predicted : int or None
        The predicted class; None if the logits are not finite.
    probability : float
        The probability of the predicted class, 1 / K or more; NaN without a prediction.
    halves : Halves or None
        The two halves as the task compares them, if it does.

    Examples
    --------
    >>> import numpy as np
    >>> mistake = Mistake(np.array([1, 2, 1, 2]), truth=1, predicted=0, probability=0.98)
    >>> mistake
    Mistake(1212: class 1, predicted 0 with probability 0.9800)
    """

    sequence: NDArray[Any]
    truth: int
    predicted: int | None
    probability: float
    halves: Halves | None = None

    def __repr__(self) -> str:
        """Show the sequence, its class and the prediction."""
        given = "no class" if self.predicted is None else f"{self.predicted} with probability {self.probability:.4f}"
        return f"Mistake({_short(self.sequence)}: class {self.truth}, predicted {given})"


@dataclass(frozen=True, repr=False, eq=False)
class Counterexamples(Result):
    """The most informative mistakes of a model.

    Attributes
    ----------
    shortest : list of Mistake
        Different sequences, the shortest first, and the most confident first among equal lengths.
    most_confident : list of Mistake
        Different sequences with a prediction, the most confident first.
    mistakes, samples : int
        The number of wrong sequences, and of all sequences; a sequence that was drawn twice counts twice.
    class_names : tuple of str
    symbol_names : tuple of str or None
        The names of the symbols; by default their numbers.

    Examples
    --------
    >>> from myrnn import RNN, counterexamples, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2, alphabet_size=3)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> found = counterexamples(model, task, samples=200, most=2, engine="mygrad")
    >>> len(found.shortest), found.samples, found.class_names
    (2, 200, ('no match', 'match'))
    >>> found.rows()[0]["list"], len(found.table())
    ('shortest', 4)
    """

    shortest: list[Mistake]
    most_confident: list[Mistake]
    mistakes: int
    samples: int
    class_names: tuple[str, ...]
    symbol_names: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        """Say how many mistakes there are, and how short the shortest is."""
        least = f", the shortest of length {len(self.shortest[0].sequence)}" if self.shortest else ""
        return f"Counterexamples({self._count}{least})"

    @property
    def _count(self) -> str:
        return f"{_checks.count_of(self.mistakes, 'mistake')} in {_checks.count_of(self.samples, 'sequence')}"

    def table(self) -> Table:
        """Return both lists, with the halves of a sequence aligned and marked where they differ.

        Its columns are ``list`` (``"shortest"`` or ``"surest"``), ``rank``, ``length``, ``sequence`` as text,
        ``truth``, ``predicted`` and ``probability``; the last two are None without a prediction.
        """
        lists = {"shortest": self.shortest, "surest": self.most_confident}
        ranked = {(name, rank): found for name, mistakes in lists.items() for rank, found in enumerate(mistakes, 1)}
        mistakes = list(ranked.values())
        names = [None if found.predicted is None else self.class_names[found.predicted] for found in mistakes]
        return Table(
            self._count,
            {
                "list": [name for name, _ in ranked],
                "rank": [rank for _, rank in ranked],
                "length": [len(found.sequence) for found in mistakes],
                "sequence": [written_tokens(found.sequence, self.symbol_names) for found in mistakes],
                "truth": [self.class_names[found.truth] for found in mistakes],
                "predicted": names,
                "probability": [found.probability for found in mistakes],
            },
            (
                Shown("", lambda row: row["list"] if row["rank"] == 1 else "", is_number=False),
                text("length", is_number=True),
                # A folded line would no longer be aligned with the one that it is compared with.
                Shown("sequence", lambda row: self._written(ranked[row["list"], row["rank"]]), False, wraps=False),
                text("truth"),
                Shown("model says", lambda row: row["predicted"] or "no class", is_number=False),
                number("probability", ".4f", "sure"),
            ),
            caption=_caption(mistakes),
            breaks=frozenset({len(self.shortest) - 1, len(mistakes) - 1}),
        )

    def _written(self, mistake: Mistake) -> Text | str:
        if mistake.halves is None:
            return written_tokens(mistake.sequence, self.symbol_names)
        return aligned(mistake.halves)


def counterexamples(
    model: Any,
    task: Any,
    samples: int = 100_000,
    seed: int = 1,
    *,
    most: int = 10,
    lengths: ArrayLike | None = None,
    engine: str = "auto",
) -> Counterexamples:
    """Return the shortest and the most confident mistakes of a model on sequences of a task.

    A sequence whose logits are not finite counts as a mistake, too; a warning says how many there are.

    Parameters
    ----------
    model, task, samples, seed, lengths, engine
        As for `evaluate`.
    most : int
        The maximum number of mistakes in each of the two lists.

    Returns
    -------
    Counterexamples

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    Examples
    --------
    >>> from myrnn import RNN, counterexamples, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> found = counterexamples(model, task, samples=200, most=3, engine="mygrad")
    >>> len(found.shortest), found.shortest[0].truth != found.shortest[0].predicted
    (3, True)
    """
    limit = _checks.integer("most", most, minimum=1)
    model, task = as_tested(model, task)
    classifier = Classifier(model, engine)
    sequences = draw(task, samples, seed, lengths)
    logits = classifier.scores(sequences).astype(np.float64)
    warn_of_lost(is_lost(logits), sequences.lengths)
    classes = predicted(logits)
    wrong = np.flatnonzero(classes != sequences.labels)
    has_class = classes[wrong] != NO_CLASS
    doubt = np.full(len(wrong), np.inf)
    doubt[has_class] = _doubt(logits[wrong[has_class]])
    length = sequences.lengths[wrong]

    def first(order: NDArray[np.int64]) -> list[Mistake]:
        places = _different(sequences, wrong, order, limit)
        return [_mistake(task, sequences, wrong[i], int(classes[wrong[i]]), doubt[i]) for i in places]

    names, symbols = classes_of(task, logits.shape[1]), getattr(task, "symbol_names", None)
    # lexsort is stable and sorts by its last key first.
    shortest, surest = np.lexsort((doubt, length)), np.lexsort((length, doubt))
    surest = surest[has_class[surest]]
    return Counterexamples(first(shortest), first(surest), len(wrong), len(sequences), names, symbols)


def _doubt(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the logarithm of the largest probability, which differs even where probabilities round to 1."""
    ordered = np.sort(logits, axis=1)
    others = np.exp(ordered[:, :-1] - ordered[:, -1:]).sum(axis=1)
    doubt: NDArray[np.float64] = np.log1p(others)
    return doubt


def _different(sequences: Sequences, wrong: NDArray[np.int64], order: NDArray[np.int64], limit: int) -> list[int]:
    """Return the first indices in `order`, without repeated sequences."""
    found: dict[bytes, int] = {}
    for place in order.tolist():
        begin, end = sequences.offsets[wrong[place]], sequences.offsets[wrong[place] + 1]
        found.setdefault(sequences.values[begin:end].tobytes(), place)
        if len(found) == limit:
            break
    return list(found.values())


def _mistake(task: Any, sequences: Sequences, index: int, label: int, doubt: float) -> Mistake:
    halves = halves_of(task, sequences.tokens(index)) if sequences.is_tokens else None
    values = sequences.tokens(index) if sequences.is_tokens else sequences.features(index)
    predicted, probability = (None, float("nan")) if label == NO_CLASS else (label, float(np.exp(-doubt)))
    return Mistake(values, int(sequences.labels[index]), predicted, probability, halves)


def _caption(mistakes: list[Mistake]) -> str | None:
    known = [mistake.halves for mistake in mistakes if mistake.halves is not None]
    if not known:
        return None
    order = ", written backwards" if known[0].backwards else ""
    middle = "; the middle symbol of an odd length is left out" if any(len(halves.middle) for halves in known) else ""
    return f"first half above the second{order}; ^ marks where they differ{middle}"


def _short(sequence: NDArray[Any]) -> str:
    """Return a sequence as text, a long one cut."""
    text = written_tokens(sequence)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def aligned(halves: Halves) -> Text:
    """Return the first half, the second one below it, and marks where they differ."""
    from rich.text import Text

    pairs = list(zip(halves.first, halves.second, halves.differ, strict=True))
    cell = max((len(str(token)) for pair in pairs for token in pair[:2]), default=1)
    # Digits need no separator; longer numbers need a space.
    cell += cell > 1
    in_line = max(1, WIDTH // cell)
    text = Text()
    for begin in range(0, len(pairs), in_line):
        _add_block(text, pairs[begin : begin + in_line], cell)
    return text


def _add_block(text: Text, pairs: list[Any], cell: int) -> None:
    for row in (0, 1):
        text.append("\n" if len(text) else "")
        for pair in pairs:
            text.append(f"{pair[row]:>{cell}}", style=STYLE if pair[2] else None)
    if any(differ for *_, differ in pairs):
        line = "".join((MARK if differ else "").rjust(cell) for *_, differ in pairs)
        text.append(f"\n{line.rstrip()}", style=STYLE)
