"""The state of a training as plain values and arrays, and the part of it that the model and its optimizer have."""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mygrad import Tensor
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.compiler.reference import MYGRAD
from myrnn.errors import InvalidArgument
from myrnn.models.model import parameter_names, parameters_of

# The beginnings of the names of arrays.
OF_PARAMETERS, OF_OPTIMIZER = "parameter.", "optimizer."
# The state to which a restart would go back, within another one.
GOOD, OF_GOOD = "good", "good."
# The most values in a list of an optimizer that holds no arrays.
MOST_VALUES = 100
# The most parameters that a message lists.
MOST_NAMED = 3
# Attributes of these types are part of the program and do not change.
CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, np.ufunc)


@dataclass(frozen=True, eq=False, repr=False)
class TrainingState:
    """Everything needed to resume a training: only plain values and arrays.

    Attributes
    ----------
    values : mapping
        Numbers, text, lists and mappings, as JSON holds them.
    arrays : mapping of str to ndarray
        The parameters, the optimizer's state, the rest of the shuffle, and the reports.

    Examples
    --------
    >>> class Last:
    ...     def on_train_begin(self, start):
    ...         self.state = start.state
    ...     def on_train_end(self, history):
    ...         print(self.state())
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 10, engine="mygrad", hooks=[Last()], progress=False)
    TrainingState(10 iterations, 23 arrays)
    """

    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    @property
    def iteration(self) -> int:
        """The number of iterations done."""
        return _checks.integer("iteration", self.values.get("iteration"), minimum=0)

    def with_good(self, good: TrainingState) -> TrainingState:
        """Return this state together with an earlier one, to which a restart would go back."""
        if good.iteration == self.iteration:
            return self
        arrays = {f"{OF_GOOD}{name}": array for name, array in good.arrays.items()}
        return TrainingState({**self.values, GOOD: dict(good.values)}, {**self.arrays, **arrays})

    def parts(self) -> tuple[TrainingState, TrainingState | None]:
        """Return the state, and the earlier one to which a restart would go back, if it is another."""
        good = self.beginning_with(OF_GOOD)
        if GOOD not in self.values and not good:
            return self, None
        arrays = {name: array for name, array in self.arrays.items() if not name.startswith(OF_GOOD)}
        values = {name: value for name, value in self.values.items() if name != GOOD}
        return TrainingState(values, arrays), TrainingState(self.mapping(GOOD), good)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return one of the values, which must be values by name."""
        found = self.values.get(name)
        if not isinstance(found, Mapping):
            raise InvalidArgument(f"the state must have {name!r} with values by name, not {_checks.shown(found)}")
        return found

    def beginning_with(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays whose names begin with a prefix, by the rest of their names."""
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse the state of a training with other settings: it would continue as a different training."""
        given = self.mapping("settings")
        for name in {**settings, **given}:
            theirs, ours = given.get(name), settings.get(name)
            if theirs != ours:
                raise InvalidArgument(
                    f"{name} must be what it was when the training was saved, {_checks.shown(theirs)}, "
                    f"not {_checks.shown(ours)}"
                )

    def check_names(self, wanted: Collection[str], free: tuple[str, ...]) -> None:
        """Refuse unknown and missing arrays, but those whose names begin with one of `free`."""
        odd = sorted(name for name in set(self.arrays) ^ set(wanted) if not name.startswith(free))
        if odd:
            here, there = ("the state", "this training") if odd[0] in self.arrays else ("this training", "the state")
            raise InvalidArgument(f"{here} has {_checks.shown(odd[0])}, which {there} does not have")

    def __repr__(self) -> str:
        """Return the number of iterations done and of arrays."""
        iterations = _checks.count_of(self.iteration, "iteration")
        return f"TrainingState({iterations}, {_checks.count_of(len(self.arrays), 'array')})"


def is_numbers(array: Any) -> bool:
    """Whether something is an array of numbers, as checkpoints hold it."""
    return isinstance(array, np.ndarray) and array.dtype.kind in "biuf"


class OptimizerMemory:
    """The content of an optimizer: constant settings, and arrays and plain values that it changes."""

    # The state of an optimizer with the methods ``state_dict()`` and ``load_state_dict(state)`` is what they exchange:
    # arrays, numbers and text by name. For other optimizers it is the attributes: arrays, alone or in a list or a
    # dictionary, and plain values. An attribute with the name of a constructor argument is a setting: `settings` has
    # its present value. A plain value is a number, text or None, or a short list of these.

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self.has_state_dict = all(callable(getattr(optimizer, m, None)) for m in ("state_dict", "load_state_dict"))
        arguments = _arguments_of(type(optimizer))
        own = {name: value for name, value in self._attributes() if name in arguments and _is_plain(value)}
        if self.has_state_dict:
            own = {name: value for name, value in own.items() if name not in self._found()}
        self.settings = own
        held = () if self.has_state_dict else self._attributes()
        self._of_arrays = tuple(name for name, value in held if not _is_plain(value))
        self._form: tuple[Any, ...] | None = None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its arrays by name: of a list ``v.0``, ``v.1``. They are its own, unless it has a ``state_dict``."""
        found = self._found().items()
        parts = [part for name, value in found for part in _parts(name, value)]
        return {name: part for name, part in parts if is_numbers(part)}

    def gradients(self) -> Iterator[NDArray[Any]]:
        """Yield the arrays in its attributes. Called at every report, it only inspects attributes that had arrays."""
        for name in self._of_arrays:
            value: Any = getattr(self._optimizer, name, None)
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            yield from (part for part in parts if is_numbers(part))

    def values(self) -> dict[str, Any]:
        """Return its plain values by name."""
        return {name: value for name, value in self._found().items() if _is_plain(value)}

    def check(self) -> None:
        """Refuse an optimizer whose state cannot be saved, or has changed its form since the first check."""
        kind = type(self._optimizer).__name__
        cannot = f"a training with {kind} cannot be saved and resumed"
        for name, value in self._found().items():
            if not _is_plain(value) and not all(is_numbers(part) for _, part in _parts(name, value)):
                raise InvalidArgument(
                    f"{cannot}, because its {name} is neither arrays nor numbers: give it the methods state_dict() "
                    "and load_state_dict(state), whose state has arrays and numbers by name"
                )
            numbers = value if isinstance(value, list | tuple) else [value]
            if _is_plain(value) and not all(np.isfinite(v) for v in numbers if isinstance(v, float | np.floating)):
                raise InvalidArgument(f"{cannot}, because its {name} is {_checks.shown(value)}")
        if self.has_state_dict:
            return
        arrays = self.arrays()
        form = {name: (array.dtype, array.shape) for name, array in arrays.items()}, set(self.values())
        if self._form is not None and form != self._form:
            raise InvalidArgument(
                f"{cannot}, because it made or changed arrays while it trained: make them in its constructor, or give "
                "it the methods state_dict() and load_state_dict(state)"
            )
        self._form = form

    def read(self, state: TrainingState) -> dict[str, Any]:
        """Return the plain values of a state, checked."""
        found = {name: _read(name, value) for name, value in state.mapping("optimizer").items()}
        if self.has_state_dict:
            return found
        now = self.values()
        for name, value in sorted(found.items()):
            if name not in now:
                raise InvalidArgument(f"the state has {name!r} of the optimizer, which this training does not have")
            if name == "t" and type(now[name]) is int:  # the number of steps
                _checks.integer(f"{name} of the optimizer", value, minimum=0)
            is_unset = value is None and name not in self.settings
            if _is_number(now[name]) and not (is_unset or _is_number(value)):
                raise InvalidArgument(f"{name} of the optimizer must be a number, not {_checks.shown(value)}")
        return found

    def put_back(self, state: TrainingState) -> None:
        """Restore the arrays and values of a state."""
        arrays, values = state.beginning_with(OF_OPTIMIZER), self.read(state)
        if self.has_state_dict:
            self._optimizer.load_state_dict({**{name: array.copy() for name, array in arrays.items()}, **values})
            return
        for name, array in self.arrays().items():
            array[...] = arrays[name]
        for name, value in values.items():
            setattr(self._optimizer, name, value)

    def _found(self) -> Mapping[str, Any]:
        if not self.has_state_dict:
            return dict(self._attributes())
        found = self._optimizer.state_dict()
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise InvalidArgument(f"state_dict() of {type(self._optimizer).__name__} must return arrays by name")
        return found

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        """Yield all attributes of the instance except its parameters, its learning rate, code and empty ones."""
        trained = {id(parameter) for parameter in getattr(self._optimizer, "params", ())}
        for name, value in getattr(self._optimizer, "__dict__", {}).items():
            are_trained = all(id(part) in trained for _, part in _parts(name, value))
            if name != "learning_rate" and not isinstance(value, CODE) and not are_trained:
                yield name, value


def _arguments_of(kind: type) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(kind).parameters)
    except (TypeError, ValueError):
        return ()


def _parts(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        return [(f"{name}.{place}", part) for place, part in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str | int) for key in value):
        return [(f"{name}.{key}", part) for key, part in value.items()]
    return [(name, value)]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MOST_VALUES and all(_is_plain(v) and not isinstance(v, list | tuple) for v in value)
    python = value.item() if isinstance(value, np.generic) else value
    return python is None or type(python) in (bool, int, float, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _written(value: Any) -> Any:
    """Return a plain value for JSON: a NumPy number with its type, a tuple as a list."""
    if isinstance(value, list | tuple):
        return {"type": type(value).__name__, "value": [_written(part) for part in value]}
    if isinstance(value, np.generic):
        return {"type": value.dtype.name, "value": value.item()}
    return value


def _read(name: str, given: Any) -> Any:
    """Return the value that `_written` gave for JSON."""
    if given is None or isinstance(given, bool | int | float | str):
        return given
    if isinstance(given, Mapping) and set(given) == {"type", "value"}:
        kind, value = given["type"], given["value"]
        if kind in ("list", "tuple") and isinstance(value, list):
            parts = [_read(name, part) for part in value]
            return tuple(parts) if kind == "tuple" else parts
        with suppress(TypeError, ValueError, OverflowError):
            if isinstance(value, bool | int | float) and np.dtype(kind).kind in "biuf":
                return np.dtype(kind).type(value)
    raise InvalidArgument(f"{name} of the optimizer must be a number or text, not {_checks.shown(given)}")


class Learner:
    """A model and its optimizer: all that a training changes in them."""

    def __init__(self, model: Any, optimizer: Any) -> None:
        self._model, self._optimizer = model, optimizer
        self._memory = OptimizerMemory(optimizer)

    def settings(self, learning_rate: float) -> dict[str, Any]:
        """Return the optimizer's kind and settings; `learning_rate` is its initial one."""
        settings = {name: _plain(value) for name, value in self._memory.settings.items()}
        return {"optimizer": type(self._optimizer).__name__, "learning_rate": float(learning_rate), **settings}

    @cached_property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name."""
        return dict(zip(parameter_names(self._model), parameters_of(self._model), strict=True))

    @property
    def free(self) -> tuple[str, ...]:
        """The beginnings of the names of arrays that the optimizer checks itself."""
        return (OF_OPTIMIZER,) if self._memory.has_state_dict else ()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the parameters and of the optimizer's state, by name."""
        arrays = {f"{OF_PARAMETERS}{name}": parameter.data for name, parameter in self.parameters.items()}
        return arrays | {f"{OF_OPTIMIZER}{name}": array for name, array in self._memory.arrays().items()}

    def gradients(self) -> Iterator[NDArray[Any]]:
        """Yield the arrays of gradients and of their squares that the optimizer remembers."""
        return self._memory.gradients()

    def state(self) -> TrainingState:
        """Return copies of the arrays while no other thread that compiles the model has changed them, and values."""
        self._memory.check()
        with MYGRAD:
            arrays = {name: array.copy() for name, array in self.arrays().items()}
        values = {name: _written(value) for name, value in self._memory.values().items()}
        rate = float(getattr(self._optimizer, "learning_rate", 0))
        return TrainingState({"learning_rate": rate, "optimizer": values}, arrays)

    def check_model(self, state: TrainingState) -> None:
        """Refuse the state of a training of another model, one with other parameters."""
        ours = {name: parameter.data.shape for name, parameter in self.parameters.items()}
        theirs = {name: np.shape(array) for name, array in state.beginning_with(OF_PARAMETERS).items()}
        if ours != theirs:
            raise InvalidArgument(
                "the model must be that of the training that was saved: "
                f"{_only(ours, theirs)} here, but {_only(theirs, ours)} in the state"
            )

    def check(self, state: TrainingState) -> None:
        """Refuse a state with arrays or values that do not fit."""
        for name, array in self.arrays().items():
            if name.startswith(self.free):
                continue
            given = state.arrays[name]
            if given.dtype != array.dtype or given.shape != array.shape:
                raise InvalidArgument(
                    f"{name} must be {array.dtype} of shape {array.shape}, but in the state it is {given.dtype} of "
                    f"shape {given.shape}"
                )
            _checks.finite(name, given)
        _checks.real("learning_rate", state.values.get("learning_rate"), minimum=0)
        self._memory.read(state)

    def put_back(self, state: TrainingState) -> None:
        """Write the arrays and values of a state into the model and the optimizer."""
        with MYGRAD:
            for name, parameter in self.parameters.items():
                parameter.data[...] = state.arrays[f"{OF_PARAMETERS}{name}"]
            self._memory.put_back(state)
        if hasattr(self._optimizer, "learning_rate"):
            self._optimizer.learning_rate = float(state.values["learning_rate"])


def _only(shapes: Mapping[str, tuple[int, ...]], others: Mapping[str, tuple[int, ...]]) -> str:
    """Return the parameters that others lack or have in another shape, with their shapes."""
    differing = [f"{name} {shape}" for name, shape in shapes.items() if others.get(name) != shape]
    more = f" and {len(differing) - MOST_NAMED:,} more" if len(differing) > MOST_NAMED else ""
    return f"{', '.join(differing[:MOST_NAMED]) or 'no other parameter'}{more}"


def _plain(value: Any) -> Any:
    """Return a setting as JSON holds it."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
