"""Classes by any name, as the numbers that a model knows them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sequences import LARGEST_LABEL

# What labels may be, and the kinds of NumPy's dtypes that hold them.
KINDS: dict[str, tuple[type, str]] = {"str": (str, "U"), "int": (int, "iu"), "float": (float, "f"), "bool": (bool, "b")}
# No sound classes take more memory: more is refused before anything is allocated.
MOST_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """The classes that a training saw, in their order; class ``i`` of a model is ``classes[i]``.

    Attributes
    ----------
    classes : ndarray (K,)
        Strings, integers, floats or booleans, rising.

    Examples
    --------
    >>> labels = ClassLabels.fit(["no", "yes", "no"])
    >>> labels.classes.tolist(), labels.encode(["yes", "no"]).tolist()
    (['no', 'yes'], [1, 0])
    """

    classes: NDArray[Any]

    @classmethod
    def fit(cls, y: ArrayLike) -> ClassLabels:
        """Learn the classes from the labels (N,).

        Raises
        ------
        InvalidArgument
            When labels are of no kind or of several, or there are more classes than a model may have.
        """
        labels = _checked("y", y)
        classes = np.unique(labels)
        if len(classes) - 1 > LARGEST_LABEL:
            raise InvalidArgument(
                f"y has {len(classes):,} classes, but at most {LARGEST_LABEL + 1:,} can be told apart"
            )
        return cls(classes)

    def __len__(self) -> int:
        """Return the number of classes, K."""
        return len(self.classes)

    def encode(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the class of every label, int64 (N,); raises InvalidArgument for an unknown one."""
        labels = _checked("y", y)
        if _kind(labels) != _kind(self.classes) and len(labels):
            raise InvalidArgument(f"y must be {_kind(self.classes)}, as what was fitted, not {_kind(labels)}")
        places = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        unknown = self.classes[places] != labels
        if unknown.any():
            raise InvalidArgument(
                f"y holds {labels[unknown.argmax()]!r}, which is none of the classes that were fitted"
            )
        return places.astype(np.int64)

    def to_settings(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {"kind": _kind(self.classes), "dtype": self.classes.dtype.str, "classes": self.classes.tolist()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> ClassLabels:
        """Make it again; raises InvalidArgument where the values are not what `to_settings` returns."""
        classes = settings.get("classes")
        if set(settings) != {"kind", "dtype", "classes"} or not isinstance(classes, list) or not classes:
            raise InvalidArgument("classes must have 'kind', 'dtype' and a list 'classes', and nothing else")
        kind, kinds = KINDS[_checks.one_of("kind", settings["kind"], tuple(KINDS))]
        for name in classes:
            if type(name) is not kind:
                raise InvalidArgument(f"a class must be {settings['kind']}, not {_checks.shown(name)}")
        array = _as_dtype(classes, settings["dtype"], kinds)
        if array.tolist() != classes or (np.unique(array).tolist() != classes):
            raise InvalidArgument("classes must rise, each there once, and fit their dtype")
        return cls(array)


def _as_dtype(classes: list[Any], given: Any, kinds: str) -> NDArray[Any]:
    """Return the classes as an array of the dtype that is written in the settings."""
    try:
        dtype = np.dtype(given) if isinstance(given, str) else None
        if dtype is None or dtype.kind not in (kinds if kinds != "U" else "UO"):
            raise TypeError
        if dtype.itemsize * len(classes) > MOST_BYTES:
            raise ValueError
        return np.array(classes, dtype=dtype)
    except (TypeError, ValueError, OverflowError, SyntaxError):
        raise InvalidArgument(f"the classes cannot be {_checks.shown(given)}") from None


def _checked(name: str, given: Any) -> NDArray[Any]:
    """Return labels as an array (N,) of strings, integers, floats or booleans."""
    if isinstance(given, list | tuple):
        _check_kinds(name, given)
    labels = _checks.array(name, given)
    if labels.ndim != 1:
        raise InvalidArgument(f"{name} must be one label for each sequence, shape (N,), not of shape {labels.shape}")
    if labels.dtype.kind == "O":
        _check_kinds(name, labels.tolist())
        # Strings stay objects, as they were given.
        labels = labels if isinstance(next(iter(labels), None), str) else np.array(labels.tolist())
    if labels.dtype.kind not in "UObiuf":
        raise InvalidArgument(f"{name} must be strings, integers, floats or booleans, not {labels.dtype}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        place = int((~np.isfinite(labels)).argmax())
        raise InvalidArgument(f"{name} must be labels, but there is {labels[place]} at [{place}]: input contains NaN")
    return labels


def _check_kinds(name: str, given: Any) -> None:
    """Refuse labels of several kinds, which NumPy would make strings of."""
    kinds = {_kind_of_type(kind): kind for kind in set(map(type, given))}
    if None in kinds:
        place = next(i for i, label in enumerate(given) if _kind_of_type(type(label)) is None)
        raise InvalidArgument(
            f"{name} must be strings, integers, floats or booleans, but there is {_checks.shown(given[place])} "
            f"at [{place}]"
        )
    if len(kinds) > 1 and set(kinds) != {"int", "float"}:
        raise InvalidArgument(
            f"{name} must be labels of one kind, not {' and '.join(sorted(map(str, kinds)))} together"
        )


def _kind_of_type(kind: type) -> str | None:
    if issubclass(kind, bool | np.bool_):
        return "bool"
    known = {"str": str, "int": int | np.integer, "float": float | np.floating}
    return next((name for name, types in known.items() if issubclass(kind, types)), None)


def _kind(labels: NDArray[Any]) -> str:
    return next((name for name, (_, kinds) in KINDS.items() if labels.dtype.kind in kinds), "str")
