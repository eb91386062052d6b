"""Checks of arguments that several modules share, each with one clear message."""

from __future__ import annotations

import difflib
import operator
import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn.errors import InvalidArgument

_SPAN = re.compile(r"(\d{1,9}):(\d{1,9})(?::(\d{1,9}))?", re.ASCII)


def shown(value: Any) -> str:
    """Return `value` as a message shows it: on one line and not too long."""
    try:
        line = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"{type(value).__name__} too long to show"
    return line if len(line) <= 80 else f"{line[:77]}..."


def first_of(values: Sequence[Any], most: int = 5) -> str:
    """Return the first values, as `shown` does, and dots if there are more."""
    return ", ".join(map(shown, values[:most])) + (", ..." if len(values) > most else "")


def printable(text: str) -> str:
    """Return a text that is safe to print: control characters, line breaks too, are escaped."""
    return text if text.isprintable() else repr(text)[1:-1]


def call_of(thing: Any, *names: str) -> str:
    """Return the call that makes an object, such as ``RNN(dim_input=10, ...)``, with these of its attributes."""
    settings = ", ".join(f"{name}={getattr(thing, name)!r}" for name in names)
    return f"{type(thing).__name__}({settings})"


def count_of(number: int | np.integer[Any], word: str) -> str:
    """Return ``1 sequence``, ``1,200 sequences``, ``2 classes``, ``2 batches``."""
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith(('s', 'tch')) else 's'}"


def integer(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return `value` as an int, or raise InvalidArgument."""
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InvalidArgument(f"{name} must be an integer, not {shown(value)}") from None
    if words := broken_bound(number, least=minimum, most=maximum):
        raise InvalidArgument(f"{name} must be {words}, not {shown(number)}")
    return number


def real(
    name: str,
    value: Any,
    *,
    minimum: float | None = None,
    below: float | None = None,
    above: float | None = None,
) -> float:
    """Return `value` as a finite float within ``minimum <= value``, ``above < value`` and ``value < below``."""
    try:
        if isinstance(value, bool | np.bool_ | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(f"{name} must be a number, not {shown(value)}") from None
    if not np.isfinite(number):
        raise InvalidArgument(f"{name} must be finite, not {number}")
    if words := broken_bound(number, minimum, above, below=below):
        raise InvalidArgument(f"{name} must be {words}, not {number}")
    return number


def broken_bound(
    number: float,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> str | None:
    """Return the bound that a number breaks, such as ``at least 1``; None if it breaks none."""
    if least is not None and number < least:
        return f"at least {least}"
    if above is not None and number <= above:
        return f"above {above}"
    if most is not None and number > most:
        return f"at most {most}"
    if below is not None and number >= below:
        return f"below {below}"
    return None


def divides(name: str, value: int, of: str, whole: int) -> None:
    """Raise InvalidArgument unless the integer `value` divides `whole`, which is called `of`."""
    if whole % value:
        raise InvalidArgument(f"{name} must divide {of}, {whole}, which {value} does not")


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool, or raise InvalidArgument: other values are no truth values here."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidArgument(f"{name} must be True or False, not {shown(value)}")
    return bool(value)


def path(name: str, value: Any) -> Path:
    """Return `value` as a Path, or raise InvalidArgument."""
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(value), str):
        raise InvalidArgument(f"{name} must be a path, not {shown(value)}")
    if "\0" in text:
        raise InvalidArgument(f"{name} must be a path without null characters, not {shown(text)}")
    return Path(text)


def one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """Return `value` if it is one of `choices`; otherwise raise an error that suggests the nearest one."""
    if isinstance(value, str) and value in choices:
        return value
    raise InvalidArgument(not_one_of(name, value, choices))


def not_one_of(name: str, value: Any, choices: Collection[str]) -> str:
    """Return the message for a value that is none of `choices`."""
    listed = ", ".join(map(repr, choices))
    return f"{name} must be one of {listed}, not {shown(value)}{nearest(value, choices)}"


def nearest(value: Any, choices: Collection[str]) -> str:
    """Return a question that suggests the choice most like `value`, for the end of a message."""
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def names(name: str, given: Iterable[str] | None, count: int, of: str = "classes") -> list[str]:
    """Return the names of `count` classes or symbols: those given, or ``class 0``, ``class 1`` and so on."""
    if given is None:
        return [f"class {number}" for number in range(count)]
    found = [str(one) for one in given]
    if len(found) != count:
        raise InvalidArgument(f"{name} must be one for each of the {count} {of}, not {len(found)}")
    return found


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object from its pairs (an ``object_pairs_hook`` for `json.loads`); refuse repeated keys."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidArgument(f"the key {shown(twice)} is repeated in one object")
    return found


def check_setting(owner: str, name: Any, known: Collection[str]) -> None:
    """Refuse a setting that its owner does not have, and suggest the nearest one."""
    if isinstance(name, str) and name in known:
        return
    only = ", ".join(map(repr, known))
    raise InvalidArgument(f"{owner} has no setting {shown(name)}, only {only}{nearest(name, known)}")


def span(name: str, text: str, most: int) -> range | None:
    """Return the integers of ``"first:last"`` or ``"first:last:step"``, `last` included; None for any other text."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    first, last, step = (int(number) for number in found.groups(default="1"))
    if last < first or step < 1:
        raise InvalidArgument(f"{name} must go up, as in '0:9' or '2:40:2', not {text!r}")
    if (last - first) // step >= most:
        raise InvalidArgument(f"{name} must be at most {most:,} numbers, which {text!r} exceeds")
    return range(first, last + 1, step)


def generator(name: str, rng: Any) -> np.random.Generator:
    """Return `rng` as a ``numpy.random.Generator``; None makes a fresh one, an integer seeds one."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or (isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0):
        return np.random.default_rng(rng)
    raise InvalidArgument(f"{name} must be a numpy.random.Generator, a seed of 0 or more, or None, not {shown(rng)}")


def array(name: str, value: Any) -> NDArray[Any]:
    """Return numbers, nested, in an array or a tensor, as an array; refuse ragged rows and masked values."""
    unmasked(name, value)
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise InvalidArgument(f"{name} must be an array, but its items differ in shape") from None
    # NumPy's variable-length strings are treated like its fixed-length ones.
    return found.astype(object) if found.dtype.kind == "T" else found


def unmasked(name: str, value: Any) -> None:
    """Refuse a masked array that hides some of its values: other functions would ignore the mask."""
    if np.ma.is_masked(value):
        count = np.count_nonzero(np.ma.getmask(value))
        raise InvalidArgument(
            f"{name} must have no masked values ({count:,} of {np.size(value):,}): leave them out or fill them"
        )


def integers(name: str, value: Any, *, minimum: int, maximum: int) -> NDArray[Any]:
    """Return `value` as a one-dimensional array of integers within the bounds; its dtype stays."""
    given = array(name, value)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InvalidArgument(f"{name} must be integers of shape (N,), not {given.dtype} of shape {given.shape}")
    if given.size and given.min() < minimum:
        raise InvalidArgument(f"{name} must be at least {minimum}, but there is {given.min()} at [{given.argmin()}]")
    if given.size and given.max() > maximum:
        raise InvalidArgument(f"{name} must be at most {maximum}, but there is {given.max()} at [{given.argmax()}]")
    return given


def finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity, and name the index of the first one."""
    bad = ~np.isfinite(values)
    if bad.any():
        index = tuple(np.argwhere(bad)[0].tolist())
        raise InvalidArgument(f"{name} must be finite {values.dtype}, but there is {values[index]} at {list(index)}")


def not_negative(name: str, values: NDArray[Any]) -> None:
    """Refuse numbers below 0, and name the index of the smallest one of (N,)."""
    if values.size and values.min() < 0:
        raise InvalidArgument(f"{name} must be at least 0, but there is {values.min()} at [{values.argmin()}]")


def float32(name: str, given: NDArray[Any]) -> NDArray[np.float32]:
    """Return a C-contiguous copy as float32; refuse values that are not finite in float32."""
    with np.errstate(over="ignore"):
        found = np.array(given, dtype=np.float32, order="C")
    finite(name, found)
    return found


FRAMEWORKS = {
    "torch": "PyTorch",
    "keras": "Keras",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "jaxlib": "JAX",
    "flax": "JAX",
}


def install(extra: str) -> str:
    """Return the command that installs an extra; there is no release yet, so it is run in MyRNN's own folder."""
    return f"pip install '.[{extra}]' in the folder of MyRNN"


def of_mygrad(name: str, given: Any) -> None:
    """Refuse a model, a tensor or parameters of another framework."""
    owner = getattr(given, "__self__", given)
    made_by = (FRAMEWORKS.get(kind.__module__.partition(".")[0]) for kind in type(owner).__mro__)
    if (framework := next(filter(None, made_by), None)) is not None:
        raise InvalidArgument(
            f"{name} is made with {framework} ({type(owner).__name__}), but MyRNN trains models that compute with "
            'MyGrad: write it with mygrad, as the page "Coming from Keras or PyTorch" shows (docs/how-to/porting.md)'
        )


def tensors(name: str, given: Any) -> tuple[Tensor, ...]:
    """Return `given` as a tuple of tensors, or raise InvalidArgument."""
    of_mygrad(name, given)
    # A tensor is iterable too, but its rows are not parameters.
    if isinstance(given, Tensor) or not isinstance(given, Iterable):
        kind = "one tensor" if isinstance(given, Tensor) else type(given).__name__
        raise InvalidArgument(f"{name} must be a tuple of tensors, not {kind}")
    parameters = tuple(given)
    if not parameters:
        raise InvalidArgument(f"{name} is empty: there is nothing to train")
    for index, parameter in enumerate(parameters):
        of_mygrad(f"{name}[{index}]", parameter)
        if not isinstance(parameter, Tensor):
            raise InvalidArgument(f"{name}[{index}] must be a mygrad.Tensor, not {type(parameter).__name__}")
    return parameters
