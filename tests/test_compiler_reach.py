"""Which parameters have a gradient agrees with an interpretation of the recurrence over sets of parameters."""

from dataclasses import replace

import numpy as np
import pytest

import recurrences
from marks import most_are_long
from myrnn import compile
from myrnn.compiler.graph import evaluate, inputs_with_gradient
from myrnn.compiler.leaves import INPUT, Parameter
from myrnn.compiler.loops import interpret
from myrnn.compiler.reach import Reach

# They choose by the number of the step, run backward, or have several loops.
NAMES = ["NoneAtFirst", "CutEveryThree", "BackwardThenForward", "MeanOfThePrediction", "BurnIn", "StackRNN", "NextWord"]
MODELS = {one.name: one for one in recurrences.ALL if one.name in NAMES}


def reached(recurrence, first, count):
    """Return the parameters that the loss of a piece reaches; a value is a set, and its numbers if these are known."""
    build, length = recurrence.build, first + count

    def made(node, inputs):
        if node.is_constant:
            return set(), node.numbers
        numbers = [n for _, n in inputs]
        if node.operation == "select" and numbers[0] is not None:
            return inputs[1 if numbers[0].all() else 2]
        known = dict(zip(node.inputs, numbers, strict=True))
        value = evaluate([node], known)[0] if inputs and all(n is not None for n in numbers) else None
        with_gradient = [of for i, (of, _) in zip(node.inputs, inputs, strict=True) if i in inputs_with_gradient(node)]
        return set().union(*with_gradient), value

    def of_given(row, by_step):
        given = [g for g in recurrence.given if g.by_step == by_step]
        return {build.given(g): (set(), g.at(row, length)) for g in given}

    if first:
        zeros = [tuple(build.constant(np.zeros(n.size)) for n in loop.initial) for loop in recurrence.loops]
        loops = tuple(replace(loop, initial=z) for loop, z in zip(recurrence.loops, zeros, strict=True))
        recurrence = replace(recurrence, loops=loops)
    last = {build.leaf(Parameter(i), int(np.prod(s))): ({i}, None) for i, s in enumerate(recurrence.shapes)}
    last |= of_given(0, by_step=False)
    row = build.leaf(INPUT, recurrence.dim_input)
    rows = [{row: (set(), None)} | of_given(t, by_step=True) for t in range(first, length)]
    return set().union(*(of for of, _ in interpret(recurrence, rows, last, made)))


@pytest.mark.parametrize("name", most_are_long(NAMES, 3))
def test_what_a_piece_reaches_is_what_an_interpretation_reaches(name):
    recurrence = compile(MODELS[name].made(), check=False).recurrence
    reach, count = Reach(recurrence, {}, len(recurrence.shapes)), 14
    firsts, steps = (n.ravel() for n in np.meshgrid(np.arange(6), np.arange(1, count)))
    found = [set(np.flatnonzero(row)) for row in reach.of(firsts, steps)]
    assert found == [reached(recurrence, int(first), int(n)) for first, n in zip(firsts, steps, strict=True)]
