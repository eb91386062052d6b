"""What ``myrnn train --data`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from myrnn.cli import _show
from myrnn.data import LabelledSequences
from myrnn.estimator import embedding_size
from myrnn.evaluation import ClassificationReport
from myrnn.training import duration

# Classes that are named one by one.
MOST_NAMED = 6
# Rows of classes that are printed; files have them all.
MOST_ROWS = 40


def job(train: LabelledSequences, test: LabelledSequences | None, classifier: Any, *, chosen: bool) -> None:
    """Say what was read, and what is about to be trained; `chosen` says whether the user chose how text is read."""
    untested = [("test", "none: --test FILE tests the classifier on sequences that it has not seen")]
    rows = _files("data", train) + (untested if test is None else _files("test", test))
    rows += _read_as(train, chosen)
    activation = "" if classifier.activation is None else f" ({classifier.activation})"
    layers = "" if classifier.layers == 1 else f"{classifier.layers} layers of "
    width = embedding_size(classifier.dim_embedding, classifier.cell, train.is_tokens)
    embedding = "" if width is None else f", embedding of {width}"
    kept = f", {classifier.validation_fraction:.0%} kept for validation" if classifier.validation_fraction else ""
    optimizer = {"adam": "Adam", "rmsprop": "RMSprop", "sgd": "SGD"}[classifier.optimizer]
    _show.named_rows(
        *rows,
        ("model", f"{classifier.cell.upper()}{activation}, {layers}{classifier.dim_recurrent} units{embedding}"),
        ("optimizer", f"{optimizer}, learning rate {classifier.learning_rate:g}"),
        (
            "training",
            f"at most {classifier.max_epochs:,} epochs in batches of {classifier.batch_size}{kept}, "
            f"seed {classifier.random_state}",
        ),
    )


def training(numbers: Mapping[str, Any]) -> None:
    """Show how the training went."""
    epochs = "1 epoch" if numbers["epochs"] == 1 else f"{numbers['epochs']:,} epochs"
    learned = f"loss {numbers['loss']:.4f}, accuracy {numbers['accuracy']:.2%} on the sequences it learned from"
    if "validation_accuracy" in numbers:
        learned += f"; {numbers['validation_accuracy']:.2%} on those kept for validation"
    _show.named_rows(
        *_show.preparation(numbers["preparation_seconds"], "native"),
        ("trained", f"in {duration(numbers['seconds'])} ({epochs}, {numbers['parameters']:,} parameters)"),
        (f"epoch {numbers['best_epoch']}", learned),
    )


def report(found: ClassificationReport, numbers: Mapping[str, Any]) -> None:
    """Show the test."""
    tables = [found.lengths.table()]
    if len(found.classes) <= MOST_ROWS:
        tables.insert(0, found.table())
    tables.insert(1, found.confusion_table())
    # Numbers keep their colour to themselves: Rich would paint every one.
    console = Console(highlight=False)
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    low, high = found.interval
    _show.named_rows(
        ("accuracy", f"{found.accuracy:.2%} ({low:.2%} to {high:.2%})"),
        ("majority", f"{found.majority:.2%}, by always saying the most frequent class"),
        ("balanced", f"accuracy {found.balanced_accuracy:.2%}, macro F1 {found.macro_f1:.4f}"),
        ("calibrated", _calibrated(found)),
        ("tested", f"on {numbers['sequences']:,} sequences in {duration(numbers['seconds'])}"),
        *_lost(found),
    )


def _lost(found: ClassificationReport) -> list[tuple[str, str]]:
    """Return the row that says how many sequences have logits that are not finite; none if all are finite."""
    if found.shortest_not_finite is None:
        return []
    which = f"the logits of {found.not_finite.sum():,}, the shortest of length {found.shortest_not_finite}"
    return [("not finite", f"{which}: they count as wrong")]


def _calibrated(found: ClassificationReport) -> str:
    excess = found.calibration.excess
    if math.isnan(excess):
        return "not at all: no class was predicted"
    how = "too sure" if excess > 0 else "too unsure"
    return f"to within {found.calibration.expected_error:.2%}; {how} by {abs(excess):.2%} in the mean"


def _files(name: str, data: LabelledSequences) -> list[tuple[str, str]]:
    rows = [(name, f"{data.source}: {_what(data)}"), ("", _balance(data))]
    if data.skipped:
        lines = "1 malformed line was" if data.skipped == 1 else f"{data.skipped:,} malformed lines were"
        rows.append(("", f"{lines} skipped"))
    return rows


def _read_as(data: LabelledSequences, chosen: bool) -> list[tuple[str, str]]:
    """Say how text was read, and how it is read in the other way."""
    if data.tokenize is None:
        return []
    how = {
        "words": ("words, separated by white space", "--tokenize characters for characters"),
        "characters": ("characters", "no text has a space between words; --tokenize words for whole words"),
    }
    what, other = how[data.tokenize]
    return [("text", f"read as {what}" + ("" if chosen else f" ({other})"))]


def _what(data: LabelledSequences) -> str:
    kind = (
        f"{len(data.symbols):,} different {data.tokenize or 'symbols'}"
        if data.is_tokens
        else f"{data.dim_input} features"
    )
    return f"{len(data):,} sequences of length {data.lengths.min()} to {data.lengths.max()}, {kind}"


def _balance(data: LabelledSequences) -> str:
    classes, total = data.classes, len(data)
    if len(classes) > MOST_NAMED:
        least, most = min(classes.values()), max(classes.values())
        return f"{len(classes):,} classes of {least:,} to {most:,} sequences"
    return ", ".join(f"{name} {count / total:.1%}" for name, count in classes.items())
