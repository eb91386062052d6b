"""A network as a JavaScript module without dependencies.

With training, functions take the weights; without them, they use those that the network was exported with.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from myrnn.compiler.addresses import Buffer
from myrnn.compiler.buffers import Names
from myrnn.compiler.instructions import Phase
from myrnn.compiler.leaves import Floats
from myrnn.compiler.portable import Portable, SequenceProgram, StepProgram
from myrnn.compiler.render.arrays import Arrays, arrays_of
from myrnn.compiler.render.curly import INDEX_NAMES, CodeWriter, Text, functions_of, in_comment, listed, runtime
from myrnn.compiler.render.javascript import JAVASCRIPT
from myrnn.exports.network import TrainedNetwork
from myrnn.exports.options import Options
from myrnn.exports.programs import Learning, programs_of

# The names of the module and the variables of its functions.
_OWN = """
info start step states logits run gradients firstWeights trained sgd adam check checkRow checkWeights checkNumbers flat
floats state target weights found loss share moments iteration rate i xs
""".split()


def written(network: TrainedNetwork, options: Options) -> str:
    """Return the text of the module."""
    return _Module(network, options).text()


class _Module:
    """The parts of the module."""

    def __init__(self, network: TrainedNetwork, options: Options) -> None:
        self._network, self._tokens, self._trains = network, options.tokens, options.training
        self._programs = programs_of(network, options)
        self._names = Names({*JAVASCRIPT.reserved, *INDEX_NAMES, *_OWN, *functions_of(JAVASCRIPT)})
        self._code = Text(JAVASCRIPT, self._names)
        # Definitions of arrays that never change, and how to use the module.
        self._constants: list[str] = []
        self._use: list[str] = []

    def text(self) -> str:
        """Return the whole module."""
        reading, learning = self._programs.reading, self._programs.learning
        parts = self._by_steps(reading) if isinstance(reading, StepProgram) else self._by_sequences(reading)
        self._use.append("const all = run(xs); // a whole sequence")
        if learning is not None:
            parts += self._learning(learning)
        indices = [
            f"const {name} = new Int32Array([\n{listed(map(str, numbers))}\n]);"
            for name, numbers in self._code.indices.items()
        ]
        blocks = [
            self._head(),
            f"export const info = {json.dumps(self._info(), indent=4)};",
            *([_FLOATS] if self._constants else []),
            *self._constants,
            *indices,
            *runtime(self._code),
            *([_CHECK_TOKEN] if self._tokens else []),
            *([] if self._tokens and (learning is None or not learning.width) else [_CHECK_ROW]),
            *parts,
        ]
        return "\n\n".join(blocks) + "\n"

    def _info(self) -> dict[str, Any]:
        network = self._network
        states = zip(network.compiled.state_names, network.compiled.recurrence.state_sizes, strict=True)
        return {
            "name": network.title,
            "inputs": network.dim_input,
            "outputs": network.dim_output,
            "tokens": self._tokens,
            "perStep": network.per_step,
            "forward": isinstance(self._programs.reading, StepProgram),
            "mostSteps": self._programs.most_steps,
            "states": [{"name": name, "size": size} for name, size in states],
            "classes": list(network.classes),
            "symbols": None if network.symbols is None else list(network.symbols),
        }

    def _head(self) -> str:
        use = "\n".join(["How to use it:", *self._use])
        text = in_comment("\n\n".join([self._network.title, self._network.equations, use]))
        return "/*\n" + "\n".join(f" * {line}".rstrip() for line in text.split("\n")) + "\n */"

    # Programs --------------------------------------------------------------------------------------------------------

    def _by_steps(self, program: StepProgram) -> list[str]:
        logits, is_kept = program.program.schedule.interface.logits, program.logits is None
        outputs, carried, most = self._network.dim_output, program.carried, self._programs.most_steps
        phases = [*program.step, *(program.logits or ())]
        arrays = self._arrays(program.program, phases, {logits: "state.logits" if is_kept else "found"})
        memory = [
            f"const {arrays.names[b]} = new Float32Array({arrays.memory[b].of(1)});" for b in arrays.memory_of(phases)
        ]
        members = [
            *["weights"] * self._trains,
            f"states: new Float32Array({program.width})",
            *[f"logits: new Float32Array({outputs})"] * is_kept,
        ]
        read = ["return state.logits.slice();"]
        if program.logits is not None:
            read = [
                "const carried = state.states;",
                *_parts_of("state.weights", arrays, program.logits),
                f"const found = new Float32Array({outputs});",
                *self._code_of(program.program, arrays, program.logits),
                "return found;",
            ]
        begin = [*["checkWeights(weights, trained.length);"] * self._trains, _returned(members)]
        argument = "token" if self._tokens else "features"
        step = [
            "check(token);" if self._tokens else "checkRow(features, info.inputs);",
            *([_refusal(f"state.states[{carried.steps}] >= {most}", most)] if most else []),
            "const carried = state.states;",
            *_parts_of("state.weights", arrays, program.step),
            *self._code_of(program.program, arrays, program.step),
        ]
        sizes = self._network.compiled.recurrence.state_sizes
        states = ", ".join(
            f"{json.dumps(name)}: state.states.slice({at}, {at + size})"
            for name, at, size in zip(self._network.compiled.state_names, carried.places, sizes, strict=True)
        )
        weights = "weights" if self._trains else ""
        run = [
            'if (!(xs?.length >= 1)) throw new RangeError("a sequence needs at least one step");',
            f"const state = start({weights});",
            *(_EACH_STEP if self._network.per_step else _LAST_STEP),
        ]
        self._use += [
            f"const state = start({weights});",
            f"step(state, {argument}); // for every step",
            "const outputs = logits(state);",
        ]
        return [
            "\n".join(["/* The memory of a step. */", *memory]),
            _function("Returns the state before the first step.", f"start({self._weights})", begin),
            _function("Reads a step; the state changes.", f"step(state, {argument})", step),
            _function("Returns the outputs after the steps so far.", "logits(state)", read),
            _function("Returns the states by name.", "states(state)", [f"return {{ {states} }};"]),
            self._run(run),
        ]

    def _by_sequences(self, program: SequenceProgram) -> list[str]:
        outputs, per_step = self._network.dim_output, self._network.per_step
        arrays = self._arrays(program.program, program.phases, {program.program.schedule.interface.logits: "found"})
        rows = f"Array.from({{ length: steps }}, (_, t) => found.slice({outputs} * t, {outputs} * (t + 1)))"
        lines = [
            *["checkWeights(weights, trained.length);"] * self._trains,
            *self._read(),
            *_parts_of("weights", arrays, program.phases),
            f"const found = new Float32Array({outputs}{' * steps' if per_step else ''});",
            *_memory(arrays, program.phases),
            *self._code_of(program.program, arrays, program.phases),
            f"return {rows if per_step else 'found'};",
        ]
        return [self._run(lines)]

    def _learning(self, learning: Learning) -> list[str]:
        per_step, program, width = self._network.per_step, learning.program, learning.width
        arrays = self._arrays(program.program, program.phases, {})
        self._constants.append(f"const trained = {_floats(learning.trained)};")
        lines = [
            "checkWeights(weights, trained.length);",
            *self._read(),
            *_targets(width, per_step=per_step),
            f"const gradients = new Float32Array({learning.size});",
            *_parts_of("weights", arrays, program.phases),
            *_memory(arrays, program.phases),
            f"const share = {'1 / steps' if per_step else '1'};",
            "let loss = 0;",
            *self._code_of(program.program, arrays, program.phases),
            "return { loss, gradients };",
        ]
        self._use += [
            "",
            "Training, one sequence at a time:",
            "const weights = firstWeights();",
            "const found = gradients(weights, xs, target);",
            "sgd(weights, found.gradients, 0.01);",
        ]
        what = f"{'a row of numbers' if width else 'a label'}{' for each step' if per_step else ''}"
        parts = json.dumps(learning.reached)
        return [
            _CHECK_WEIGHTS,
            _function(
                "Returns a copy of the weights that the network was exported with.",
                "firstWeights()",
                ["return trained.slice();"],
            ),
            _function(
                f"Returns the loss of a whole sequence, {learning.loss}, and its gradients by all weights; the target "
                f"is {what}.",
                "gradients(weights, xs, target)",
                lines,
            ),
            _SGD,
            _ADAM.replace("PARTS", parts),
        ]

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def _weights(self) -> str:
        return "weights = trained" if self._trains else ""

    def _run(self, lines: Iterable[str]) -> str:
        each = ", one array for each step" if self._network.per_step else ""
        head = f"run(xs{', ' * self._trains}{self._weights})"
        return _function(f"Returns the outputs of a whole sequence{each}.", head, lines)

    def _arrays(self, program: Portable, phases: Sequence[Phase], given: Mapping[Buffer, str]) -> Arrays:
        arrays = arrays_of(program, phases, given, self._names, self._names)
        self._constants += [f"const {arrays.names[b]} = {_floats(numbers)};" for b, numbers in arrays.numbers.items()]
        return arrays

    def _code_of(self, program: Portable, arrays: Arrays, phases: Sequence[Phase]) -> list[str]:
        return CodeWriter(self._code, program.schedule, arrays.names).phases(phases)

    def _read(self) -> list[str]:
        """Return the lines that check and read a whole sequence."""
        most = self._programs.most_steps
        return [
            'if (!(xs?.length >= 1)) throw new RangeError("a sequence needs at least one step");',
            "const steps = xs.length;",
            *([_refusal(f"steps > {most}", most)] if most else []),
            *(
                ["xs.forEach(check);", "const tokens = xs;"]
                if self._tokens
                else ["const features = flat(xs, info.inputs);"]
            ),
        ]


# Lines ----------------------------------------------------------------------------------------------------------------


def _function(what: str, head: str, lines: Iterable[str]) -> str:
    body = (indent(line, "    ") for line in lines)
    return "\n".join((f"/* {what} */", f"export function {head} {{", *body, "}"))


def _returned(members: Iterable[str]) -> str:
    return f"return {{ {', '.join(members)} }};"


def _refusal(condition: str, most: int) -> str:
    return f'if ({condition}) throw new RangeError("the network can read {most} steps");'


def _targets(width: int | None, *, per_step: bool) -> list[str]:
    """Return the lines that check and read the target of a sequence."""
    count = "steps" if per_step else None
    lines = [f'if (target?.length !== {count}) throw new RangeError("each step needs a target");'] if count else []
    if width:
        return [*lines, f"const targets = flat({'target' if per_step else '[target]'}, {width});"]
    unknown = "k => !(Number.isInteger(k) && k >= 0 && k < info.outputs)"
    labels = "target" if per_step else "[target]"
    message = "a label must be an integer from 0 to ${info.outputs - 1}, not ${target}"
    lines.append(f"if (Array.prototype.some.call({labels}, {unknown})) throw new RangeError(`{message}`);")
    return [*lines, f"const {'labels' if per_step else 'label'} = target;"]


def _memory(arrays: Arrays, phases: Sequence[Phase]) -> Iterator[str]:
    for buffer in arrays.memory_of(phases):
        yield f"const {arrays.names[buffer]} = new Float32Array({arrays.memory[buffer]});"


def _parts_of(weights: str, arrays: Arrays, phases: Sequence[Phase]) -> Iterator[str]:
    """Yield the definitions of single weights and gradients, as parts of the arrays of all."""
    for buffer in arrays.weights_of(phases):
        whole, end = "gradients" if buffer.array == "g" else weights, buffer.begin + buffer.lines * buffer.columns
        yield f"const {arrays.names[buffer]} = {whole}.subarray({buffer.begin}, {end});"


def _floats(numbers: Floats) -> str:
    """Return an array of numbers: their bytes in base64, which are exact and short."""
    return f'floats("{base64.b64encode(numbers.astype("<f4").tobytes()).decode()}")'


_FLOATS = """
/* Returns the numbers with these bytes: float32, the lowest byte first. */
function floats(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
""".strip()

_CHECK_TOKEN = """
function check(token) {
    if (!Number.isInteger(token) || token < 0 || token >= info.inputs) {
        const given = typeof token === "number" ? token : `${typeof token} ${token}`;
        throw new RangeError(`a token must be an integer from 0 to ${info.inputs - 1}, not ${given}`);
    }
}
""".strip()

_CHECK_ROW = """
function checkRow(row, count) {
    if (row?.length !== count || !Array.from(row).every((x) => typeof x === "number")) {
        throw new RangeError(`a row must be an array of ${count} numbers, not ${JSON.stringify(row)}`);
    }
}

function flat(rows, count) {
    rows.forEach((row) => checkRow(row, count));
    return Float32Array.from(rows.flatMap((row) => Array.from(row)));
}
""".strip()

_CHECK_WEIGHTS = """
function checkWeights(weights, count) {
    if (!(weights instanceof Float32Array) || weights.length !== count) {
        throw new RangeError(`weights, gradients and moments must be a Float32Array, here of ${count} numbers`);
    }
}

function checkNumbers(...numbers) {
    if (!numbers.every(Number.isFinite)) {
        throw new RangeError(`rates, iterations and steps must be numbers, not ${numbers.join(", ")}`);
    }
}
""".strip()

_EACH_STEP = ("return Array.from(xs, (x) => {", "    step(state, x);", "    return logits(state);", "});")
_LAST_STEP = ("for (const x of xs) step(state, x);", "return logits(state);")

_SGD = """
/* Does a step of stochastic gradient descent. */
export function sgd(weights, gradients, rate) {
    [weights, gradients].forEach((one) => checkWeights(one, trained.length));
    checkNumbers(rate);
    for (let i = 0; i < weights.length; i++) weights[i] -= rate * gradients[i];
}
""".strip()

_ADAM = """
/* Does a step of Adam (Kingma and Ba, 2015) with the gradients of a sequence of `steps` steps. moments has two numbers
   for each weight, which are zero before the first iteration; iterations are counted from 1. Weights that have no
   gradient at this length stay as they are. */
export function adam(weights, gradients, moments, iteration, steps, rate) {
    [weights, gradients].forEach((one) => checkWeights(one, trained.length));
    checkWeights(moments, 2 * trained.length);
    checkNumbers(iteration, steps, rate);
    if (iteration < 1) throw new RangeError(`iterations are counted from 1, not ${iteration}`);
    /* Parts of the weights: begin, end, and the fewest steps. */
    const parts = PARTS;
    const first = 1 / (1 - 0.9 ** iteration), second = 1 / (1 - 0.999 ** iteration), count = weights.length;
    for (const [begin, end, fewest] of parts) {
        for (let i = begin; i < end && steps >= fewest; i++) {
            moments[i] = 0.9 * moments[i] + 0.1 * gradients[i];
            moments[count + i] = 0.999 * moments[count + i] + 0.001 * gradients[i] ** 2;
            weights[i] -= (rate * first * moments[i]) / (Math.sqrt(second * moments[count + i]) + 1e-8);
        }
    }
}
""".strip()
