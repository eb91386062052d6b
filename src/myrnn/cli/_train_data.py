"""What ``myrnn train --data`` does: train a classifier on the sequences of a file, test it, and write a run folder."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.cli import _show, _show_data
from myrnn.cli._data_run import add_results, save_data_run
from myrnn.cli._stop import Stops, keeping, noted_stops
from myrnn.compiler import compiling_seconds
from myrnn.data import LabelledSequences, read_sequences, without_gz
from myrnn.errors import InvalidArgument, RunError
from myrnn.estimator import CELLS, SequenceClassifier, fit_with_checkpoints
from myrnn.evaluation import ClassificationReport, classification_report
from myrnn.registry import kinds
from myrnn.runs import (
    ANY_SHARE,
    CHECKPOINTS,
    begin_data_job,
    claim_folder,
    dropped_unless_saved,
    end_job,
    is_data_run,
    is_unfinished,
    iterations_saved,
    load_data_job,
)
from myrnn.training import Checkpoint, held_interrupts

# Options that are settings of a SequenceClassifier, and the two that have another name there.
SETTINGS = (
    *("model", "dim_recurrent", "activation", "layers", "dim_embedding", "optimizer", "learning_rate", "schedule"),
    *("weight_decay", "batch_size", "max_epochs", "validation_fraction", "early_stopping_patience", "gradient_clip"),
    *("class_weight", "max_vocabulary", "engine", "seed"),
)
OTHER_NAMES = {"model": "cell", "seed": "random_state"}
READING = ("text_column", "label_column", "delimiter")
FILES = ("data", "labels", "test", "test_labels", "tokenize", *READING, "skip_bad_lines")
OTHERS = ("out", "quiet", "checkpoint_every")
# Options that name files: a run's folder keeps them as they are seen from there.
PATHS = ("data", "labels", "test", "test_labels")
# Options that may change while a run goes on, and those that go with --resume.
CHANGEABLE = ("max_epochs", "early_stopping_patience")
FOR_RESUME_ON_DATA = ("resume", "quiet", "checkpoint_every", *CHANGEABLE)
# Symbols and classes that a warning names.
MOST_NAMED = 5


def train_on_data(options: Mapping[str, Any]) -> None:
    """Read, train, save the classifier, test it, write the rest of the run folder and show the numbers.

    Parameters
    ----------
    options : mapping
        The options that were given on the command line, by their names, and ``data`` among them.
    """
    _check_options(options)
    work = _Work(options)
    with claim_folder(options.get("out"), without_gz(Path(options["data"])).stem) as folder:
        with dropped_unless_saved(folder):
            begin_data_job(folder, work.kept(folder), work.hashes)
            work.do(folder)


def resume_on_data(folder: Path, given: Mapping[str, Any]) -> None:
    """Go on with a run that was stopped, or give a whole one further epochs; its folder is held.

    Parameters
    ----------
    folder : Path
    given : mapping
        The options that were given on the command line.
    """
    kept, hashes = load_data_job(folder)
    was_whole, done = not is_unfinished(folder), iterations_saved(folder)
    if "max_epochs" in given and kept.get("schedule", "constant") != "constant":
        raise InvalidArgument(
            f"the learning rate of {folder} falls to 0 over its epochs ({kept['schedule']}): it cannot do others"
        )
    try:
        texts = (*PATHS, *READING, "tokenize", "class_weight")
        if not all(isinstance(kept[name], str) for name in texts if name in kept):
            raise InvalidArgument("an option that names something is no text")
        options = {name: folder.resolve() / value if name in PATHS else value for name, value in kept.items()}
        _check_options(options)
        _classifier(options)
    except InvalidArgument as error:
        raise RunError(f"{folder} cannot go on, what it keeps cannot be used: {error}") from error
    work = _Work({**options, **given})
    for name, found in work.hashes.items():
        if hashes.get(name) != found:
            raise RunError(
                f"{options[name].name} has changed since {folder} was begun: it cannot go on with other data"
            )
    try:
        begin_data_job(folder, work.kept(folder), work.hashes)
        work.do(folder)
    except BaseException:
        # What was refused is as it was before.
        if iterations_saved(folder) == done and was_whole:
            end_job(folder)
        elif iterations_saved(folder) == done:
            begin_data_job(folder, kept, hashes)
        raise


class _Work:
    """A training on data that is to be done, or gone on with: all that is read and checked before a folder is made."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options, self._quiet = options, bool(options.get("quiet"))
        self._classifier = _classifier(options)
        train = self._train = _read(options, "data", "labels", None, options.get("tokenize", "auto"))
        self._classifier.set_params(tokenize=train.tokenize or "auto")
        if len(train.classes) < 2:
            raise InvalidArgument(
                f"{train.source} holds one class only, {str(train.labels[0])!r}: a classifier needs two or more"
            )
        # Text of the test is read as that of the training was.
        kind = "tokens" if train.is_tokens else "features"
        self._test = _read(options, "test", "test_labels", kind, train.tokenize or "words")
        # Of the files as they are now: one that changes while the training runs is not what it was trained on.
        self.hashes = {name: _hash_of(options[name]) for name in PATHS if name in options}

    def kept(self, folder: Path) -> dict[str, Any]:
        """Return what a run's folder keeps of the options: all settings, and files as they are seen from there."""
        given = {name: value for name, value in self._options.items() if name in (*FILES, "class_weight")}
        paths = {
            name: os.path.relpath(Path(given[name]).resolve(), folder.resolve()) for name in PATHS if name in given
        }
        found = self._classifier.get_params(deep=False)
        settings = {name: found[OTHER_NAMES.get(name, name)] for name in SETTINGS if name != "class_weight"}
        # On the command line 0 stands for no embedding.
        settings["dim_embedding"] = settings["dim_embedding"] or 0
        return {**{name: value for name, value in settings.items() if value is not None}, **given, **paths}

    def do(self, folder: Path) -> None:
        """Train from the last checkpoint on, or from the beginning, test, and write what there is to a folder."""
        options, classifier, train, test = self._options, self._classifier, self._train, self._test
        again = f"go on with: {shlex.join(['myrnn', 'train', '--resume', str(folder)])}"
        with noted_stops() as stops:
            if not self._quiet:
                _show_data.job(train, test, classifier, chosen=options.get("tokenize", "auto") != "auto")
            _warn_of_numbers(train)
            if test is not None:
                _warn_of_news(train, test)
            begin, compiled = time.perf_counter(), compiling_seconds()
            with keeping(lambda: "" if iterations_saved(folder) is None else again):
                fit_with_checkpoints(classifier, train.sequences, train.labels, self._checkpoint(folder))
            is_cut = stops.last is not None
            compiled = compiling_seconds() - compiled
            numbers = _numbers(classifier, train, compiled, time.perf_counter() - begin - compiled)
            report, tested = None, False
            held = f"{folder} holds the classifier of epoch {classifier.best_epoch_}"
            try:
                # A first signal waits until all is written, and is obeyed below; a second one waits for nothing.
                with held_interrupts(), keeping(lambda: again):
                    save_data_run(
                        folder,
                        classifier,
                        numbers,
                        text_column=options.get("text_column", "sequence"),
                        job={"data": self.kept(folder), "data_files": self.hashes},
                    )
                with keeping(lambda: held):
                    if not self._quiet:
                        _show_data.training(numbers["training"])
                    report = None if test is None else _tested(classifier, test, numbers, stops)
                    with held_interrupts():
                        add_results(folder, classifier, numbers, report)
                        tested = report is not None
            except KeyboardInterrupt:
                if stops.last is None or not is_data_run(folder):
                    raise
            is_whole = not is_cut and (test is None or tested)
            if is_whole:
                end_job(folder)
        if self._quiet:
            print(folder)
        else:
            if report is not None:
                _show_data.report(report, numbers["evaluation"])
            _show.files(folder)
        untested = ", which was not tested" if test is not None and not tested else ""
        stops.obey(f"{held}{untested}" + ("" if is_whole else f"; {again}"))

    def _checkpoint(self, folder: Path) -> Checkpoint:
        every = self._options.get("checkpoint_every")
        saving = folder / CHECKPOINTS
        return Checkpoint(saving) if every is None else Checkpoint(saving, every, ANY_SHARE)


def _hash_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that do not go together."""
    for name in options:
        if name not in SETTINGS and name not in (*FILES, *OTHERS):
            raise InvalidArgument(f"--{name.replace('_', '-')} does not go with --data")
    if "test_labels" in options and "test" not in options:
        raise InvalidArgument("--test-labels goes with --test, which is missing")
    if "labels" not in options and _is_plain_text(options["data"]):
        raise InvalidArgument("--data is plain text: give its labels, one a line, with --labels")
    if "test" in options and "test_labels" not in options and _is_plain_text(options["test"]):
        raise InvalidArgument("--test is plain text: give its labels, one a line, with --test-labels")
    for option in ("model", "optimizer"):
        if option in options:
            _checks.one_of(f"--{option}", options[option], CELLS if option == "model" else tuple(kinds(option)))
    if options.get("activation") is not None and options.get("model", "rnn") != "rnn":
        raise InvalidArgument(f"--activation does not go with --model {options['model']}")


def _is_plain_text(name: str) -> bool:
    return without_gz(Path(name)).suffix.lower() == ".txt"


def _classifier(options: Mapping[str, Any]) -> SequenceClassifier:
    settings = {OTHER_NAMES.get(name, name): value for name, value in options.items() if name in SETTINGS}
    _checks.integer("seed", settings.get("random_state", 0), minimum=0, maximum=2**32 - 1)
    # On the command line 0 stands for no embedding.
    if settings.get("dim_embedding") == 0:
        settings["dim_embedding"] = None
    if "class_weight" in settings:
        settings["class_weight"] = _class_weight(settings["class_weight"])
    defaults = {"random_state": 0, "verbose": not options.get("quiet")}
    classifier = SequenceClassifier(**{**defaults, **settings})
    classifier.check_settings()
    return classifier


def _class_weight(text: str) -> str | dict[str, float]:
    """Return ``balanced``, or the weights that are written as ``spam=3,ham=1``."""
    if text == "balanced":
        return text
    pairs = [part.rpartition("=") for part in text.split(",")]
    try:
        weights = {label: float(weight) for label, equals, weight in pairs if label and equals}
    except ValueError:
        weights = {}
    if len(weights) < len(pairs):
        raise InvalidArgument(f"--class-weight must be balanced, or weights such as spam=3,ham=1, not {text!r}")
    return weights


def _read(options: Mapping[str, Any], file: str, labels: str, kind: Any, tokenize: str) -> Any:
    if file not in options:
        return None
    return read_sequences(
        options[file],
        options.get(labels),
        tokenize=tokenize,
        **{name: options[name] for name in READING if name in options},
        kind=kind,
        skip_bad_lines=bool(options.get("skip_bad_lines")),
    )


def _warn_of_numbers(train: LabelledSequences) -> None:
    """Say that text which holds decimal numbers is read as symbols: none of them is more than another."""
    if not train.symbols or not all(map(_is_number, train.symbols)):
        return
    decimal = [symbol for symbol in train.symbols if not symbol.lstrip("+-").isdecimal()]
    if 2 * len(decimal) > len(train.symbols):
        warn(
            f"{train.source} holds numbers such as {decimal[0]}, which are symbols without size in text: features are "
            "read from lists of numbers, in JSON Lines or Parquet"
        )


def _is_number(symbol: str) -> bool:
    try:
        float(symbol)
    except ValueError:
        return False
    return True


def _warn_of_news(train: LabelledSequences, test: LabelledSequences) -> None:
    """Say which classes of the test the training knows nothing of; the classifier says which symbols."""
    classes = sorted(set(test.classes) - set(train.classes))
    if classes:
        count = sum(test.classes[name] for name in classes)
        hopeless = f"{count:,} of {len(test):,} sequences cannot be classified rightly"
        _warn(train, test, _listed(classes, "class", "classes"), hopeless)


def _warn(train: LabelledSequences, test: LabelledSequences, what: str, so: str) -> None:
    warn(f"{test.source} holds {what} that {train.source} does not: {so}")


def _listed(names: list[str], one: str, several: str) -> str:
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"{len(names):,} {one if len(names) == 1 else several} ({', '.join(map(repr, names[:MOST_NAMED]))}{more})"


def _numbers(
    classifier: SequenceClassifier, train: LabelledSequences, compiled: float, seconds: float
) -> dict[str, Any]:
    """Return the numbers of the training as plain values."""
    history, best = classifier.history_, classifier.best_epoch_ - 1
    at_best = {name: float(values[best]) for name, values in history.items() if name != "epoch"}
    return {
        "training": {
            "sequences": len(train),
            "skipped_lines": train.skipped,
            "shortest": int(train.lengths.min()),
            "longest": int(train.lengths.max()),
            "classes": dict(train.classes),
            "epochs": len(history["epoch"]),
            "best_epoch": classifier.best_epoch_,
            "parameters": int(sum(parameter.data.size for parameter in classifier.model_.parameters)),
            **at_best,
            "preparation_seconds": compiled,
            "seconds": seconds,
        }
    }


def _tested(
    classifier: SequenceClassifier, test: LabelledSequences, numbers: dict[str, Any], stops: Stops
) -> ClassificationReport | None:
    """Test the classifier, and add the numbers of that; None where that is interrupted, for there is one to save."""
    begin = time.perf_counter()
    try:
        probabilities = classifier.predict_proba(test.sequences, not_finite=np.nan)
        seconds = time.perf_counter() - begin
        assert test.labels is not None
        report = classification_report(test.labels, probabilities, classifier.classes_, test.lengths)
    except KeyboardInterrupt:
        if stops.last is None:
            raise
        return None
    numbers["evaluation"] = {"skipped_lines": test.skipped, "seconds": seconds, **report.numbers()}
    return report
