"""Random recurrent models, drawn from the supported operations, agree with MyGrad when compiled."""

from collections import deque
from math import prod

import mygrad as mg
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from mygrad.nnet import activations
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.compiler import compilation, compile
from myrnn.compiler.graph import Node, evaluate, topological
from myrnn.compiler.leaves import (
    INPUT,
    LENGTH,
    Derived,
    Gradient,
    Kept,
    LoopState,
    Parameter,
    ParameterRows,
    StepNumber,
)
from myrnn.compiler.native import longest_first
from myrnn.errors import NotARecurrence
from myrnn.sequences import Sequences

EXAMPLES = settings().max_examples
# Native code takes seconds to compile.
NATIVE_EXAMPLES = EXAMPLES // 10

CLASSES = 3
SIZES = (1, 2, 3, 5, 16, 17)

# Functions that keep numbers small, and functions that keep them in the domain of an operation.
UNARY = (
    "mg.tanh({0})",
    "sigmoid({0})",
    "relu({0})",
    "leaky_relu({0}, 0.25)",
    "elu({0}, 0.5)",
    "selu({0})",
    "hard_tanh({0})",
    "soft_sign({0})",
    "mg.abs({0})",
    "mg.square({0}) * 0.5",
    "{0} ** 2 * 0.25",
    "mg.exp(-mg.abs({0}))",
    "mg.exp(mg.tanh({0}))",
    "mg.exp2(mg.tanh({0}))",
    "mg.expm1(mg.tanh({0}))",
    "mg.log(mg.square({0}) + 0.5)",
    "mg.log1p(mg.square({0}))",
    "mg.sqrt(mg.square({0}) + 0.25)",
    "(mg.abs({0}) + 0.5) ** 1.5",
    "(sigmoid({0}) + 0.5) ** sigmoid({0})",
    "mg.reciprocal(mg.square({0}) + 1)",
    "1.0 / (1.5 + mg.tanh({0}))",
    "mg.logaddexp({0}, 0.0)",
    "mg.clip({0}, -0.5, 0.75)",
    "mg.sin({0})",
    "mg.cos({0})",
    "-{0}",
    "1 - {0}",
    "{0} - 0.25",
    "{0} / 2",
    "mg.sum({0})",
    "mg.mean({0})",
    "softmax({0})",
    "logsoftmax({0}) * 0.25",
    "mg.var({0})",
    "mg.std(mg.concatenate([{0}.reshape(-1), np.array([1.0, -1.0], np.float32)]))",
)
BINARY = (
    "{0} + {1}",
    "{0} - {1}",
    "{0} * {1}",
    "{0} / (1.25 + mg.square({1}))",
    "mg.maximum({0}, {1})",
    "mg.minimum({0}, {1})",
    "mg.logaddexp({0}, {1})",
    "mg.where(mg.tanh({0}).data * 0 + MASKS[{shape}] > 0, {0}, {1})",
    "mg.add_sequence({0}, {1}, {0})",
    "mg.multiply_sequence({0}, {1}, sigmoid({1}))",
)


class Drawn:
    """A model whose step and readout were drawn at random; `source` is its Python."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)
        self.dim_input = int(self._rng.choice(SIZES))
        self.parameters, self._lines, self._count = [], [], 0
        self._states = [self._state() for _ in range(self._rng.integers(1, 4))]
        self.source = self._written()
        scope = {"mg": mg, "np": np, "MASKS": _Masks(), **vars(activations)}
        exec(self.source, scope)
        self._call = scope["call"]
        self.parameters = tuple(self.parameters)

    def __call__(self, x):
        return self._call(x, self.parameters)

    # Drawing

    def _state(self):
        shape = tuple(int(n) for n in self._rng.choice(SIZES[:5], size=self._rng.integers(1, 3)))
        kind = self._rng.integers(4)
        if kind == 0:
            return shape, self._parameter(shape)
        value = (0.0, 0.0, 0.5)[kind - 1]
        return shape, f"np.full({shape}, {value}, np.float32)"

    def _parameter(self, shape):
        scale = 0.5 if len(shape) < 2 else 1 / np.sqrt(max(4, shape[0]))
        self.parameters.append(mg.tensor((self._rng.normal(size=shape) * scale).astype(np.float32)))
        return f"p[{len(self.parameters) - 1}]"

    def _written(self):
        starts = [f"    s{i} = {start}" for i, (_, start) in enumerate(self._states)]
        pool = [(f"s{i}", shape) for i, (shape, _) in enumerate(self._states)]
        row = ("x_t", (self.dim_input,))
        step = self._body([row, *pool], row, self._rng.integers(2, 9), [shape for shape, _ in self._states])
        readout = self._body(pool, None, self._rng.integers(0, 4), [(1, CLASSES)])
        after = ", ".join(f"s{i}" for i in range(len(self._states)))
        return "\n".join(
            [
                "def call(x, p):",
                *starts,
                "    for x_t in x:",
                *(f"        {line}" for line in step[0]),
                f"        {after} = {', '.join(step[1])}",
                *(f"    {line}" for line in readout[0]),
                f"    return {readout[1][0]}",
            ]
        )

    def _body(self, start, row, count, targets):
        """Lines that compute `count` values, and expressions of the target shapes from all of them.

        Every state reads the row, and the readout reads every state, because an unread state would be dropped.
        """
        self._lines, pool = [], list(start)
        for _ in range(count):
            self._grow(pool)
        results = []
        for shape in targets:
            if row and self._rng.random() < 0.15:
                # A state that is only shifted: a part of another one, or of the row.
                name, given = self._pick([row, *start])
                if prod(given) >= prod(shape):
                    results.append(f"({name} * 1.0).reshape(-1)[-{prod(shape)}:].reshape({shape})")
                    continue
            parts = [self._pick(pool[-3:]), self._pick(pool), *([row] if row else start)]
            terms = [*(self._projected(part, shape) for part in parts), self._parameter(shape)]
            results.append(f"mg.tanh({' + '.join(terms)})")
        return self._lines, results

    def _pick(self, pool):
        return pool[self._rng.integers(len(pool))]

    def _named(self, pool, expression, shape):
        if self._rng.random() < 0.3 and prod(shape) > 1:
            expression = f"mg.tanh({expression})"
        self._count += 1
        self._lines.append(f"v{self._count} = {expression}")
        pool.append((f"v{self._count}", tuple(shape)))

    def _grow(self, pool):
        name, shape = self._pick(pool)
        kind = self._rng.integers(6)
        if kind == 0:
            expression = self._rng.choice(UNARY).format(name)
            self._named(pool, expression, _shape_of(expression, {name: shape}))
        elif kind == 1:
            other, other_shape = self._fitting(pool, shape)
            both = np.broadcast_shapes(shape, other_shape)
            self._named(pool, self._rng.choice(BINARY).format(name, other, shape=both), both)
        elif kind == 2:
            rows, columns = (shape or (1,))[-1], int(self._rng.choice(SIZES))
            value = name if shape else f"{name}.reshape(1)"
            self._named(pool, f"{value} @ {self._parameter((rows, columns))}", (*shape[:-1], columns))
        elif kind == 3:
            self._move(pool, name, shape)
        elif kind == 4:
            self._join(pool, name, shape)
        else:
            self._weigh(pool, name, shape)

    def _fitting(self, pool, shape):
        """Something that broadcasts with `shape`."""
        fitting = [(n, s) for n, s in pool if _fits(s, shape)]
        kind = self._rng.integers(3)
        if kind == 0:
            narrow = tuple(n if self._rng.random() < 0.7 else 1 for n in shape)
            return self._parameter(narrow), narrow
        if kind == 1 and shape:
            other = self._parameter((prod(shape),))
            return f"{other}.reshape({shape})", shape
        return self._pick(fitting)

    def _move(self, pool, name, shape):
        """Another shape, order or part."""
        choices = [f"{name}.reshape(-1)", f"{name}[None]", f"mg.expand_dims({name}, -1)", f"mg.ravel({name})"]
        if len(shape) == 2:
            choices += [f"{name}.T", f"mg.swapaxes({name}, 0, 1)", f"{name}[::-1]", f"mg.roll({name}, 1, axis=1)"]
            choices += [f"mg.sum({name}, axis=0)", f"mg.mean({name}, axis=1, keepdims=True)", f"{name}[-1]"]
            choices += [
                f"softmax({name}, axis=0)",
                f"logsoftmax({name}, axis=1) * 0.25",
            ]
        if shape and shape[-1] > 1:
            half = shape[-1] // 2
            picks = [int(i) for i in self._rng.integers(0, shape[-1], 3)]
            choices += [f"{name}[..., :{half}]", f"{name}[..., {half}:]", f"{name}[..., {picks}]", f"{name}[..., ::2]"]
            choices += [f"mg.sum({name}, axis=-1)", f"mg.var({name}, axis=-1, keepdims=True)"]
        if 1 in shape:
            choices.append(f"mg.squeeze({name})")
        choices.append(f"mg.broadcast_to({name}, {(2, *shape)})")
        choices.append(f"mg.repeat({name}.reshape(-1), 2)")
        expression = str(self._rng.choice(choices))
        result = _shape_of(expression, {name: shape}, self.parameters)
        if len(result) <= 2:
            self._named(pool, expression, result)

    def _join(self, pool, name, shape):
        flat = [f"{n}.reshape(-1)" for n, _ in (self._pick(pool), self._pick(pool))]
        kind = self._rng.integers(3)
        if kind == 0:
            expression = f"mg.concatenate([{name}.reshape(-1), {', '.join(flat)}])"
        elif kind == 1 and len(shape) == 2:
            expression = f"mg.concatenate([{name}, mg.tanh({name})], axis={self._rng.integers(2)})"
        else:
            expression = f"mg.stack([{name}.reshape(-1), sigmoid({name}).reshape(-1)], axis={self._rng.integers(2)})"
        shapes = dict(pool)
        result = _shape_of(expression, shapes)
        if prod(result) <= 100:
            self._named(pool, expression, result)

    def _weigh(self, pool, name, shape):
        """A product with a weight in another form, or of two values of the step."""
        size = prod(shape)
        kind = self._rng.integers(5)
        if kind == 0:
            columns = int(self._rng.choice(SIZES))
            self._named(pool, f"{name}.reshape(1, -1) @ {self._parameter((columns, size))}.T", (1, columns))
        elif kind == 1:
            rows = int(self._rng.choice(SIZES))
            self._named(pool, f"{self._parameter((rows, size))} @ {name}.reshape(-1, 1)", (rows, 1))
        elif kind == 2:
            other, other_shape = self._pick(pool)
            if size * prod(other_shape) <= 100:
                self._named(pool, f"{name}.reshape(-1, 1) @ {other}.reshape(1, -1)", (size, prod(other_shape)))
        elif kind == 3:
            weight = self._parameter((size, 4))
            unit = f"({weight} / mg.sqrt(mg.sum({weight} ** 2, axis=0) + 0.125))"
            self._named(pool, f"{name}.reshape(-1) @ {unit}", (4,))
        else:
            self._named(pool, f"mg.sum({name} * {name}) * {self._parameter(())}", ())

    def _projected(self, value, shape):
        """The value as something that can be added to `shape`."""
        name, given = value
        if _fits(given, shape) and self._rng.random() < 0.5 and np.broadcast_shapes(given, shape) == shape:
            return name
        if prod(given) == prod(shape) and self._rng.random() < 0.5:
            return f"{name}.reshape({shape})"
        return f"({name}.reshape(1, -1) @ {self._parameter((prod(given), prod(shape)))}).reshape({shape})"


class _Masks:
    """Fixed masks, one for each shape."""

    def __getitem__(self, shape):
        return np.sin(np.arange(prod(shape)) * 2.0 + 0.5).reshape(shape)


def _fits(one, two):
    try:
        np.broadcast_shapes(one, two)
    except ValueError:
        return False
    return True


def _shape_of(expression, shapes, parameters=()):
    scope = {name: mg.tensor(np.linspace(0.1, 0.9, prod(shape)).reshape(shape)) for name, shape in shapes.items()}
    return eval(expression, {"mg": mg, "np": np, "p": parameters, **vars(activations), **scope}).shape


# Oracles -------------------------------------------------------------------------------------------------------------


def by_mygrad(model, x, label):
    """Logits, loss and gradients, op by op in float64."""
    single = [p.data for p in model.parameters]
    try:
        for p in model.parameters:
            p.data = p.data.astype(np.float64)
        logits = model(x.astype(np.float64))
        loss = softmax_crossentropy(logits, np.array([label]))
        numbers, value = logits.data.copy(), loss.item()
        loss.backward()
        return numbers, value, [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in model.parameters]
    finally:
        for p, data in zip(model.parameters, single, strict=True):
            p.null_grad()
            p.data = data


def by_graphs(compiled, x, label):
    """The same by the graphs of the compiler, from which native code is written, with NumPy in float64."""
    return _Unrolled(compiled).run(x, label)


class _Unrolled:
    def __init__(self, compiled):
        self.derivative = compiled.derivative
        self.recurrence = r = self.derivative.recurrence
        self.parameters = [p.data.astype(np.float64) for p in compiled.model.parameters]
        nodes = [*r.nodes, *self.derivative.derived]
        for part in self.derivative.pullbacks:
            nodes += [*part.states.values(), *part.kept.values(), *part.weights]
            nodes += [term for terms in part.weights.values() for term in terms]
        self.leaves = {n.leaf: n for n in topological(nodes) if n.is_leaf}
        self.fixed = {}
        for leaf, node in self.leaves.items():
            if isinstance(leaf, Parameter):
                self.fixed[node] = self.parameters[leaf.number].reshape(-1)
            elif isinstance(leaf, ParameterRows):
                begin = leaf.first * self.parameters[leaf.number].shape[1]
                self.fixed[node] = self.parameters[leaf.number].reshape(-1)[begin : begin + node.size]
        derived = self._evaluated(self.derivative.derived, {})
        self.fixed |= {n: derived[leaf.number] for leaf, n in self.leaves.items() if isinstance(leaf, Derived)}

    def run(self, x, label):
        r, rows = self.recurrence, [{INPUT: row.astype(np.float64)} for row in x]
        self.sizes = {LoopState(i): size for i, size in enumerate(r.state_sizes)}
        self.sizes |= {Kept(k): node.size for k, node in r.kept.items()}
        last, befores = {}, []
        for loop, first in zip(r.loops, r.first_states, strict=True):
            names = [LoopState(first + i) for i in range(len(loop.step))]
            kept = [Kept(k) for k in loop.kept]
            own = self._named(names, loop.initial, last)
            befores.append([])
            for done, row in enumerate(reversed(rows) if loop.backward else rows):
                before = last | own | row | {StepNumber(loop.backward): np.array([float(done)])}
                found = self._named([*names, *kept], [*loop.step, *loop.kept.values()], before)
                befores[-1].append((before, row))
                own = {name: found[name] for name in names}
                row |= {name: found[name] for name in kept}
            last |= own
        after = last | {LENGTH: np.array([float(len(x))])}
        logits = np.broadcast_to(self._evaluated([r.readout], after)[0], (r.readout.size,))
        share = np.exp(logits - logits.max())
        share /= share.sum()
        loss = -np.log(share[label])
        share[label] -= 1
        self.gradients = {}
        # Gradients of every state at the end and the beginning of its loop, and of stored values by row.
        back = dict.fromkeys(last, 0.0)
        begin, of_kept = {}, {id(row): {} for row in rows}
        self._add(back, self._back(self.derivative.readout, after | {Gradient("logits"): share}))
        for i in reversed(range(len(r.loops))):
            names = [LoopState(r.first_states[i] + j) for j in range(len(r.loops[i].step))]
            own = {name: back[name] + np.zeros(self.sizes[name]) for name in names}
            for before, row in reversed(befores[i]):
                given = {Gradient(state): value for state, value in own.items()}
                for k in r.loops[i].kept:
                    given[Gradient(Kept(k))] = of_kept[id(row)].get(Kept(k), np.zeros(self.sizes[Kept(k)]))
                found = self._back(self.derivative.loops[i], before | given)
                own = {name: found.pop(name, np.zeros(self.sizes[name])) for name in names}
                self._add(of_kept[id(row)], {name: found.pop(name) for name in list(found) if isinstance(name, Kept)})
                self._add(back, found)
            given = {Gradient(state): value for state, value in own.items()}
            begin |= given
            self._add(back, self._back(self.derivative.entries[i], last | given))
        self._back(self.derivative.prelude, begin | self._gradients_of_derived())
        return logits[None], loss, self._by_parameter()

    def _named(self, names, nodes, known):
        values = self._evaluated(nodes, known)
        return {name: np.broadcast_to(v, self.sizes[name]) for name, v in zip(names, values, strict=True)}

    @staticmethod
    def _add(sums, more):
        for name, value in more.items():
            sums[name] = sums.get(name, 0.0) + value

    def _evaluated(self, targets, known):
        numbers = {self.leaves[key]: value for key, value in known.items() if key in self.leaves}
        return evaluate(list(targets), self.fixed | numbers, np.float64)

    def _back(self, part, known):
        """Add to the gradients of weights; return those of states and stored values."""
        terms = [(leaf, term) for leaf, several in part.weights.items() for term in several]
        read = {LoopState(i): node for i, node in part.states.items()} | {Kept(k): n for k, n in part.kept.items()}
        results = self._evaluated([*read.values(), *(term for _, term in terms)], known)
        for (leaf, _), term in zip(terms, results[len(read) :], strict=True):
            self.gradients[leaf] = self.gradients.get(leaf, 0) + np.broadcast_to(term, leaf.size)
        return {name: np.broadcast_to(v, self.sizes[name]) for name, v in zip(read, results, strict=False)}

    def _gradients_of_derived(self):
        derived = enumerate(self.derivative.derived)
        leaves = {i: self.leaves.get(Derived(i)) for i, _ in derived}
        return {
            Gradient(Derived(i)): self.gradients.get(leaves[i], np.zeros(node.size))
            for i, node in enumerate(self.derivative.derived)
        }

    def _by_parameter(self):
        found = [np.zeros(p.size) for p in self.parameters]
        for leaf, gradient in self.gradients.items():
            if isinstance(kind := leaf.leaf, Parameter | ParameterRows):
                which, first = kind.number, getattr(kind, "first", 0)
                begin = first * self.parameters[which].shape[1] if first else 0
                found[which][begin : begin + leaf.size] += gradient
        return [f.reshape(p.shape) for f, p in zip(found, self.parameters, strict=True)]


def assert_close(ours, theirs, tolerance, what):
    logits, loss, gradients = ours
    true_logits, true_loss, true_gradients = theirs
    np.testing.assert_allclose(logits, true_logits, rtol=tolerance, atol=tolerance, err_msg=what)
    np.testing.assert_allclose(loss, true_loss, rtol=tolerance, atol=tolerance, err_msg=what)
    scale = max(np.abs(g).max(initial=0) for g in true_gradients)
    for i, (gradient, true) in enumerate(zip(gradients, true_gradients, strict=True)):
        np.testing.assert_allclose(
            gradient, true, rtol=tolerance, atol=tolerance * (np.abs(true).max(initial=0) + 0.1 * scale + 1e-6),
            err_msg=f"{what}\ngradient of p[{i}]",
        )  # fmt: skip


# Tests ---------------------------------------------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def drawn_and_compiled(seed):
    model = Drawn(seed)
    try:
        return model, compile(model, max_length=9, check=False)
    except NotARecurrence:
        # Another test counts how many are refused.
        reject()


def drawn_sequences(lengths, dim_input, tokens, rng):
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    labels = rng.integers(0, CLASSES, len(lengths))
    shape = offsets[-1] if tokens else (offsets[-1], dim_input)
    values = rng.integers(0, dim_input, shape) if tokens else rng.normal(size=shape).astype(np.float32)
    return Sequences(values, offsets, labels, dim_input)


@pytest.mark.long
def test_few_random_models_are_refused():
    refused = []
    for seed in range(EXAMPLES):
        try:
            compile(Drawn(seed), max_length=9, check=False)
        except NotARecurrence as error:
            # A random state may be just itself.
            if "do not depend on the sequence" not in str(error):
                refused.append((seed, str(error)))
    assert len(refused) <= EXAMPLES // 50, refused


@pytest.mark.long
@slow
@given(seeds)
def test_the_graphs_of_a_random_model_are_its_derivative(seed):
    model, compiled = drawn_and_compiled(seed)
    rng = np.random.default_rng(seed)
    for length in (1, 3, 6):
        x = rng.normal(size=(length, model.dim_input)).astype(np.float32)
        label = int(rng.integers(CLASSES))
        assert_close(by_graphs(compiled, x, label), by_mygrad(model, x, label), 1e-6, model.source)


@pytest.mark.long
@settings(slow, max_examples=NATIVE_EXAMPLES)
@given(seeds, st.booleans(), st.booleans())
def test_native_code_of_a_random_model_agrees_with_its_graphs(seed, tokens, batched):
    model, compiled = drawn_and_compiled(seed)
    rng = np.random.default_rng(seed)
    lengths = [6, 1, 3, 6, 0] if batched else [5]
    sequences = drawn_sequences(lengths, model.dim_input, tokens, rng)
    oracle = [by_graphs(compiled, sequences.features(i), int(label)) for i, label in enumerate(sequences.labels)]
    logits, losses, gradients = zip(*oracle, strict=True)
    means = (
        np.concatenate(logits),
        np.mean(losses),
        [np.mean(several, axis=0) for several in zip(*gradients, strict=True)],
    )
    members = np.arange(len(lengths))
    native = compiled.native(tokens=tokens, batched=batched)
    parameters = native.block_of([p.data for p in model.parameters])
    found = np.empty((len(members), CLASSES), dtype=np.float32)
    native.logits(sequences, longest_first(sequences.lengths), parameters.numbers, found)
    loss, block = native.gradients(sequences, members, parameters.numbers)
    read = [np.empty(p.shape, np.float32) for p in model.parameters]
    for i, gradient in enumerate(read):
        block.read(i, gradient)
    assert_close((found, loss, read), means, 2e-4, model.source)


@pytest.mark.long
@pytest.mark.parametrize("batched", [pytest.param(False, marks=pytest.mark.long), True])
def test_the_emitted_code_is_the_same_in_every_process(batched, monkeypatch):
    texts = set()
    for process in range(4):
        # The hash of a node is its address, so sets of nodes have another order in every process.
        monkeypatch.setattr(Node, "__hash__", lambda node, process=process: hash((id(node), process)))
        monkeypatch.setattr(compilation, "_recent", deque())
        _, compiled = drawn_and_compiled(28)
        texts.add(compiled.program(tokens=False, batched=batched).source)
    assert len(texts) == 1
