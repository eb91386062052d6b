"""Whose code runs: the owners of the frames between MyGrad and the user's lines."""

from __future__ import annotations

import dis
import os
from functools import cache
from types import CodeType, FrameType

import mygrad
import numpy as np

# Code that readers of an error would not call their own model: its callers are shown instead.
_MYGRAD = os.path.join(os.path.dirname(mygrad.__file__), "")
_NUMPY = os.path.join(os.path.dirname(np.__file__), "")
_MYNN = os.path.join(os.sep, "mynn", "")
_LIKE_LAYERS = os.path.join("myrnn", "models", "dense.py"), os.path.join("myrnn", "randomness.py")
# The files with functions that stand between the model and MyGrad while it is recorded.
_WRAPPERS = frozenset(os.path.join(os.path.dirname(__file__), f"{name}.py") for name in ("recorder", "traced_arrays"))
# The built-in models only inspect their argument to check it.
_MODELS = os.path.join(os.sep, "myrnn", "models", "")

# The owner of a file's code; the larger the number, the more it is the user's own.
_OF_MYGRAD, _OF_NUMPY, _OF_LAYERS, _OF_MODELS, _OF_USER = range(5)

# Functions of MyGrad that read numbers and do not give them to their caller: the result of an operation is in the
# graph, a new tensor is a constant there, and a size is not a number of the tensor.
_GIVE_NO_NUMBERS = frozenset(
    {"_op", "_in_place_op", "__init__", "tensor", "astensor", "astype", "copy", "zeros_like", "ones_like", "full_like"}
    | {"empty_like", "shape", "ndim", "size", "dtype", "__len__", "__repr__", "backward", "einsum"}
)
_OPERATIONS = frozenset({"_op", "_in_place_op"})
_SIZES = frozenset({"dtype", "ndim", "shape", "size"})
_CONVERSIONS = frozenset({"__array__", "__bool__", "__float__", "__index__", "__int__", "item"})


# What a library's function does with numbers that it reads: it computes with them, gives none to its caller, gives them
# in another type, or gives them.
_COMPUTES, _GIVES_NONE, _CONVERTS, _GIVES, _OF_ARRAYS = range(5)


def user_frame(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's code, or of a built-in model, from a frame outward."""
    while frame is not None and _owner_of(frame.f_code.co_filename) < _OF_MODELS:
        frame = frame.f_back
    return frame


def reader_of_numbers(frame: FrameType) -> tuple[str, int, str] | None:
    """Return the file and line of the user's code that reads numbers from this frame on, and the function it calls."""
    # None if no numbers get to the user's code. This runs whenever MyGrad reads a number, so it must be fast.
    inner: FrameType | None = None
    is_converted = False
    outer: FrameType | None = frame
    while outer is not None:
        code = outer.f_code
        _, use = _LIBRARIES.get(id(code)) or _use_in(code)
        if use is None:
            is_users = _owner_of(code.co_filename) == _OF_USER and not _asks_for_size(code, outer.f_lasti)
            return (code.co_filename, outer.f_lineno, _called(inner)) if is_users else None
        if use == _GIVES_NONE or (use == _COMPUTES and not is_converted):
            return None
        if use == _OF_ARRAYS and outer.f_locals["func"].__name__ in _SIZES:
            return None
        # An operation takes the numbers of its operands; a tensor among its options becomes an array or a number.
        is_converted = is_converted or use == _CONVERTS
        inner, outer = outer, outer.f_back
    return None


# The code of functions of MyGrad and NumPy by its id, which stays its own, and what they do with numbers.
_LIBRARIES: dict[int, tuple[CodeType, int]] = {}


def _use_in(code: CodeType) -> tuple[CodeType, int | None]:
    """Return what a library's function does with numbers that it reads; None for the code of others."""
    owner, name = _owner_of(code.co_filename), code.co_name
    if owner > _OF_NUMPY:
        return code, None
    use = _CONVERTS if name in _CONVERSIONS else _GIVES
    if owner == _OF_MYGRAD and name in _GIVE_NO_NUMBERS:
        use = _COMPUTES if name in _OPERATIONS else _GIVES_NONE
    elif owner == _OF_MYGRAD and name == "__array_function__":
        use = _OF_ARRAYS
    return _LIBRARIES.setdefault(id(code), (code, use))


@cache
def _owner_of(file: str) -> int:
    """Return the owner of the code in a file."""
    if file.startswith(_MYGRAD) or file in _WRAPPERS:
        return _OF_MYGRAD
    if file.startswith((_NUMPY, "<frozen ")):
        return _OF_NUMPY
    if _MYNN in file or file.endswith(_LIKE_LAYERS):
        return _OF_LAYERS
    return _OF_MODELS if _MODELS in file else _OF_USER


def _called(frame: FrameType | None) -> str:
    """Return the name of the library's function that runs in a frame, as the user's code calls it."""
    if frame is None:
        return "data"
    name = frame.f_code.co_name
    if name == "__array_function__":
        return f"np.{frame.f_locals['func'].__name__}"
    return str(frame.f_locals["name"]) if name == "__getattr__" else name


@cache
def _asks_for_size(code: CodeType, at: int) -> bool:
    """Whether code only asks for the shape of what it has just read, as in ``weight.data.shape``."""
    following = next((i for i in dis.get_instructions(code) if i.offset > at), None)
    return following is not None and following.opname == "LOAD_ATTR" and following.argval in _SIZES
