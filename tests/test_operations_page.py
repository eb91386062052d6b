"""The page about operations shows how the compiler really treats each of MyGrad's functions."""

import inspect

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid

from pages import DOCS, script


@pytest.fixture(scope="module")
def maker():
    with script("make_operations") as module:
        yield module


@pytest.mark.usefixtures("gru_in_python")
def test_the_page_shows_the_operations_as_they_are(maker):
    document = (DOCS / "reference" / "operations.md").read_text(encoding="utf-8")
    assert maker.filled(document) == document, "run python docs/make_operations.py"


def test_every_function_of_a_list_belongs_to_mygrad(maker):
    assert {*maker.NUMBERS, *maker.CONSTANTS, *maker.AROUND} <= set(maker.functions(mg))
    every = maker.functions(*(module for modules in maker.MODULES.values() for module in modules))
    assert set(maker.EXAMPLES) <= set(every)


def test_functions_that_return_arrays_return_no_gradient(maker):
    a, called = mg.tensor(np.full((4, 3), 0.5)), 0
    for name in maker.NUMBERS:
        for tensors in ((a,), (a, a)):
            try:
                result = getattr(mg, name)(*tensors)
            except (TypeError, ValueError):
                continue
            called += 1
            assert not isinstance(result, mg.Tensor) or result.constant, name
    assert called >= 30


@pytest.mark.parametrize(
    "function",
    [
        lambda x: mg.logaddexp(x, 0),
        lambda x: x * sigmoid(x),
        lambda x: 0.5 * x * (1 + mg.tanh(0.79788456 * (x + 0.044715 * x**3))),
    ],
    ids=lambda function: inspect.getsource(function).strip(" \n,"),
)
def test_claims_of_the_page_outside_of_the_tables_hold(maker, function):
    assert maker.outcome(function)[0] == "yes"
