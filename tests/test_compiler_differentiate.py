"""Backpropagation through time as graphs agrees with MyGrad and with finite differences."""

import mygrad as mg
import numpy as np
import pytest
from mygrad.nnet.activations import sigmoid

from myrnn.compiler import ops
from myrnn.compiler.derive import differentiate, hoist, pull_back
from myrnn.compiler.equations import printer_of
from myrnn.compiler.graph import Builder, check, evaluate, topological
from myrnn.compiler.leaves import Derived, Gradient, Input, LoopState, Parameter, ParameterRows
from myrnn.compiler.probe import Traces
from myrnn.compiler.roll import roll
from myrnn.compiler.trace import trace_once
from myrnn.models.model import parameter_names

C, D, K = 3, 4, 2


def weight(rng, *shape):
    return mg.tensor((rng.normal(size=shape) * 0.5).astype(np.float32))


class Gated:
    """Joined inputs, gates as slices, learned initial states, a masked weight, a readout of two layers."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.W, self.b = weight(rng, C + D, 2 * D), weight(rng, 2 * D)
        self.M, self.h0, self.scale = weight(rng, D, D), weight(rng, 1, D), weight(rng, 1)
        self.V, self.U = weight(rng, D, D), weight(rng, D, K)
        self.mask = np.tril(np.ones((D, D), dtype=np.float32))
        self.parameters = (self.W, self.b, self.M, self.h0, self.scale, self.V, self.U)

    def __call__(self, x):
        h = mg.tanh(self.h0)
        for x_t in x:
            both = mg.concatenate([x_t[np.newaxis], h], axis=1) @ self.W + self.b
            gate = sigmoid(both[:, :D])
            h = gate * h + (1 - gate) * mg.tanh(both[:, D:] + h @ (self.M * self.mask)) * self.scale
        return mg.maximum(h @ self.V, 0) @ self.U


@pytest.fixture(scope="module")
def parts():
    model = Gated()
    build = Builder()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(13, C)).astype(np.float32)
    traces = {n: trace_once(model, model.parameters, x[:n], build) for n in (*range(1, 10), 12, 13)}
    hoisted = hoist(roll(Traces(traces, C, parameter_names(model), tuple(p.shape for p in model.parameters))))
    return model, hoisted.rolled, hoisted, differentiate(hoisted)


def known_weights(model, derivative):
    """Return the numbers of all weights in float64: parameters, rows of them, and values derived from them."""
    arrays = [p.data.astype(np.float64) for p in model.parameters]
    r = derivative.recurrence
    known = {}
    for node in topological([*r.step, r.readout, *r.initial, *derivative.derived]):
        if isinstance(node.leaf, Parameter):
            known[node] = arrays[node.leaf.number].reshape(-1)
        elif isinstance(node.leaf, ParameterRows):
            known[node] = arrays[node.leaf.number][node.leaf.first :].reshape(-1)[: node.size]
    values = evaluate(derivative.derived, known, np.float64)
    for node in topological([*r.step, r.readout]):
        if isinstance(node.leaf, Derived):
            known[node] = values[node.leaf.number]
    return known


def leaves(nodes, kind):
    return [n for n in topological(nodes) if isinstance(n.leaf, kind)]


def targets_of(pullback):
    return [*pullback.states.values(), pullback.input, *(t for terms in pullback.weights.values() for t in terms)]


def of_states(pullback, recurrence):
    """Return the gradient of each state; zero if nothing reads it."""
    zeros = [recurrence.build.constant(np.zeros(size)) for size in recurrence.state_sizes]
    return [pullback.states.get(i, zero) for i, zero in enumerate(zeros)]


def backpropagated(model, derivative, x, logit_gradient):
    """Run the graphs over one sequence in float64, like the emitted code; return the gradients of all parameters."""
    r, (step,) = derivative.recurrence, derivative.loops
    weights = known_weights(model, derivative)
    sums = {}

    def bind(nodes, states=(), row=None, gradients=()):
        known = dict(weights)
        for node in topological(nodes):
            if isinstance(node.leaf, LoopState):
                known[node] = states[node.leaf.number]
            elif isinstance(node.leaf, Input):
                known[node] = row
            elif isinstance(node.leaf, Gradient):
                of = node.leaf.of
                known[node] = sums[of] if isinstance(of, Derived) else gradients[getattr(of, "number", of)]
        return known

    def add_terms(pullback, known):
        for leaf, terms in pullback.weights.items():
            for value in evaluate(terms, known, np.float64):
                key = leaf.leaf if isinstance(leaf.leaf, Derived) else leaf
                sums[key] = sums.get(key, 0) + value

    states = [evaluate(r.initial, weights, np.float64)]
    for row in x:
        states.append(evaluate(r.step, bind(r.step, states[-1], row), np.float64))
    nodes = targets_of(derivative.readout)
    known = bind([r.readout, *nodes], states[-1], gradients={"logits": logit_gradient})
    add_terms(derivative.readout, known)
    gradients = evaluate(of_states(derivative.readout, r), known, np.float64)
    of_rows = []
    for t in reversed(range(len(x))):
        known = bind([*r.step, *targets_of(step)], states[t], x[t], dict(enumerate(gradients)))
        add_terms(step, known)
        gradients = evaluate(of_states(step, r), known, np.float64)
        of_rows.append(evaluate([step.input], known, np.float64)[0])
    known = bind(targets_of(derivative.prelude), gradients=dict(enumerate(gradients)))
    add_terms(derivative.prelude, known)
    found = [np.zeros(p.shape) for p in model.parameters]
    for leaf, value in sums.items():
        if not isinstance(leaf, Derived):
            index, row = leaf.leaf.number, getattr(leaf.leaf, "first", 0)
            first = row * model.parameters[index].shape[-1] if row else 0
            found[index].reshape(-1)[first : first + leaf.size] += value
    return found, np.array(of_rows[::-1])


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_graphs_give_mygrads_gradients(parts, length):
    model, _, _, derivative = parts
    rng = np.random.default_rng(length)
    x, gradient = rng.normal(size=(length, C)), rng.normal(size=K)
    found, of_rows = backpropagated(model, derivative, x, gradient)
    sequence = mg.tensor(x)
    model(sequence).backward(gradient[np.newaxis])
    for own, parameter in zip(found, model.parameters, strict=True):
        np.testing.assert_allclose(own, parameter.grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_rows, sequence.grad, rtol=1e-4, atol=1e-6)


def test_the_graphs_only_read_allowed_leaves(parts):
    _, _, hoisted, derivative = parts
    weights = [Parameter, ParameterRows, Derived]
    check(derivative.recurrence.step, [LoopState, Input, *weights])
    check(derivative.derived, [Parameter])
    for pullback in (derivative.readout, *derivative.loops):
        check(targets_of(pullback), [LoopState, Input, Gradient, *weights])
    check(targets_of(derivative.prelude), [Gradient, *weights])
    assert hoisted.recurrence.step == derivative.recurrence.step


def test_a_product_of_joined_vectors_is_split_and_fixed_weights_leave_the_loop(parts):
    _, recurrence, hoisted, _ = parts
    assert leaves(recurrence.step, Parameter) and any(n.operation == "join" for n in topological(recurrence.step))
    step = topological(hoisted.recurrence.step)
    assert not any(n.operation == "join" for n in step)
    assert sorted((n.leaf.number, n.leaf.first) for n in step if isinstance(n.leaf, ParameterRows)) == [(0, 0), (0, C)]
    (mask,) = hoisted.derived
    assert mask.operation == "multiply" and [n.size for n in leaves(hoisted.recurrence.step, Derived)] == [D * D]


def test_weights_of_the_loop_get_terms_that_can_be_summed_in_one_product(parts):
    found = parts[3].loops[0].weights.items()
    terms = [
        term.operation for leaf, terms in found if isinstance(leaf.leaf, ParameterRows | Derived) for term in terms
    ]
    assert terms and set(terms) == {"outer"}


def test_gradients_are_named_after_their_weights(parts):
    derivative = parts[3]
    called = printer_of(derivative).names
    names = {called.get(node) for node in topological(targets_of(derivative.loops[0]))}
    assert {"d_h", "d_gate", "d_both"} <= names
    assert "gate_sum" not in names


def test_gradients_of_slices_that_fill_a_vector_are_joined():
    build = Builder(simplify=True)
    state = build.leaf(LoopState(0), 5)
    gradients = [build.leaf(Gradient(LoopState(i)), n) for i, n in enumerate((2, 3))]
    slices = [ops.take(-state, indices=np.array(places)) for places in ([0, 1], [4, 3, 2])]
    (term,) = pull_back(build, slices, gradients)[0][state]
    assert [node.operation for node in (term, *term.inputs)] == ["negative", "join"]
    values = dict(zip(gradients, (np.array([1.0, 2]), np.array([3.0, 4, 5])), strict=True))
    np.testing.assert_array_equal(evaluate([term], values)[0], [-1, -2, -5, -4, -3])
    (term,) = pull_back(build, slices[:1] * 2, gradients[:1] * 2)[0][state]
    np.testing.assert_array_equal(evaluate([term], values)[0], [-2, -4, 0, 0, 0])
