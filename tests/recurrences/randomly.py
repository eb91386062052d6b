"""Random models in many styles of writing: refused with an error of MyRNN, or the same numbers as MyGrad.

Usage: ``PYTHONPATH=src:tests python -m recurrences.randomly [how many] [first seed]``.
"""

import sys
from collections import Counter
from types import SimpleNamespace

import mygrad as mg
import numpy as np
from mygrad.nnet import activations

from interpreter import interpreted
from myrnn.compiler import cache, compile
from myrnn.errors import MyRNNError

from .oracle import compiled_mean, difference, drawn, mean_by_mygrad

CLASSES = 3
SIZES = (1, 2, 3, 5)
GROUPS = ([1], [2], [5], [9], [4, 1, 7, 2])

UNARY = (
    "mg.tanh({0})", "sigmoid({0})", "relu({0})", "leaky_relu({0}, 0.25)", "elu({0}, 0.5)", "soft_sign({0})",
    "hard_tanh({0})", "mg.abs({0})", "0.5 * {0} ** 2", "mg.exp(-mg.abs({0}))", "mg.sin({0})", "mg.cos({0})",
    "mg.log1p(mg.square({0}))", "mg.sqrt({0} * {0} + 0.25)", "mg.logaddexp({0}, 0)", "mg.clip({0}, -0.5, 0.5)",
    "-{0}", "1 - {0}", "{0} / 2", "softmax({0})", "mg.cumsum({0}, axis=-1)", "mg.roll({0}, 1, axis=-1)",
    "{0} - {0}.mean()", "{0} / (mg.linalg.norm({0}, axis=-1, keepdims=True) + 0.5)", "np.tanh({0})", "{0}[..., ::-1]",
    "mg.max({0}, axis=-1, keepdims=True) - {0}", "{0} * {0}.data.size",
)  # fmt: skip
BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} * sigmoid({1})", "mg.maximum({0}, {1})", "mg.minimum({0}, {1})",
    "{0} / (1.25 + mg.square({1}))", "mg.where(np.arange({n}) % 2 == 0, {0}, {1})", "mg.add_sequence({0}, {1}, {0})",
    "sigmoid({0}) * {1} + (1 - sigmoid({0})) * {0}", "mg.einsum('...i,...i->...i', {0}, {1})",
)  # fmt: skip
# Uses of the step number.
TIMES = (
    "np.float32(0.1 * t)", "1 / (t + 1)", "np.sin(0.5 * t)", "0.9**t", "(t % 2)", "t / len(x)", "float(t < 3)",
    "(0.5 if t == 0 else 1.0)",
)  # fmt: skip
HOLDERS = ("names", "names", "names", "list", "dictionary", "object", "closure", "history", "buffer", "function")
LOOPS = (
    "rows",
    "rows",
    "enumerate",
    "range",
    "range",
    "while",
    "slices",
    "reversed rows",
    "down",
    "zip",
    "pairs",
    "padded",
)
READOUTS = ("last", "last", "last", "mean", "max", "sum", "stacked", "last two", "attention", "running", "share")
SECONDS = ("none", "none", "none", "none", "above", "above", "with input", "again", "backwards", "back over states")


class Drawn:
    """A random model; `source` is its Python, `manners` its style."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.dim_input = int(self.rng.choice(SIZES[1:]))
        self.flat = self.rng.random() < 0.5
        self.parameters, self.lines, self.count, self.manners = [], [], 0, []
        self.timed, self.in_place = self.rng.random() < 0.12, False
        self._write()
        self.source = "\n".join(self.lines)
        scope = {"mg": mg, "np": np, "SimpleNamespace": SimpleNamespace, **vars(activations)}
        exec(self.source, scope)
        self._call = scope["call"]
        self.parameters = tuple(self.parameters)

    def __call__(self, x):
        return self._call(x, self.parameters)

    # Pieces of text

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def parameter(self, *shape):
        scale = 0.5 if len(shape) < 2 else 1 / np.sqrt(max(4, shape[0]))
        self.parameters.append(mg.tensor((self.rng.normal(size=shape) * scale).astype(np.float32)))
        return f"p[{len(self.parameters) - 1}]"

    def shape(self, size):
        return f"({size},)" if self.flat else f"(1, {size})"

    def start(self, size, *, tensor=False):
        kind = self.rng.integers(5)
        if kind == 0 and not tensor:
            return self.parameter(size) if self.flat else self.parameter(1, size)
        value = 0.25 if kind == 1 else 0
        if tensor or kind == 2:
            return f"mg.full({self.shape(size)}, {value}, dtype=np.float32)"
        return f"np.full({self.shape(size)}, {value}, np.float32)"

    def joined(self, parts):
        return f"mg.concatenate([{', '.join(parts)}], axis={-1 if self.rng.random() < 0.5 else int(not self.flat)})"

    def row(self, at):
        """The row of x at a place."""
        if self.flat:
            return self.pick([f"x[{at}]", f"x[{at}]", f"x[{at}, :]", f"x[{at}].reshape(-1)"])
        return self.pick(
            [f"x[{at}][None]", f"x[{at} : {at} + 1]", f"x[{at}].reshape(1, -1)", f"mg.expand_dims(x[{at}], 0)"]
        )

    def unpacked(self, name):
        """A row from a loop over x."""
        return name if self.flat else self.pick([f"{name}[None]", f"{name}[np.newaxis, :]", f"{name}.reshape(1, -1)"])

    def put(self, depth, text):
        self.lines.append("    " * depth + text)

    # The step

    def named(self, depth, pool, expression, size):
        self.count += 1
        self.put(depth, f"v{self.count} = {expression}")
        pool.append((f"v{self.count}", size))

    def grow(self, depth, pool):
        """One more value, computed from some of the pool."""
        name, size = self.pick(pool)
        kind = self.rng.integers(7)
        if kind == 0:
            expression = self.pick(UNARY)
            if "::-1" in expression:
                name = self.whole(name)
            if ".data.size" in expression and self.rng.random() < 0.9:
                expression = "{0} * 0.5"
            self.named(depth, pool, expression.format(f"mg.tensor({name})" if ".data" in expression else name), size)
        elif kind == 1:
            other = self.pick([n for n, s in pool if s in (size, 1)])
            self.named(depth, pool, self.pick(BINARY).format(name, other, n=size), size)
        elif kind == 2:
            columns = int(self.pick(SIZES))
            self.named(depth, pool, f"mg.tanh({name} @ {self.parameter(size, columns)})", columns)
        elif kind == 3:
            other, other_size = self.pick(pool)
            if size + other_size < 10:
                self.named(depth, pool, self.joined([name, other]), size + other_size)
        elif kind == 4 and size > 1:
            begin = int(self.rng.integers(size - 1))
            end = int(self.rng.integers(begin + 1, size))
            self.named(depth, pool, f"{self.whole(name)}[..., {begin}:{end}]", end - begin)
        elif kind == 5:
            self.named(depth, pool, f"mg.mean({name} * {self.parameter(size)}, axis=-1, keepdims=True)", 1)
        else:
            self.named(depth, pool, f"{name} * {self.parameter(size)} + {self.parameter(size)}", size)

    def whole(self, name):
        """The value to slice: a copy if states change in place, because MyGrad then replays all views."""
        return f"({name} * 1.0)" if self.in_place else name

    def projected(self, value, size):
        name, given = value
        if given == size and self.rng.random() < 0.4:
            return name
        if self.rng.random() < 0.2:
            return f"mg.matmul({name}, {self.parameter(size, given)}.T)"
        return f"{name} @ {self.parameter(given, size)}"

    def news(self, depth, row, states):
        """Write a step; return expressions of the new states, which all read the row."""
        pool = [row, *states]
        for _ in range(self.rng.integers(0, 5)):
            self.grow(depth, pool)
        found = []
        for name, size in states:
            if self.rng.random() < 0.08 and found:
                same = [n for n, s in states if s == size and n != name]
                if same:
                    found.append(f"{self.pick(same)} * 1.0")
                    continue
            terms = [self.projected(v, size) for v in (self.pick(pool[-3:]), self.pick(states), row)]
            new = f"mg.tanh({' + '.join([*terms, self.parameter(size)])})"
            if self.timed and self.has_t:
                new = self.pick(
                    [f"{new} * {self.pick(TIMES)}", f"mg.tanh({terms[0]} + {terms[2]} + {self.pick(TIMES)})"]
                )
            kind = self.rng.integers(6)
            if kind == 0:
                new = f"0.75 * {name} + 0.25 * {new}"
            elif kind == 1:
                gate = f"sigmoid({self.projected(row, size)})"
                new = f"{gate} * {name} + (1 - {gate}) * {new}"
            elif kind == 2:
                new = f"mg.maximum(0.9 * {name}, {new})"
            found.append(new)
        return found

    # A loop

    def head(self, kind, depth, over, size):
        """Write the head of a loop, and return its row; set `has_t` if `t` is the step number."""
        self.has_t = True
        rows = {"x": "x", "out": "out"}[over]
        unpack = self.unpacked if over == "x" else (lambda name: name)
        at = self.row if over == "x" else (lambda t: f"out[{t}]")
        if kind in ("rows", "reversed rows"):
            self.has_t = False
            self.put(depth, f"for r in {rows}{'[::-1]' if kind != 'rows' else ''}:")
            self.put(depth + 1, f"r = {unpack('r')}")
        elif kind == "enumerate":
            self.put(depth, f"for t, r in enumerate({rows}):")
            self.put(depth + 1, f"r = {unpack('r')}")
        elif kind == "while":
            self.put(depth, "t = -1")
            self.put(depth, f"while t < len({rows}) - 1:")
            self.put(depth + 1, "t += 1")
            self.put(depth + 1, f"r = {at('t')}")
        elif kind == "down":
            self.put(
                depth,
                self.pick([f"for t in range(len({rows}) - 1, -1, -1):", f"for t in reversed(range(len({rows}))):"]),
            )
            self.put(depth + 1, f"r = {at('t')}")
        elif kind == "slices" and over == "x":
            self.put(depth, "for t in range(len(x)):")
            self.put(depth + 1, f"r = x[t : t + 1]{'.reshape(-1)' if self.flat else ''}")
        elif kind == "zip" and over == "x":
            self.has_t = False
            self.put(depth, f"before = x @ {self.parameter(size, size)}")
            self.put(depth, "for r, q in zip(x, before):")
            self.put(depth + 1, f"r = {self.unpacked('r')} * 0.5 + {self.unpacked('q')}")
        elif kind == "pairs" and over == "x":
            self.has_t = False
            self.put(depth, "for r, q in zip(x[1:], x[:-1]):")
            self.put(depth + 1, f"r = {self.unpacked('r')} - 0.5 * {self.unpacked('q')}")
        elif kind == "padded" and over == "x":
            self.has_t = False
            self.put(depth, f"for r in mg.concatenate([np.zeros((1, {size}), np.float32), x]):")
            self.put(depth + 1, f"r = {self.unpacked('r')}")
        else:
            self.put(depth, f"for t in range(len({rows})):")
            self.put(depth + 1, f"r = {at('t')}")
        return "r", size

    def loop(self, over, size, *, kind=None, first=None, collect=True):
        """Write a loop with new states; return the last states, and the size of the values in `out`."""
        kind = kind or self.pick(LOOPS)
        holder = self.pick(HOLDERS)
        if holder == "buffer" and (
            self.rng.random() < 0.6 or kind in ("zip", "pairs", "padded", "down", "reversed rows")
        ):
            holder = "names"
        self.manners += [kind, holder]
        sizes = [int(self.pick(SIZES)) for _ in range(self.rng.integers(1, 4))]
        self.in_place = holder == "names" and self.rng.random() < 0.15
        starts = [self.start(n, tensor=self.in_place) for n in sizes]
        if first:
            name, sizes[0] = first
            starts[0] = f"{name} * 1.0"
        self.count += 1
        mark = self.count
        names = [f"s{mark}_{i}" for i in range(len(sizes))]
        reads = {
            "list": [f"s{mark}[{i}]" for i in range(len(sizes))],
            "dictionary": [f"s{mark}['{i}']" for i in range(len(sizes))],
            "object": [f"s{mark}.h{i}" for i in range(len(sizes))],
            "history": [f"{name}[-1]" for name in names],
            "buffer": [f"{name}[t]" for name in names],
        }.get(holder, names)
        if holder == "list":
            self.put(1, f"s{mark} = [{', '.join(starts)}]")
        elif holder == "dictionary":
            entries = ", ".join(f"'{i}': {start}" for i, start in enumerate(starts))
            self.put(1, f"s{mark} = {{{entries}}}")
        elif holder == "object":
            self.put(1, f"s{mark} = SimpleNamespace({', '.join(f'h{i}={start}' for i, start in enumerate(starts))})")
        for name, start, n in zip(names, starts, sizes, strict=True):
            if holder in ("names", "closure", "function"):
                self.put(1, f"{name} = {start}")
            elif holder == "history":
                self.put(1, f"{name} = [{start}] * 2")
            elif holder == "buffer":
                self.put(1, f"{name} = mg.zeros((len({over}) + 1, *{self.shape(n)}), dtype=np.float32)")
        self.put(1, f"collected{mark} = []")
        states = list(zip(reads, sizes, strict=True))
        if holder in ("closure", "function"):
            self.put(
                1, f"def step{mark}(r, t, {', '.join(names)}):" if holder == "function" else f"def step{mark}(r, t=0):"
            )
            if holder == "closure":
                self.put(2, f"nonlocal {', '.join(names)}")
            # Whether the loop has a step number is only known later.
            self.has_t = False
            news = self.news(2, ("r", size), states)
            if holder == "closure":
                self.put(2, f"{', '.join(names)}, = {', '.join(news)},")
            else:
                self.put(2, f"return {', '.join(news)},")
            self.head(kind, 1, over, size)
            if holder == "closure":
                self.put(2, f"step{mark}(r)")
            else:
                self.put(2, f"{', '.join(names)}, = step{mark}(r, 0, {', '.join(names)})")
        else:
            row = self.head(kind, 1, over, size)
            if holder == "buffer" and not self.has_t:
                # Writing needs the step number.
                self.lines[-2] = f"    for t, r in enumerate({over}):"
            if holder == "history" and self.rng.random() < 0.5:
                states.append((f"{names[0]}[-2]", sizes[0]))
            if self.rng.random() < 0.15:
                self.manners.append("view")
                self.named(2, states, f"{self.whole(states[0][0])}[..., :1]", 1)
            own = states[: len(sizes)]
            news = self.news(2, row, own)
            self.assign(holder, names, reads, news)
        last = [read.replace("[t]", f"[len({over})]") for read in reads]
        if collect:
            self.put(2, f"collected{mark}.append({reads[0].replace('[t]', '[t + 1]')} * 1.0)")
        return list(zip(last, sizes, strict=True)), f"collected{mark}", sizes[0]

    def assign(self, holder, names, reads, news):
        """Write the assignments of a step to its states."""
        if holder == "history":
            together = self.rng.random() < 0.5
            for i, new in enumerate(news if together else []):
                self.put(2, f"n{i} = {new}")
            for i, (name, new) in enumerate(zip(names, news, strict=True)):
                self.put(2, f"{name}.append({f'n{i}' if together else new})")
        elif holder == "buffer":
            for name, new in zip(names, news, strict=True):
                self.put(2, f"{name}[t + 1] = {new}")
        elif self.in_place:
            self.manners.append("in place")
            for name, new in zip(names, news, strict=True):
                self.put(2, f"n = {new}")
                self.put(2, f"{name} *= 0.5")
                self.put(2, f"{name} += n")
        elif self.rng.random() < 0.5:
            self.put(2, f"{', '.join(reads)}, = {', '.join(news)},")
        else:
            for read, new in zip(reads, news, strict=True):
                self.put(2, f"{read} = {new}")

    # The model

    def _write(self):
        self.put(0, "def call(x, p):")
        second, readout = self.pick(SECONDS), self.pick(READOUTS)
        if second != "none" and self.rng.random() < 0.5:
            readout = "last"
        self.manners += [f"second loop: {second}", f"readout: {readout}", "flat" if self.flat else "rows of one"]
        if self.timed:
            self.manners.append("time")
        states, out, size = self.loop("x", self.dim_input)
        extra = []
        if second in ("above", "with input", "back over states"):
            self.put(1, f"out = {out}")
            if second == "with input":
                inputs = "x" if self.flat else "[r.reshape(1, -1) for r in x]"
                self.put(1, f"out = [{self.joined(['a', 'b'])} for a, b in zip({inputs}, out)]")
                size += self.dim_input
            kind = "reversed rows" if second == "back over states" else None
            states, out, size = self.loop("out", size, kind=kind)
        elif second == "again":
            states, out, size = self.loop("x", self.dim_input, first=states[0])
        elif second == "backwards":
            extra = states[:1]
            states, out, size = self.loop("x", self.dim_input, kind="reversed rows")
        self.put(1, f"out = {out}")
        pooled = self._pooled(readout, size)
        values = [*([pooled] if pooled else states), *extra]
        if self.rng.random() < 0.15:
            self.manners.append("last row")
            values.append((self.row("-1") if self.flat else "x[-1:]", self.dim_input))
        for _ in range(self.rng.integers(0, 3)):
            self.grow(1, values)
        terms = [f"{name} @ {self.parameter(n, CLASSES)}" for name, n in values]
        logits = " + ".join(terms)
        self.put(1, f"return ({logits}){'[None]' if self.flat else ''}")

    def _pooled(self, readout, size):
        """Write a readout of all states; return it, or None if the last states are read out."""
        if readout in ("mean", "max", "sum"):
            self.put(1, f"pooled = mg.{readout}(mg.stack(out), axis=0)")
        elif readout == "stacked":
            self.put(1, "pooled = mg.stack(out)[-1]")
        elif readout == "last two":
            self.put(1, "pooled = mg.mean(mg.stack(out[-2:]), axis=0)")
        elif readout == "share":
            self.put(1, "pooled = sum(out) / len(out)")
        elif readout == "running":
            self.put(1, "pooled = 0")
            self.put(1, "for h in out:")
            self.put(2, f"pooled = {self.pick(['0.5 * pooled + h', 'pooled + mg.abs(h)', 'pooled + relu(h)'])}")
        elif readout == "attention":
            self.put(1, f"states = mg.stack(out).reshape(-1, {size})")
            self.put(1, f"pooled = softmax(states @ {self.parameter(size)}) @ states")
            if not self.flat:
                self.put(1, "pooled = pooled[None]")
        else:
            return None
        return "pooled", size


def in_single(model, sequences):
    """Return the mean loss of sequences and its gradients by MyGrad, in float32."""
    losses, gradients = [], [np.zeros(p.shape) for p in model.parameters]
    for x, label in sequences:
        loss = mg.nnet.losses.softmax_crossentropy(model(x), label)
        loss.backward()
        losses.append(loss.item())
        for gradient, parameter in zip(gradients, model.parameters, strict=True):
            gradient += 0 if parameter.grad is None else parameter.grad / len(sequences)
            parameter.null_grad()
    return np.mean(losses), gradients


def examined(seed):
    """Draw a model and compare it with MyGrad.

    Return the model and "right", "refused: ..." or "WRONG: ...". Other errors than MyRNN's are raised.
    """
    model = Drawn(seed)
    for length in (4, 3, 2):
        assert model(np.ones((length, model.dim_input), np.float32)).shape == (1, CLASSES)
    try:
        compiled = compile(model, max_length=13, dim_input=model.dim_input, check=False)
        for number, lengths in enumerate(GROUPS):
            try:
                sequences = drawn(model, lengths, model.dim_input, seed=number)
            except (ValueError, IndexError, TypeError, ZeroDivisionError):
                # Some models need two rows: there is nothing to compare with.
                continue
            true = mean_by_mygrad(model, sequences)
            if not np.isfinite(true[0]):
                continue
            ours = compiled_mean(compiled, sequences, batched=len(lengths) > 1)
            told = difference(ours, true, 1e-3)
            # If rounding decides a maximum, float32 is as right as float64.
            if told and difference(ours, in_single(model, sequences), 1e-3):
                return model, f"WRONG: on sequences of {lengths} steps {told}"
    except MyRNNError as error:
        return model, f"refused: {type(error).__name__}: {str(error).splitlines()[0]}"
    return model, "right"


def main(count=2000, first=0):
    """Examine many models; their programs run in Python."""
    cache.load = interpreted
    kinds, manners = Counter(), Counter()
    for seed in range(first, first + count):
        try:
            model, told = examined(seed)
        except Exception as error:
            model, told = Drawn(seed), f"ERROR: {type(error).__name__}: {error}"
        kinds[told.split(":")[0]] += 1
        if told == "right":
            manners.update(set(model.manners))
        if told.startswith(("WRONG", "ERROR")):
            print(f"seed {seed}: {told}", *model.source.splitlines(), sep="\n    ", flush=True)
        if (seed - first) % 50 == 49:
            print(f"{seed + 1 - first} models: {dict(kinds)}", flush=True)
    print(f"{count} models: {dict(kinds)}")
    print("manners of those that are right:", ", ".join(f"{name} {n}" for name, n in manners.most_common()))
    return int(kinds["WRONG"] + kinds["ERROR"] > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
