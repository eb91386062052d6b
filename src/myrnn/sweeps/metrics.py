"""What the runs of a study are compared by: the scores of what they learn, in tests and validation, and the loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from myrnn import _checks
from myrnn.data.targets import LABELS, SERIES, TAGS, TEXT, VALUES
from myrnn.errors import InvalidArgument
from myrnn.evaluation.scores import SHARES
from myrnn.learning_curve import word_for
from myrnn.results import Shown, number, share
from myrnn.sweeps.run import Done, TestScores
from myrnn.sweeps.study import Study

# The scores of all tests together, by what is learned; the first is also that of each test.
SCORES = {
    LABELS: ("accuracy",),
    TAGS: ("accuracy",),
    TEXT: ("bits_per_symbol", "accuracy"),
    VALUES: ("rmse", "mae"),
    SERIES: ("rmse", "mae"),
}


@dataclass(frozen=True)
class Metric:
    """A number by which runs are compared; without a `form` it is a share, of which more is better."""

    heading: str
    form: str | None = None

    def is_better(self, one: float, other: float) -> bool:
        """Return whether one value is better than another."""
        return one > other if self.form is None else one < other

    def text(self, value: float) -> str:
        """Return a value as text."""
        return f"{value:.1%}" if self.form is None else f"{value:{self.form}}"

    def shown(self, column: str, heading: str | None = None) -> Shown:
        """Return how a column of such values is displayed."""
        return share(column, heading) if self.form is None else number(column, self.form, heading)


def metrics(study: Study) -> dict[str, Metric]:
    """Return the metrics for the runs of a study by name: they depend on what is learned."""
    if study.learn is None:
        return {
            "accuracy": Metric("accuracy on the trained lengths"),
            "worst": Metric("accuracy on the worst trained length"),
            "beyond": Metric("accuracy beyond the trained lengths"),
            "loss": Metric("loss at the end", ".4f"),
        }
    main, validated = main_score(study), study.points[0].experiment.source.metric
    found = {score: _metric(score, "in the tests") for score in SCORES[study.learn]}
    found["worst"] = _metric(main, "in the worst test")
    if study.learn == LABELS:
        found["beyond"] = Metric("accuracy beyond the trained lengths")
    found |= {
        "validation": _metric(validated, "in the validation"),
        "validation_loss": Metric("loss in the validation", ".4f"),
        "loss": Metric("loss of the best epoch", ".4f"),
    }
    return found | {f"test.{name}": _metric(main, f"in {name}") for name in study.tests}


def _metric(score: str, where: str) -> Metric:
    return Metric(f"{word_for(score)} {where}", None if score in SHARES else ".4g")


def main_score(study: Study) -> str:
    """Return the name of the score of a test."""
    return "accuracy" if study.learn is None else SCORES[study.learn][0]


def checked_metric(study: Study, metric: str | None) -> str:
    """Return the name of a metric, or raise an error; by default the score in the tests, without any in validation."""
    if metric is None:
        return main_score(study) if study.learn is None or study.tests else "validation"
    return _checks.one_of("metric", metric, tuple(metrics(study)))


def check_has_lengths(study: Study, what: str) -> None:
    """Refuse what shows accuracy by length for runs that have none."""
    if study.learn not in (None, LABELS):
        raise InvalidArgument(f"{what} shows accuracy by the length of sequences, but the runs learn {study.learn}")


def values_of(study: Study, record: Done) -> dict[str, float | None]:
    """Return the metrics of a run, as far as they are known."""
    counts = list(zip(record.lengths, record.total, record.correct, strict=True))
    beyond = _share([row for row in counts if row[0] > record.longest])
    if study.learn is None:
        known = [row for row in counts if row[0] <= record.longest]
        worst = min((right / total for _, total, right in known), default=None)
        return {"accuracy": _share(known), "worst": worst, "beyond": beyond, "loss": record.loss}
    main = main_score(study)
    each = {name: test.scores.get(main) for name, test in record.tests.items()}
    known_scores = [score for score in each.values() if score is not None]
    worst_of = min if main in SHARES else max
    return {
        **{score: together(score, record.tests.values()) for score in SCORES[study.learn]},
        "worst": worst_of(known_scores) if known_scores and len(known_scores) == len(each) else None,
        "beyond": beyond,
        "validation": record.validation,
        "validation_loss": record.validation_loss,
        "loss": record.loss,
        **{f"test.{name}": score for name, score in each.items()},
    }


def together(score: str, tests: Iterable[TestScores]) -> float | None:
    """Return a score of several tests together; None without any, or if it is not known in one of them."""
    found = [(test.total, test.correct, test.scores.get(score)) for test in tests]
    total = sum(count for count, _, _ in found)
    if not found or any(value is None for _, _, value in found):
        return None
    if score == "accuracy":
        return sum(right or 0 for _, right, _ in found) / total
    # The RMSE is the root of a mean of squares.
    power = 2 if score == "rmse" else 1
    mean = math.fsum(count * (value or 0.0) ** power for count, _, value in found) / total
    return math.sqrt(mean) if score == "rmse" else mean


def _share(counts: Iterable[tuple[int, int, int]]) -> float | None:
    rows = list(counts)
    total = sum(total for _, total, _ in rows)
    return sum(right for _, _, right in rows) / total if total else None
