"""Simple rules to compare a model with: frequent tags, n-grams, naive forecasts; and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.data.targets import TAGS, TEXT
from myrnn.errors import InvalidArgument
from myrnn.evaluation.classes import Confusion, confusion_counts
from myrnn.evaluation.clusters import ClusteredSteps
from myrnn.evaluation.ngrams import AT_ONCE, Contexts, Counts, fitted, largest, place_in
from myrnn.evaluation.scores import (
    GAIN,
    RANKED_BY,
    SHARES,
    Scores,
    mean_of,
    scores_table,
    summary_of,
    tag_scores,
    text_scores,
)
from myrnn.flat import blocks
from myrnn.results import Floats, Result, Table
from myrnn.sequences import Sequences
from myrnn.targets import CLASS

LARGEST_ORDER = 8
# The highest order that is chosen without being asked for.
MOST_CHOSEN = 6
LAST = "last"


@dataclass(frozen=True, repr=False, eq=False)
class Baselines(Result):
    """Scores of simple rules that were fitted on training sequences and tested on others.

    Attributes
    ----------
    kind : {"tags", "text"}
        The kind of targets.
    scores : dict of str to dict of str to Estimate
        The measures of each rule by name; they are those of `Report.scores`.
    losses : dict of str to ndarray, float64 (M,)
        The loss of each rule in each of M clusters (sequences, or blocks of a long one): wrong steps or bits.
    clusters : ndarray, int64 (M + 1,)
        The step at which each cluster begins, and the end of the last one.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn import Sequences
    >>> from myrnn.evaluation import tag_baselines
    >>> tagged = Sequences([0, 1, 0, 1], [0, 2, 4], [0, 1, 0, 1], per_step=True)
    >>> found = tag_baselines(tagged, tagged, orders=[1])
    >>> found, list(found.scores)
    (Baselines(4 steps, the best: last symbol, steps right 100% (51.0-100)), ['most frequent', 'last symbol'])
    """

    kind: str
    scores: dict[str, Scores]
    losses: dict[str, Floats]
    clusters: NDArray[np.int64]
    confidence: float = 0.95

    @property
    def steps(self) -> int:
        """The number of test steps."""
        return int(self.clusters[-1])

    @property
    def best(self) -> str:
        """The name of the best rule: by accuracy or bits per symbol."""
        return best_of(self.kind, self.scores)

    def __repr__(self) -> str:
        """Name the best rule."""
        best = summary_of(self.kind, {RANKED_BY[self.kind]: self.scores[self.best][RANKED_BY[self.kind]]})
        return f"Baselines({_checks.count_of(self.steps, 'step')}, the best: {self.best}, {best})"

    def table(self) -> Table:
        """Return a row for each rule: ``model``, and each measure with its interval."""
        return scores_table(f"Baselines ({self.confidence:.0%} interval)", self.kind, self.scores)


def best_of(kind: str, scores: Mapping[str, Scores]) -> str:
    """Return the name of the rule with the best score."""
    values = {name: each[RANKED_BY[kind]].value for name, each in scores.items()}
    return max(values, key=values.__getitem__) if RANKED_BY[kind] in SHARES else min(values, key=values.__getitem__)


def beside(
    given: Baselines | None, kind: str, losses: Floats, steps: ClusteredSteps, confidence: float
) -> dict[str, Scores]:
    """Return the scores of each rule, and how much less a model loses per step; `losses` (M,) are its, by cluster.

    Both were tested on the same steps, so the interval of a gain is that of the mean difference, which is often much
    shorter than the two single intervals suggest.
    """
    if given is None:
        return {}
    maker = f"{kind.removesuffix('s')}_baselines"
    if not isinstance(given, Baselines):
        raise InvalidArgument(f"baselines must be the result of {maker}, not {_checks.shown(given)}")
    if given.kind != kind:
        raise InvalidArgument(f"baselines must be those of {kind}, of {maker}, not those of {given.kind}")
    if not np.array_equal(given.clusters, steps.clusters):
        raise InvalidArgument(
            f"baselines must be tried on the same sequences as the model, {_checks.count_of(steps.total, 'step')} of "
            f"{steps.cluster_count}, not on {_checks.count_of(given.steps, 'step')} of others"
        )
    gains = {name: mean_of(other - losses, steps, confidence) for name, other in given.losses.items()}
    return {name: {**scores, GAIN: gains[name]} for name, scores in given.scores.items()}


def tag_baselines(
    train: Sequences, test: Sequences, *, orders: Sequence[int] = (1, 2, 3), confidence: float = 0.95
) -> Baselines:
    """Fit rules that predict a tag at every step, and test them on other sequences.

    ``most frequent``: always the most frequent tag in the training sequences. ``last n symbols``: the tag that was most
    frequent in the training after these n symbols, including the step's own. If they never occurred together, the last
    n - 1 symbols are used, and so on. The beginning of a sequence counts as a special symbol. For sequences of features
    only the first rule is used.

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

    Raises
    ------
    InvalidArgument
        When the sequences are empty or have other targets, or an argument is invalid.

    References
    ----------
    Charniak, Hendrickson, Jacobson and Perkowitz, "Equations for part-of-speech tagging", AAAI 1993 (the most frequent
    tag of each word as the baseline).

    Examples
    --------
    >>> from myrnn import Sequences
    >>> train = Sequences([0, 1, 0, 1], [0, 4], [1, 0, 1, 0], per_step=True)
    >>> found = tag_baselines(train, train, orders=[1])
    >>> {name: scores["accuracy"].value for name, scores in found.scores.items()}
    {'most frequent': 0.5, 'last symbol': 1.0}
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    wanted, steps = _orders(orders), _checked(train, test)
    classes = int(max(train.targets.max(), test.targets.max())) + 1
    frequency = np.bincount(train.targets, minlength=classes)
    contexts = Contexts.of(train, test, max(wanted) if train.is_tokens else 0, classes)
    tables = contexts.tables(contexts.count(train, 0, len(train.targets), Counts()))
    predicted = np.zeros(len(test.targets), dtype=np.int64)
    scores: dict[str, Scores] = {}
    losses: dict[str, Floats] = {}
    for order, (counts, key) in enumerate(zip(tables, contexts.keys(test, slice(0, len(predicted))), strict=True)):
        known, bounds = counts.contexts(classes)
        tag = counts.pairs % classes
        # The more frequent tag overall wins a tie.
        best = tag[largest(counts.times + frequency[tag] / (len(train.targets) + 1), bounds[:-1])]
        place = place_in(known, key)
        predicted = np.where(place >= 0, best[place], predicted)
        if not order or order in wanted:
            name = ["most frequent", "last symbol"][order] if order < 2 else f"last {order} symbols"
            counts_of_classes = confusion_counts(test.targets, predicted, classes)
            macro_f1 = Confusion((), (), *counts_of_classes, np.empty((0, 2))).macro_f1
            scores[name] = tag_scores(test.targets == predicted, macro_f1, steps, level)
            losses[name] = steps.sums(predicted != test.targets)
    return Baselines(TAGS, scores, losses, steps.clusters, level)


def text_baselines(
    train: Sequences,
    test: Sequences,
    *,
    orders: Sequence[int] | None = None,
    symbols: int | None = None,
    confidence: float = 0.95,
) -> Baselines:
    """Fit n-gram models that predict the next symbol, and test them on other sequences.

    An n-gram model conditions on the last n - 1 symbols; the unigram, order 1, only knows the frequency of each symbol.
    The probabilities of each order are interpolated with those of the order below by Witten and Bell's rule, which has
    no parameters: the weight of the lower order grows with the number of different symbols that followed the same n - 1
    symbols. Below the unigram is the uniform distribution. The beginning of a sequence counts as a special symbol.

    The best order depends on the text and on its length. By default it is chosen without the test: the last tenth of
    the steps of the training is held out, and orders up to 6 are tried on it.

    Parameters
    ----------
    train, test : Sequences
        Of tokens, with a class for each step: the next symbol.
    orders : sequence of int, optional
        Each n, 1 to 8; by default all up to the one that is best on the held-out part of the training.
    symbols : int, optional
        K, the number of symbols; by default that of the larger alphabet of the two.
    confidence : float
        The level of the intervals.

    Returns
    -------
    Baselines

    Raises
    ------
    InvalidArgument
        As for `tag_baselines`, or when the sequences are of features.

    References
    ----------
    Witten and Bell, "The zero-frequency problem", IEEE Transactions on Information Theory 37, 1991 (method C); Chen
    and Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and Language 13,
    1999, section 2.5 (its interpolated form).

    Examples
    --------
    >>> from myrnn import Sequences
    >>> train = Sequences([0, 1, 0, 1, 0], [0, 5], [1, 0, 1, 0, 1], per_step=True)
    >>> found = text_baselines(train, train, orders=[1, 2])
    >>> {name: round(scores["accuracy"].value, 2) for name, scores in found.scores.items()}
    {'1-gram (frequency)': 0.6, '2-gram': 1.0}
    """
    level = _checks.real("confidence", confidence, above=0, below=1)
    steps = _checked(train, test)
    if not train.is_tokens:
        raise InvalidArgument("text_baselines takes sequences of tokens, not of features")
    least = int(max(train.targets.max(), test.targets.max())) + 1
    alphabet = max(least, train.dim_input, test.dim_input)
    if symbols is not None:
        alphabet = _checks.integer("symbols", symbols, minimum=least)
    wanted = None if orders is None else _orders(orders)
    most = MOST_CHOSEN if wanted is None else max(wanted)
    model = fitted(train, Contexts.of(train, test, most - 1, alphabet), most if wanted else None)
    nats, right = np.zeros((2, len(model.orders), len(steps.clusters) - 1))
    for block in blocks(0, steps.total, AT_ONCE):
        cluster = steps.cluster_of(block)
        for order, (probability, likeliest) in enumerate(model.predictions(test, block)):
            np.add.at(nats[order], cluster, -np.log(probability))
            np.add.at(right[order], cluster, (likeliest == test.targets[block]).astype(np.float64))
    scores: dict[str, Scores] = {}
    losses: dict[str, Floats] = {}
    for order in range(1, len(model.orders) + 1):
        if wanted is None or order in wanted:
            name = "1-gram (frequency)" if order == 1 else f"{order}-gram"
            scores[name] = text_scores(nats[order - 1], right[order - 1], steps, level)
            losses[name] = nats[order - 1] / np.log(2)
    return Baselines(TEXT, scores, losses, steps.clusters, level)


# --- Arguments --------------------------------------------------------------------------------------------------------


def _checked(train: Any, test: Any) -> ClusteredSteps:
    """Return the steps of the test; refuse sequences with weights, or without a class for each step."""
    for name, given in (("train", train), ("test", test)):
        if not isinstance(given, Sequences):
            raise InvalidArgument(f"{name} must be Sequences, not {_checks.shown(given)}")
        kind = given.kind
        if kind.what != CLASS or kind.weighted or not kind.per_step:
            raise InvalidArgument(f"{name} must have {CLASS} for each step, without weights, but it has {kind}")
        if not len(given.targets):
            raise InvalidArgument(f"{name} must have at least one target, but it has none")
    if train.is_tokens != test.is_tokens:
        kinds = ["tokens" if given.is_tokens else "features" for given in (train, test)]
        raise InvalidArgument(f"train holds {kinds[0]} and test {kinds[1]}: both must be of one kind")
    return ClusteredSteps(test.offsets)


def _orders(given: Sequence[int]) -> list[int]:
    orders = _checks.integers("orders", given, minimum=1, maximum=LARGEST_ORDER).tolist()
    if not orders:
        raise InvalidArgument("orders must be at least one number, not an empty list")
    return orders


# --- Naive forecasts --------------------------------------------------------------------------------------------------


def naive_forecast(targets: ArrayLike, offsets: ArrayLike, period: int = 1) -> Floats:
    """Return the naive forecast: the last known value, or the value one season before.

    Parameters
    ----------
    targets : array_like of float (S,) or (S, C)
        The values of N series, concatenated.
    offsets : array_like of int (N + 1,)
        The start of each series, and the end of the last one.
    period : int
        The length of the season; 1 for the last value.

    Returns
    -------
    ndarray, float64 (S, C)
        NaN if the same series has no earlier value.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    References
    ----------
    Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, 2021, section 5.2.

    Examples
    --------
    >>> naive_forecast([1.0, 2.0, 3.0, 10.0, 20.0], [0, 3, 5]).ravel().tolist()
    [nan, 1.0, 2.0, nan, 10.0]
    """
    truth = number_rows("targets", targets)
    _checks.finite("targets", truth)
    return shifted(truth, ClusteredSteps.given(offsets, len(truth)), period)


def shifted(truth: Floats, steps: ClusteredSteps, period: int) -> Floats:
    """Compute `naive_forecast` for checked values (S, C)."""
    season = _checks.integer("period", period, minimum=1)
    forecast = np.full(truth.shape, np.nan)
    known = np.flatnonzero(steps.position_of(slice(0, steps.total)) > season)
    forecast[known] = truth[known - season]
    return forecast


def naive_name(period: int) -> str:
    """Return the name of the forecast with this period."""
    return "the last value" if period == 1 else f"the value {period:,} steps before"


def number_rows(name: str, given: Any) -> Floats:
    """Return numbers (S,) or (S, C) as float64 (S, C)."""
    values = _checks.array(name, given)
    if values.ndim not in (1, 2) or not values.size or values.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"{name} must be numbers of shape (S,) or (S, C), of at least one row, not {values.dtype} of shape "
            f"{values.shape}"
        )
    return values.reshape(len(values), -1).astype(np.float64)


def naive_of(given: Any, truth: Floats, steps: ClusteredSteps | None) -> tuple[str | None, Floats | None]:
    """Return the name of a naive forecast, and its numbers; NaN where there is none."""
    if given is None:
        return None, None
    name = "the forecasts given as naive"
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, given),) = given.items()
    if isinstance(given, str):
        _checks.one_of("naive", given, (LAST,))
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        if steps is None:
            raise InvalidArgument(f"naive={given!r} needs offsets, which say where each series begins")
        period = 1 if isinstance(given, str) else _checks.integer("naive", given, minimum=1)
        forecast = shifted(truth, steps, period)
        if np.isnan(forecast).all():
            raise InvalidArgument(f"naive={given!r} has no forecast: no series is long enough")
        return naive_name(period), forecast
    forecast = number_rows("naive", given)
    if forecast.shape != truth.shape or np.isinf(forecast).any() or np.isnan(forecast).all():
        raise InvalidArgument(
            f"naive must be 'last', a period, or numbers in the shape of the targets, {truth.shape}, NaN where there "
            f"is no forecast, not {_checks.shown(given)}"
        )
    return name, forecast
