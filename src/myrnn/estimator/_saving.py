"""Classifiers in folders: settings and vocabularies as JSON, weights as safetensors, nothing executable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.data import ClassLabels, SequenceEncoder
from myrnn.errors import InvalidArgument
from myrnn.estimator._given import note_features
from myrnn.estimator._models import AUTO, CELLS, make_model
from myrnn.evaluation import Classifier
from myrnn.runs import CLASSIFIER, classifier_history, load_weights, made_with, weight_bytes
from myrnn.storage import Stored, empty_folder, json_to_bytes

INDEX = CLASSIFIER.index
ENCODING, HISTORY, WEIGHTS = CLASSIFIER.files
# No size is larger; with digits without end even a message about it would fail.
LARGEST = 2**63 - 1
PARTS = ("settings", "fitted")


# Settings that folders of the first version lack, and their values there.
ADDED = {"activation": None, "tokenize": "auto"}
# Stands for a function, which a folder cannot hold.
OWN = "own"


def save_classifier(folder: str | os.PathLike[str], classifier: Any) -> Path:
    """Write a fitted classifier into an empty folder and return its path."""
    own = not isinstance(classifier.cell, str)
    how = classifier.tokenize_
    settings = {name: _plain(value) for name, value in classifier.get_params(deep=False).items() if name != "cell"}
    fitted = {"best_epoch": classifier.best_epoch_, "table": classifier._fitted_on_table}
    fitted["tokenize"] = OWN if callable(how) else how
    # The size that "auto" stood for.
    fitted["dim_embedding"] = None if own else getattr(classifier.model_, "dim_embedding", None)
    if hasattr(classifier, "n_features_in_"):
        fitted["n_features_in"] = int(classifier.n_features_in_)
    if hasattr(classifier, "feature_names_in_"):
        fitted["feature_names_in"] = classifier.feature_names_in_.tolist()
    values = {
        **made_with("scikit-learn"),
        "cell": None if own else classifier.cell,
        "settings": settings,
        "fitted": fitted,
    }
    labels = ClassLabels(classifier.classes_)
    files = {
        ENCODING: json_to_bytes({"sequences": classifier.encoder_.to_settings(), "labels": labels.to_settings()}),
        HISTORY: json_to_bytes({name: column.tolist() for name, column in classifier.history_.items()}),
        WEIGHTS: weight_bytes(classifier.model_),
    }
    target = empty_folder(folder, "classifier")
    CLASSIFIER.write(target, values, files)
    return target


def load_classifier(kind: Any, folder: str | os.PathLike[str], cell: Any, tokenize: Any) -> Any:
    """Make the classifier again that a folder holds, as an object of the class `kind`."""
    stored = CLASSIFIER.read(folder)
    saved = stored.index.get("cell")
    if saved is None and cell is None:
        raise InvalidArgument(f"{folder} holds the weights of a cell of yours: give its class or function as cell=")
    if saved is not None and cell is not None:
        raise InvalidArgument(f"{folder} holds the cell {saved!r}: leave cell= out")
    try:
        how = _tokenize(stored)
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    if how == OWN and not callable(tokenize):
        raise InvalidArgument(f"{folder} reads text with a function of yours: give it as tokenize=")
    if how != OWN and tokenize is not None:
        raise InvalidArgument(f"{folder} reads text without a function of yours: leave tokenize= out")
    try:
        classifier = _with_settings(kind, stored, saved if cell is None else cell, tokenize)
        encoder, labels = _encoding(stored.json(ENCODING))
        dims = (encoder.dim_input, classifier.dim_recurrent, len(labels))
        width = _dim_embedding(stored, classifier)
        _check_cell(saved, classifier.layers, width)
        _check_size(dims, classifier.layers, width, len(stored.content[WEIGHTS]))
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    model = _new_model(stored, classifier, dims, width, own=cell is not None)
    load_weights(stored, WEIGHTS, model)
    classifier.classes_, classifier.encoder_, classifier.model_ = labels.classes, encoder, model
    classifier.history_, classifier._predictor = classifier_history(stored), Classifier(model, classifier.engine)
    classifier.tokenize_, classifier._named_unknown = tokenize if how == OWN else how, set()
    _note_fitted(stored, classifier)
    return classifier


def _dim_embedding(stored: Stored, classifier: Any) -> Any:
    """Return the size of the embedding that the network was made with."""
    if classifier.dim_embedding != AUTO:
        return classifier.dim_embedding
    return stored.index["fitted"].get("dim_embedding")


def _new_model(stored: Stored, classifier: Any, dims: tuple[int, int, int], width: int | None, own: bool) -> Any:
    try:
        return make_model(
            classifier.cell,
            dims,
            activation=classifier.activation,
            layers=classifier.layers,
            dim_embedding=width,
            rng=np.random.default_rng(0),
        )
    except InvalidArgument as error:
        # The caller gives a user-defined cell; the others come from the file.
        if own:
            raise
        stored.damaged(INDEX, f"cannot be used: {error}", error)


def _plain(value: Any) -> Any:
    """Return a setting as a value for JSON."""
    if isinstance(value, dict):
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, np.generic):
        return value.item()
    # The state of a generator is nothing to go on with, and a function cannot be kept.
    return None if isinstance(value, np.random.RandomState) or callable(value) else value


def _tokenize(stored: Stored) -> str | None:
    """Return how text is split into symbols: ``"words"``, ``"characters"``, a function (`OWN`), or None."""
    fitted = stored.index.get("fitted")
    how = fitted.get("tokenize") if isinstance(fitted, dict) else None
    return None if how is None else _checks.one_of("tokenize", how, ("words", "characters", OWN))


def _with_settings(kind: Any, stored: Stored, cell: Any, tokenize: Any) -> Any:
    for part in PARTS:
        if not isinstance(stored.index.get(part), dict):
            raise InvalidArgument(f"{part!r} is missing")
    settings = {**ADDED, **stored.index["settings"]}
    if tokenize is not None:
        settings["tokenize"] = tokenize
    names = [name for name in kind().get_params(deep=False) if name != "cell"]
    if odd := sorted(set(settings) ^ set(names)):
        raise InvalidArgument(f"a setting {odd[0]!r} is " + ("missing" if odd[0] in names else "unknown"))
    if isinstance(settings["class_weight"], list):
        settings["class_weight"] = _pairs(settings["class_weight"])
    classifier = kind(cell, **settings)
    classifier.check_settings()
    return classifier


def _pairs(listed: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list | dict) for pair in listed):
        raise InvalidArgument("class_weight must be pairs of a label and a number")
    return {label: weight for label, weight in listed}


def _encoding(given: Mapping[str, Any]) -> tuple[SequenceEncoder, ClassLabels]:
    for part in ("sequences", "labels"):
        if not isinstance(given.get(part), dict):
            raise InvalidArgument(f"{ENCODING} has no {part!r}")
    labels = ClassLabels.from_settings(given["labels"])
    if len(labels) < 2:
        raise InvalidArgument("there must be two classes at least")
    return SequenceEncoder.from_settings(given["sequences"]), labels


def _check_cell(saved: Any, layers: Any, dim_embedding: Any) -> None:
    if saved is not None:
        _checks.one_of("cell", saved, CELLS)
    elif layers != 1 or dim_embedding is not None:
        raise InvalidArgument("a cell of yours has no layers and no dim_embedding")


def _check_size(dims: tuple[int, int, int], layers: Any, dim_embedding: Any, weight_bytes: int) -> None:
    """Refuse sizes that the file of the weights is too small for, before anything is allocated."""
    inputs, units, classes = dims
    width = units if dim_embedding is None else dim_embedding
    for name, size in (("dim_recurrent", units), ("layers", layers), ("dim_embedding", width)):
        _checks.integer(name, size, minimum=1, maximum=LARGEST)
    least = 4 * (inputs * width + units * (units + classes) + (layers - 1) * 2 * units**2)
    if least > weight_bytes:
        raise InvalidArgument(
            f"a model of {inputs} inputs, {layers} x {units} units and {classes} classes has {least:,} bytes of "
            f"weights or more, but {WEIGHTS} has {weight_bytes:,}"
        )


def _note_fitted(stored: Stored, classifier: Any) -> None:
    """Note what else a fit notes."""
    fitted = stored.index["fitted"]
    try:
        if not isinstance(fitted.get("table"), bool):
            raise InvalidArgument("'table' must be true or false")
        classifier.best_epoch_ = _checks.integer("best_epoch", fitted.get("best_epoch"), minimum=1)
        columns = fitted.get("n_features_in")
        note_features(classifier, None, fitted["table"])
        if columns is not None:
            classifier.n_features_in_ = _checks.integer("n_features_in", columns, minimum=1)
        names = fitted.get("feature_names_in")
        if names is not None:
            if not isinstance(names, list) or len(names) != columns or not all(isinstance(n, str) for n in names):
                raise InvalidArgument("'feature_names_in' must be a string for each column")
            classifier.feature_names_in_ = np.array(names, dtype=object)
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
