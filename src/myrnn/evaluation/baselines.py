"""What simple rules reach, so that a model's number means something: frequent tags, n-grams, naive forecasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.numbers import naive_name, shifted
from myrnn.evaluation.scores import NUMBERS, TAGS, TEXT, Baselines, Scores, number_scores, tag_scores, text_scores
from myrnn.evaluation.steps import Steps
from myrnn.results import Floats
from myrnn.sequences import Sequences
from myrnn.targets import CLASS
from myrnn.targets import NUMBERS as NUMBER_TARGETS

Ints = NDArray[np.int64]

LARGEST_ORDER = 8
# Keys below this, or below so many times their number, are looked up in a table; of larger ones a sorted list is made.
_SMALL_KEYS, _KEYS_A_STEP = 2**16, 8


def tag_baselines(
    train: Sequences, test: Sequences, *, orders: Sequence[int] = (1, 2, 3), confidence: float = 0.95
) -> Baselines:
    """Fit rules that say a tag at every step, and try them on other sequences.

    ``most frequent tag``: always that of the training. ``tag by the last n symbols``: the tag that came most often with
    these n symbols, up to the step's own, in the training; where they were never seen together, that of the last
    n - 1, and so on. The beginning of a sequence counts as a symbol of its own. Of sequences of features only the first
    rule is tried.

    Parameters
    ----------
    train, test : Sequences
        With a class for each step.
    orders : sequence of int
        Each n, 1 to 8.
    confidence : float
        The level of the intervals.

    Returns
    -------
    Baselines
        Their measures are those of `TagReport.scores`.

    Raises
    ------
    InvalidArgument
        When the sequences have other targets, or none, or an argument is not what it should be.

    References
    ----------
    Charniak, Hendrickson, Jacobson and Perkowitz, "Equations for part-of-speech tagging", AAAI 1993 (the most frequent
    tag of each word as the baseline).

    Examples
    --------
    >>> train = Sequences([0, 1, 0, 1], [0, 4], [1, 0, 1, 0], per_step=True)
    >>> found = tag_baselines(train, train, orders=[1])
    >>> {name: scores["accuracy"].value for name, scores in found.scores.items()}
    {'most frequent tag': 0.5, 'tag by the last symbol': 1.0}
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    wanted, steps = _orders(orders), _checked(train, test, CLASS)
    _check_same_kind(train, test)
    classes = int(max(train.targets.max(), test.targets.max())) + 1
    frequency = np.bincount(train.targets, minlength=classes)
    said = np.full(len(test.targets), frequency.argmax())
    scores: dict[str, Scores] = {"most frequent tag": tag_scores(test.targets, said, classes, steps, level)}
    contexts = _contexts(train, test, max(wanted)) if train.is_tokens else iter(())
    for order, context in enumerate(contexts, 1):
        # A tie goes to the tag that is more frequent on the whole.
        tables = _Counts.of(context, train.targets, classes)
        best = _largest(
            tables.context, tables.times + frequency[tables.target] / (len(train.targets) + 1), context.size
        )
        seen = context.test >= 0
        said = np.where(seen, tables.target[best[context.test]], said)
        if order in wanted:
            name = "tag by the last symbol" if order == 1 else f"tag by the last {order} symbols"
            scores[name] = tag_scores(test.targets, said, classes, steps, level)
    return Baselines(TAGS, scores, len(test.targets), level)


def text_baselines(
    train: Sequences,
    test: Sequences,
    *,
    orders: Sequence[int] = (1, 2, 3),
    symbols: int | None = None,
    confidence: float = 0.95,
) -> Baselines:
    """Fit n-gram models that say the next symbol, and try them on other sequences.

    An n-gram model knows the last n - 1 symbols: order 1, the unigram, knows only how frequent each symbol is. The
    probabilities of each order are interpolated with those of the order below by Witten and Bell's rule, which has no
    setting: the weight of the lower order grows with the number of different symbols that came after the same n - 1
    symbols. Below the unigram all symbols are alike. The beginning of a sequence counts as a symbol of its own.

    Parameters
    ----------
    train, test : Sequences
        Of tokens, with a class for each step: the symbol that comes next.
    orders : sequence of int
        Each n, 1 to 8.
    symbols : int, optional
        K, how many symbols there are; by default as many as the larger alphabet of the two has.
    confidence : float
        The level of the intervals.

    Returns
    -------
    Baselines
        Their measures are those of `TextReport.scores`.

    Raises
    ------
    InvalidArgument
        When the sequences are others, or there are none, or an argument is not what it should be.

    References
    ----------
    Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37, 1991 (method C); Chen
    and Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and Language 13,
    1999, section 2.5 (its interpolated form).

    Examples
    --------
    >>> train = Sequences([0, 1, 0, 1, 0], [0, 5], [1, 0, 1, 0, 1], per_step=True)
    >>> found = text_baselines(train, train, orders=[1, 2])
    >>> {name: round(scores["accuracy"].value, 2) for name, scores in found.scores.items()}
    {'1-gram (frequency)': 0.6, '2-gram': 1.0}
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    wanted, steps = _orders(orders), _checked(train, test, CLASS)
    _check_same_kind(train, test)
    if not train.is_tokens:
        raise InvalidArgument("text_baselines takes sequences of tokens, not of features")
    least = int(max(train.targets.max(), test.targets.max())) + 1
    alphabet = max(least, train.dim_input, test.dim_input)
    if symbols is not None:
        alphabet = _checks.integer("symbols", symbols, minimum=least)
    scores: dict[str, Scores] = {}
    # What each order knows of the targets of the training by their contexts, and of the steps of the test.
    probability, likeliest = np.full(len(test.targets), 1 / alphabet), np.zeros(len(test.targets), dtype=np.int64)
    lower = _Interpolated.uniform(len(train.targets), alphabet)
    for order, context in enumerate(_with_none(train, test, max(wanted)), 1):
        tables = _Counts.of(context, train.targets, alphabet)
        lower = lower.refined(context, tables)
        seen = context.test >= 0
        there, total, distinct = context.test[seen], tables.total, tables.distinct
        count = tables.counts_of(there * alphabet + test.targets[seen])
        weight = distinct[there] / (total[there] + distinct[there])
        probability[seen] = (1 - weight) * count / total[there] + weight * probability[seen]
        likeliest[seen] = lower.best[there]
        if order in wanted:
            name = "1-gram (frequency)" if order == 1 else f"{order}-gram"
            scores[name] = text_scores(-np.log(probability), likeliest == test.targets, steps, level)
    return Baselines(TEXT, scores, len(test.targets), level)


def number_baselines(
    train: Sequences,
    test: Sequences,
    *,
    period: int | None = None,
    horizon: int | Sequence[int] = 1,
    confidence: float = 0.95,
) -> Baselines:
    """Try simple forecasts: the mean of the training, the last value, and that of a season before.

    Where the same sequence has no earlier value, the mean stands for it. Sequences with one row of numbers each have
    only the mean.

    Parameters
    ----------
    train, test : Sequences
        With numbers for each step, or for each sequence.
    period : int, optional
        The length of the season; without it there is no seasonal forecast.
    horizon : int or sequence of int (C,)
        How many steps ahead the targets are, as for `number_report`.
    confidence : float
        The level of the intervals.

    Returns
    -------
    Baselines
        Their measures are those of `NumberReport.scores`; ``skill`` is against the last value.

    Raises
    ------
    InvalidArgument
        When the sequences have other targets, or none, or an argument is not what it should be.

    References
    ----------
    Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, 2021, section 5.2.

    Examples
    --------
    >>> series = Sequences([[1.0], [2.0], [4.0]], [0, 3], [2.0, 4.0, 6.0], per_step=True)
    >>> found = number_baselines(series, series)
    >>> {name: round(scores["mae"].value, 3) for name, scores in found.scores.items()}
    {'the mean': 1.333, 'the last value': 2.0}
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    steps = _checked(train, test, NUMBER_TARGETS)
    if train.targets.shape[1] != test.targets.shape[1]:
        raise InvalidArgument(
            f"train and test must have equally many columns of targets, not {train.targets.shape[1]} and "
            f"{test.targets.shape[1]}"
        )
    truth = test.targets.astype(np.float64)
    mean = np.tile(train.targets.mean(axis=0, dtype=np.float64), (len(truth), 1))
    forecasts, last_errors = {"the mean": mean}, None
    if test.per_step:
        last = shifted(truth, steps, 1, horizon)
        last_errors = None if np.isnan(last).all() else last - truth
        forecasts[naive_name(1)] = np.where(np.isnan(last), mean, last)
        if period is not None and _checks.integer("period", period, minimum=1) > 1:
            season = shifted(truth, steps, period, horizon)
            forecasts[naive_name(period)] = np.where(np.isnan(season), mean, season)
    elif period is not None:
        raise InvalidArgument("period needs numbers for each step, but these sequences have one row each")
    scores: dict[str, Scores] = {
        name: number_scores(forecast - truth, truth, steps, last_errors, level)[0]
        for name, forecast in forecasts.items()
    }
    return Baselines(NUMBERS, scores, len(truth), level)


# --- Arguments --------------------------------------------------------------------------------------------------------


def _checked(train: Any, test: Any, what: str) -> Steps:
    """Return the steps of the test; refuse sequences whose targets are no `what`, or that have weights."""
    for name, given in (("train", train), ("test", test)):
        if not isinstance(given, Sequences):
            raise InvalidArgument(f"{name} must be Sequences, not {_checks.shown(given)}")
        kind = given.kind
        if kind.what != what or kind.weighted or (what == CLASS and not kind.per_step):
            each = " for each step" if what == CLASS else ""
            raise InvalidArgument(f"{name} must have {what}{each}, without weights, but it has {kind}")
        if not len(given.targets):
            raise InvalidArgument(f"{name} must have at least one target, but it has none")
    if train.per_step != test.per_step:
        raise InvalidArgument(f"train has {train.kind} and test {test.kind}: both must be of one kind")
    return Steps(test.offsets if test.per_step else np.arange(len(test.targets) + 1))


def _check_same_kind(train: Sequences, test: Sequences) -> None:
    if train.is_tokens != test.is_tokens:
        kinds = ["tokens" if given.is_tokens else "features" for given in (train, test)]
        raise InvalidArgument(f"train holds {kinds[0]} and test {kinds[1]}: both must be of one kind")


def _orders(given: Sequence[int]) -> list[int]:
    orders = _checks.integers("orders", given, minimum=1, maximum=LARGEST_ORDER).tolist()
    if not orders:
        raise InvalidArgument("orders must be at least one number, not an empty list")
    return orders


# --- Counting n-grams -------------------------------------------------------------------------------------------------


class _Context(NamedTuple):
    """What was read last at every step, as a number below `size`; -1 in the test for what the training lacks."""

    train: Ints
    test: Ints
    size: int


def _with_none(train: Sequences, test: Sequences, count: int) -> Iterator[_Context]:
    """Yield the contexts of no symbol, of the last one, of the last two, and so on, `count` in all."""
    yield _Context(np.zeros(len(train.values), dtype=np.int64), np.zeros(len(test.values), dtype=np.int64), 1)
    yield from _contexts(train, test, count - 1)


def _contexts(train: Sequences, test: Sequences, count: int) -> Iterator[_Context]:
    """Yield the contexts of the last symbol, of the last two, and so on, `count` in all."""
    begin = max(train.dim_input, test.dim_input)
    found = _Context(np.zeros(len(train.values), dtype=np.int64), np.zeros(len(test.values), dtype=np.int64), 1)
    positions = [Steps(given.offsets).position for given in (train, test)]

    def longer(before: Ints, given: Sequences, position: Ints, back: int) -> Ints:
        symbol = np.full(len(given.values), begin, dtype=np.int64)
        symbol[back:] = given.values[: len(symbol) - back]
        symbol[position <= back] = begin
        return np.where(before >= 0, before * (begin + 1) + symbol, -1)

    for back in range(count):
        keys = longer(found.train, train, positions[0], back), longer(found.test, test, positions[1], back)
        found = _numbered(*keys, found.size * (begin + 1))
        yield found


def _numbered(train: Ints, test: Ints, bound: int) -> _Context:
    """Return the keys of the training, which are below `bound`, as numbers without gaps, and those of the test."""
    if bound <= max(_SMALL_KEYS, _KEYS_A_STEP * len(train)):
        there = np.zeros(bound, dtype=np.bool_)
        there[train] = True
        number = np.where(there, np.cumsum(there) - 1, -1)
        return _Context(number[train], np.where(test >= 0, number[test], -1), int(there.sum()))
    distinct, place = np.unique(train, return_inverse=True)
    return _Context(place.reshape(-1), _found(distinct, test), len(distinct))


def _found(distinct: Ints, keys: Ints) -> Ints:
    """Return where each key stands in a sorted list, and -1 where it does not."""
    place = np.minimum(np.searchsorted(distinct, keys), len(distinct) - 1)
    return np.where(distinct[place] == keys, place, -1)


class _Counts(NamedTuple):
    """How often each target came in each context: a row for every pair that came, in rising order.

    `place` is the row of every step of the training; `total` and `distinct` say of every context how often it came and
    with how many different targets.
    """

    key: Ints
    context: Ints
    target: Ints
    times: Ints
    place: Ints
    total: Ints
    distinct: Ints

    @classmethod
    def of(cls, context: _Context, targets: Ints, classes: int) -> _Counts:
        key, place, times = np.unique(context.train * classes + targets, return_inverse=True, return_counts=True)
        place = place.reshape(-1)
        which = key // classes
        total = np.bincount(context.train, minlength=context.size)
        return cls(key, which, key % classes, times, place, total, np.bincount(which, minlength=context.size))

    def counts_of(self, keys: Ints) -> Ints:
        place = _found(self.key, keys)
        return np.where(place >= 0, self.times[place], 0)


def _largest(group: Ints, value: NDArray[Any], groups: int) -> Ints:
    """Return which row has the largest value of each group; rows stand in the order of their groups."""
    begin = np.searchsorted(group, np.arange(groups))
    order = np.lexsort((-value, group))
    return order[begin]


class _Interpolated(NamedTuple):
    """The probabilities of one order: of the target of every step of the training, and the best of each context.

    `context` is that of every step, `best` and `share` are the likeliest target of every context and its probability.
    """

    own: Floats
    context: Ints
    best: Ints
    share: Floats

    @classmethod
    def uniform(cls, steps: int, alphabet: int) -> _Interpolated:
        zero = np.zeros(1, dtype=np.int64)
        return cls(np.full(steps, 1 / alphabet), np.zeros(steps, dtype=np.int64), zero, np.full(1, 1 / alphabet))

    def refined(self, context: _Context, tables: _Counts) -> _Interpolated:
        """Return those of the order above, whose contexts are longer by a symbol."""
        weight = tables.distinct / (tables.total + tables.distinct)
        first = np.zeros(len(tables.key), dtype=np.int64)
        first[tables.place] = np.arange(len(tables.place))
        # Of pairs that came; every pair of the order above came in the order below, too.
        pairs = (1 - weight[tables.context]) * tables.times / tables.total[tables.context]
        pairs += weight[tables.context] * self.own[first]
        row = _largest(tables.context, pairs, context.size)
        best, share = tables.target[row], pairs[row]
        # A target that did not come in this context has only what the order below gives it.
        shorter = np.zeros(context.size, dtype=np.int64)
        shorter[context.train] = self.context
        other = weight * self.share[shorter]
        better = other > share
        best, share = np.where(better, self.best[shorter], best), np.where(better, other, share)
        return _Interpolated(pairs[tables.place], context.train, best, share)
