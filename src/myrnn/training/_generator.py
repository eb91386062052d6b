"""The state of a random generator as plain values, and the generator that has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument


def generator_at(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator in a state that ``rng.bit_generator.state`` gave, and that a file may have kept.

    Raises
    ------
    InvalidArgument
        When it is the state of another kind of generator, or of none.
    """
    inner = state.get("state")
    if state.get("bit_generator") != "PCG64" or not isinstance(inner, Mapping):
        raise InvalidArgument(f"the generator must be a PCG64 with its state, not {_checks.shown(dict(state))}")
    increment = _number("inc", inner, 128)
    if not increment % 2:
        # The generator of an even one could stand still, and whoever draws until something fits would draw forever.
        raise InvalidArgument("inc of the generator must be odd")
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": _number("state", inner, 128), "inc": increment},
        "has_uint32": _number("has_uint32", state, 1),
        "uinteger": _number("uinteger", state, 32),
    }
    return np.random.Generator(bits)


def _number(name: str, values: Mapping[str, Any], bits: int) -> int:
    return _checks.integer(f"{name} of the generator", values.get(name), minimum=0, maximum=2**bits - 1)
