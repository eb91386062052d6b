"""Checks that scikit-learn requires for tables: two-dimensional arrays and data frames, maybe with column names."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.data.memory import is_text_column
from myrnn.data.series import is_number
from myrnn.errors import InvalidArgument


def is_table(X: Any) -> bool:
    """Whether `X` is a table for scikit-learn: a two-dimensional array, data frame or matrix, but no column of text."""
    if isinstance(X, list | tuple | str) or is_text_column(X):
        return False
    shaped = X if hasattr(X, "ndim") or not hasattr(X, "__array__") else np.asarray(X)
    return getattr(shaped, "ndim", None) == 2


class NotNumbers(InvalidArgument, TypeError):
    """A value in a table cannot be converted to a number; scikit-learn requires a `TypeError` for that."""


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return a table as an array; store the names and number of its columns, or compare them with those stored."""
    _checks.unmasked("X", X)
    dtype = None if _is_text(X) else "numeric"
    try:
        table = validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False, order="C")
    except TypeError as error:
        raise NotNumbers(f"X must hold numbers or text: {error}") from error
    except ValueError as error:
        if (place := _text_among_numbers(X)) is None:
            raise
        row, column = place
        named = f"column {_checks.shown(X.columns[column])}" if hasattr(X, "columns") else f"column {column}"
        text = _checks.shown(np.asarray(X)[row, column])
        raise InvalidArgument(
            f"X must hold numbers or text, not both, but {named} holds {text}: give the column of text alone, or leave "
            "it out"
        ) from error
    if reset and dtype is None and table.shape[1] == 1:
        warn(
            "X is an array of one column of text, in which every text is one symbol: for its words or characters give "
            "the column itself, of shape (N,), such as X[:, 0]"
        )
    return table


def _text_among_numbers(X: Any) -> tuple[int, int] | None:
    """Return row and column of the first text that is not a number in a table, or None."""
    values = np.empty((0, 0)) if hasattr(X, "toarray") else np.asarray(X)
    if values.dtype.kind not in "OU" or values.ndim != 2:
        return None
    cells = ((place, values[place]) for place in np.ndindex(*values.shape))
    return next((place for place, cell in cells if isinstance(cell, str) and not is_number(cell)), None)


def _is_text(X: Any) -> bool:
    if hasattr(X, "toarray"):
        return False
    values = np.asarray(X)
    return values.dtype.kind == "U" or (
        values.dtype.kind == "O" and all(isinstance(value, str) for value in values.flat)
    )


def note_features(estimator: Any, columns: int | None, names: list[str] | None) -> None:
    """Store the number of the columns and their names, as scikit-learn does for tables; forget them if None."""
    noted = {"n_features_in_": columns, "feature_names_in_": names and np.array(names, dtype=object)}
    for name, value in noted.items():
        if value is not None:
            setattr(estimator, name, value)
        elif hasattr(estimator, name):
            delattr(estimator, name)


def names_of(X: Any) -> list[str] | None:
    """Return the column names of a data frame or a list of data frames; None for anything else."""
    frames = X if isinstance(X, list | tuple) else [X]
    if not len(frames) or not all(hasattr(frame, "columns") for frame in frames):
        return None
    first, *others = ([str(name) for name in frame.columns] for frame in frames)
    for index, names in enumerate(others, start=1):
        if names != first:
            raise InvalidArgument(f"X[{index}] has the columns {', '.join(names)}, but X[0] {', '.join(first)}")
    return first


def check_names(estimator: Any, X: Any) -> None:
    """Refuse data frames whose columns differ from those of the training, or their order."""
    names, known = names_of(X), getattr(estimator, "feature_names_in_", None)
    if names is not None and known is not None and names != [str(name) for name in known]:
        raise InvalidArgument(f"X has the columns {', '.join(names)}, but was fitted with {', '.join(map(str, known))}")
