"""A network as a JavaScript module without dependencies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from myrnn.compiler.buffers import Names
from myrnn.compiler.carry import can_be_carried
from myrnn.compiler.instructions import Phase
from myrnn.compiler.leaves import Floats
from myrnn.compiler.portable import SequenceProgram, StepProgram, sequence_program, step_program
from myrnn.compiler.render.arrays import Amount, Arrays, arrays_of
from myrnn.compiler.render.curly import Text, Writer, functions_of, in_comment, listed, runtime
from myrnn.compiler.render.javascript import JAVASCRIPT
from myrnn.exports import Options
from myrnn.exports.network import Network

# The names that the module and its functions have.
_OWN = """
info start step states logits run state carried token tokens features steps numbers check i j r t x xs found done left
place source decode row rows floats
""".split()


def written(network: Network, options: Options) -> str:
    """Return the text of the module."""
    return module(network, tokens=options.tokens)


def module(network: Network, *, tokens: bool) -> str:
    """Return the text of a module for tokens, or for rows of numbers."""
    return _Module(network, tokens).text()


class _Module:
    """The parts of the module."""

    def __init__(self, network: Network, tokens: bool) -> None:
        self._network, self._tokens = network, tokens
        self._names = Names({*JAVASCRIPT.reserved, *_OWN, *functions_of(JAVASCRIPT)})
        self._code = Text(JAVASCRIPT, self._names)

    def text(self) -> str:
        """Return the whole module."""
        network = self._network
        recurrence, is_forward = network.compiled.recurrence, can_be_carried(network.compiled.recurrence)
        if is_forward:
            program = step_program(recurrence, network.weights, tokens=self._tokens)
            arrays, functions = self._by_steps(program)
            most = program.program.most_steps
        else:
            whole = sequence_program(recurrence, network.weights, tokens=self._tokens)
            arrays, functions = self._by_sequences(whole)
            most = whole.program.most_steps
        constants = [f"const {arrays.names[b]} = {_floats(n)};" for b, n in arrays.numbers.items()]
        constants += [
            f"const {name} = new Int32Array([\n{listed(map(str, indices))}\n]);"
            for name, indices in self._code.indices.items()
        ]
        blocks = [
            self._head(is_forward),
            f"export const info = {json.dumps(self._info(is_forward, most), indent=4, ensure_ascii=False)};",
            _FLOATS if arrays.numbers else "",
            *constants,
            *runtime(self._code),
            _CHECK_TOKEN if self._tokens else _CHECK_ROW,
            *functions,
        ]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def _info(self, is_forward: bool, most: int | None) -> dict[str, Any]:
        network, recurrence = self._network, self._network.compiled.recurrence
        states = zip(network.compiled.state_names, recurrence.state_sizes, strict=True)
        return {
            "name": network.title,
            "inputs": network.dim_input,
            "outputs": network.dim_output,
            "tokens": self._tokens,
            "perStep": network.per_step,
            "forward": is_forward,
            "mostSteps": most,
            "states": [{"name": name, "size": size} for name, size in states],
            "classes": list(network.classes),
            "symbols": list(network.symbols) if network.symbols is not None else None,
        }

    def _head(self, is_forward: bool) -> str:
        network = self._network
        one = "a token, an integer" if self._tokens else "a row of numbers"
        use = ["const state = start();", f"step(state, x); // for every step: {one}", "const outputs = logits(state);"]
        use = [*(use if is_forward else []), "const all = run(xs); // a whole sequence"]
        text = "\n\n".join([network.title, network.equations, "\n".join(["How to use it:", *use])])
        return "/*\n" + "\n".join(f" * {line}".rstrip() for line in in_comment(text).split("\n")) + "\n */"

    # Programs --------------------------------------------------------------------------------------------------------

    def _by_steps(self, program: StepProgram) -> tuple[Arrays, list[str]]:
        outputs = program.program.schedule.interface.logits
        given = {outputs: "state.logits" if program.logits is None else "found"}
        phases = [*program.step, *(program.logits or ())]
        arrays = arrays_of(program.program, phases, given, self._names)
        memory = [f"const {arrays.names[b]} = new Float32Array({arrays.memory[b].of(1)});" for b in arrays.of(phases)]
        carried, recurrence = program.carried, self._network.compiled.recurrence
        members = [f"carried: new Float32Array({carried.width})"]
        if program.logits is None:
            members.append(f"logits: new Float32Array({self._network.dim_output})")
            read = ["return state.logits.slice();"]
        else:
            read = [
                "const carried = state.carried;",
                f"const found = new Float32Array({self._network.dim_output});",
                *self._lines(program, arrays, program.logits),
                "return found;",
            ]
        reading = "token" if self._tokens else "features"
        checks = [f"check({reading});"]
        if (most := program.program.most_steps) is not None:
            message = f"the network can read {most} steps"
            checks.append(f'if (state.carried[{carried.steps}] >= {most}) throw new RangeError("{message}");')
        states = ", ".join(
            f"{json.dumps(name)}: state.carried.subarray({at}, {at + size})"
            for name, at, size in zip(
                self._network.compiled.state_names, carried.places, recurrence.state_sizes, strict=True
            )
        )
        step = self._lines(program, arrays, program.step)
        return arrays, [
            "\n".join(["/* The memory of a step. */", *memory]),
            _function("Returns the state before the first step.", "start()", [f"return {{ {', '.join(members)} }};"]),
            _function(
                "Reads a step; the state changes.",
                f"step(state, {reading})",
                [*checks, "const carried = state.carried;", *step],
            ),
            _function("Returns the outputs after the steps so far.", "logits(state)", read),
            _function("Returns the states by name.", "states(state)", [f"return {{ {states} }};"]),
            _run_by_steps(self._network.per_step),
        ]

    def _by_sequences(self, program: SequenceProgram) -> tuple[Arrays, list[str]]:
        arrays = arrays_of(
            program.program, program.phases, {program.program.schedule.interface.logits: "found"}, self._names
        )
        outputs, per_step = self._network.dim_output, self._network.per_step
        checks = ["for (const one of xs) check(one);", "const steps = xs.length;"]
        checks.append('if (steps < 1) throw new RangeError("a sequence needs at least one step");')
        if (most := program.program.most_steps) is not None:
            message = f"the network can read {most} steps"
            checks.append(f'if (steps > {most}) throw new RangeError("{message}");')
        rows = "Float32Array.from(xs.flatMap((row) => Array.from(row)))"
        lines = [
            *checks,
            "const tokens = xs;" if self._tokens else f"const features = {rows};",
            f"const found = new Float32Array({outputs}{' * steps' if per_step else ''});",
            *(
                f"const {arrays.names[b]} = new Float32Array({_amount(arrays.memory[b])});"
                for b in arrays.of(program.phases)
            ),
            *self._lines(program, arrays, program.phases),
            f"return Array.from({{ length: steps }}, (_, t) => found.slice({outputs} * t, {outputs} * (t + 1)));"
            if per_step
            else "return found;",
        ]
        what = "Returns the outputs of a whole sequence" + (", one array for each step." if per_step else ".")
        return arrays, [_function(what, "run(xs)", lines)]

    def _lines(self, program: StepProgram | SequenceProgram, arrays: Arrays, phases: Sequence[Phase]) -> list[str]:
        return Writer(self._code, program.program.schedule, arrays.names, depth=0).phases(phases)


def _run_by_steps(per_step: bool) -> str:
    body, each = (_EACH, ", one array for each step") if per_step else (_LAST, "")
    return _RUN_STEPS.replace("EACH", each).replace("BODY", body.strip("\n"))


def _function(what: str, head: str, lines: Iterable[str]) -> str:
    body = (f"    {line}" for line in lines)
    return "\n".join((f"/* {what} */", f"export function {head} {{", *body, "}"))


def _amount(amount: Amount) -> str:
    return f"{amount.fixed} + {amount.each_step} * steps"


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
        throw new RangeError(`a token must be an integer from 0 to ${info.inputs - 1}, not ${token}`);
    }
}
""".strip()

_CHECK_ROW = """
function check(row) {
    if (row?.length !== info.inputs || !Array.prototype.every.call(row, (x) => typeof x === "number")) {
        throw new RangeError(`a step must be an array of ${info.inputs} numbers, not ${row}`);
    }
}
""".strip()

_RUN_STEPS = """
/* Returns the outputs of a whole sequenceEACH. */
export function run(xs) {
    const state = start();
    if (xs.length < 1) throw new RangeError("a sequence needs at least one step");
BODY
}
""".strip()

_EACH = """
    return Array.from(xs, (x) => {
        step(state, x);
        return logits(state);
    });
"""

_LAST = """
    for (const x of xs) step(state, x);
    return logits(state);
"""
