"""A network as one file of C99: its weights are constants, and it allocates nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

from myrnn.compiler.buffers import Names
from myrnn.compiler.carry import can_be_carried
from myrnn.compiler.instructions import Phase
from myrnn.compiler.portable import SequenceProgram, StepProgram, sequence_program, step_program
from myrnn.compiler.render.arrays import Amount, Arrays, arrays_of
from myrnn.compiler.render.c import C
from myrnn.compiler.render.curly import Text, Writer, functions_of, in_comment, listed, runtime
from myrnn.exports import Options
from myrnn.exports.network import Network

# The arguments and variables of the functions.
_OWN = "net token tokens features steps work logits carried i j r t x done left place source".split()
_PUBLIC = "start step logits run work classes symbols".split()
# Indices are of the type int.
_LARGEST = 2**31 - 1


def written(network: Network, options: Options) -> str:
    """Return the text of the file."""
    return _File(network, options.name, options.tokens).text()


class _File:
    """The parts of the file."""

    def __init__(self, network: Network, name: str, tokens: bool) -> None:
        self._network, self._name, self._upper = network, name, name.upper()
        self._tokens, self._read = tokens, "token" if tokens else "features"
        self._names = Names({*C.reserved, *_OWN, *(f"{name}_{other}" for other in (*_PUBLIC, *functions_of(C)))})
        self._code = Text(C, self._names, f"{name}_")

    def text(self) -> str:
        """Return the whole file."""
        recurrence, weights = self._network.compiled.recurrence, self._network.weights
        if can_be_carried(recurrence):
            arrays, use, parts = self._by_steps(step_program(recurrence, weights, tokens=self._tokens))
        else:
            arrays, use, parts = self._by_sequences(sequence_program(recurrence, weights, tokens=self._tokens))
        constants = [
            *(_constant("float", arrays.names[b], map(C.literal, n.tolist())) for b, n in arrays.numbers.items()),
            *(_constant("int", name, map(str, indices)) for name, indices in self._code.indices.items()),
        ]
        blocks = [self._head(use), "#include <math.h>", self._sizes(), *constants, *runtime(self._code), *parts]
        return "\n\n".join(block for block in blocks if block) + "\n"

    # Programs --------------------------------------------------------------------------------------------------------

    def _by_steps(self, program: StepProgram) -> tuple[Arrays, str, list[str]]:
        name, logits = self._name, program.program.schedule.interface.logits
        given = {logits: "net->logits" if program.logits is None else "logits"}
        phases = [*program.step, *(program.logits or ())]
        arrays = arrays_of(program.program, phases, given, self._names, f"{name}_")
        carried, outputs = program.carried, self._network.dim_output
        members = [f"    float carried[{carried.width}]; /* {self._layout(program)} */"]
        if program.logits is None:
            members.append(f"    float logits[{outputs}];")
        checks = [f"token < 0 || token >= {self._upper}_INPUTS"] if self._tokens else []
        if (most := program.program.most_steps) is not None:
            checks.append(f"net->carried[{carried.steps}] >= {C.literal(most)}")
        step = self._function(
            f"int {name}_step(struct {name} *net, {self._argument})",
            "Reads one step. Returns 0; or 1, and changes nothing, if the token is none or the steps are too many."
            if checks
            else "Reads one step. Returns 0.",
            [*_unless(checks), "float *const carried = net->carried;", *_locals(arrays, program.step, 1)],
            Writer(self._code, program.program.schedule, arrays.names).phases(program.step),
            "return 0;",
        )
        if program.logits is None:
            body = [f"    for (int k = 0; k < {outputs}; k++) logits[k] = net->logits[k];"]
            lines: list[str] = []
        else:
            lines = ["const float *const carried = net->carried;", *_locals(arrays, program.logits, 0)]
            body = Writer(self._code, program.program.schedule, arrays.names).phases(program.logits)
        numbers = ["carried", *(["logits"] if program.logits is None else [])]
        sizes = [carried.width, outputs]
        start = "\n".join(
            f"    for (int i = 0; i < {size}; i++) net->{one}[i] = 0.0f;"
            for one, size in zip(numbers, sizes, strict=False)
        )
        parts = [
            f"/* What the network knows of the steps so far. */\nstruct {name} {{\n" + "\n".join(members) + "\n};",
            f"/* Begins a sequence. */\nvoid {name}_start(struct {name} *net) {{\n{start}\n}}",
            step,
            self._function(
                f"void {name}_logits(const struct {name} *net, float *logits)",
                f"Writes the {outputs} {self._outputs} after the steps so far.",
                lines,
                body,
            ),
        ]
        use = [
            f"struct {name} net;",
            f"{name}_start(&net);",
            f"{name}_step(&net, {self._read}); // for every step",
            f"float logits[{self._upper}_OUTPUTS];",
            f"{name}_logits(&net, logits);",
        ]
        return arrays, "\n".join(use), parts

    def _by_sequences(self, program: SequenceProgram) -> tuple[Arrays, str, list[str]]:
        name, given = self._name, {program.program.schedule.interface.logits: "logits"}
        arrays = arrays_of(program.program, program.phases, given, self._names, f"{name}_")
        memory = arrays.of(program.phases)
        amounts = [arrays.memory[buffer] for buffer in memory]
        total = sum(amounts, start=Amount(0))
        widest = max([total.each_step, self._network.dim_output, self._network.dim_input])
        most = min((_LARGEST - total.fixed) // max(1, widest), program.program.most_steps or _LARGEST)
        begins = accumulate(amounts, initial=Amount(0))
        pointers = [
            f"float *const {arrays.names[buffer]} = work + {_amount(begin)};"
            for buffer, begin in zip(memory, begins, strict=False)
        ]
        checks = ["steps < 1", f"steps > {self._upper}_MOST_STEPS"]
        lines = [*_unless([" || ".join(checks)])]
        if self._tokens:
            lines += [
                "for (int i = 0; i < steps; i++)",
                f"    if (tokens[i] < 0 || tokens[i] >= {self._upper}_INPUTS) return 1;",
            ]
        source = "const int *tokens" if self._tokens else "const float *features"
        rows = f"steps rows of {self._network.dim_output}" if self._network.per_step else f"{self._network.dim_output}"
        parts = [
            f"#define {self._upper}_MOST_STEPS {most}",
            f"/* Returns how many numbers {name}_run needs for its work. */\n"
            f"int {name}_work(int steps) {{\n    return {_amount(total)};\n}}",
            self._function(
                f"int {name}_run({source}, int steps, float *work, float *logits)",
                f"Reads a whole sequence, and writes its {rows} {self._outputs}. Returns 0; or 1, and writes nothing, "
                "for no steps, too many, or an unknown token.",
                [*lines, *pointers],
                Writer(self._code, program.program.schedule, arrays.names).phases(program.phases),
                "return 0;",
            ),
        ]
        use = f"{name}_run({self._read}, steps, work, logits); // work has {name}_work(steps) numbers"
        return arrays, use, parts

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def _argument(self) -> str:
        return "int token" if self._tokens else "const float *features"

    @property
    def _outputs(self) -> str:
        return "logits" if self._network.classes else "numbers"

    def _layout(self, program: StepProgram) -> str:
        """Return where the states are in the numbers that are carried."""
        names, carried = self._network.compiled.state_names, program.carried
        states = (f"{name} from {at} on" for name, at in zip(names, carried.places, strict=True))
        return in_comment(", ".join((*states, f"the number of steps at {carried.steps}")))

    def _head(self, use: str) -> str:
        network = self._network
        parts = [network.title, network.equations, f"How to use it:\n{use}"]
        lines = in_comment("\n\n".join(parts)).split("\n")
        return "/* " + "\n".join(f"   {line}".rstrip() for line in lines).strip() + "\n*/"

    def _sizes(self) -> str:
        network, upper = self._network, self._upper
        lines = [f"#define {upper}_INPUTS {network.dim_input}", f"#define {upper}_OUTPUTS {network.dim_output}"]
        if network.classes:
            lines.append(_texts(f"{self._name}_classes", network.classes))
        if network.symbols:
            lines.append(_texts(f"{self._name}_symbols", network.symbols))
        return "\n".join(lines)

    def _function(self, head: str, what: str, before: Sequence[str], body: Sequence[str], end: str = "") -> str:
        used = {word for line in (*before, *body) for word in re.findall(r"\w+", line)}
        arguments = re.findall(r"(\w+)[,)]", head[head.index("(") :])
        unused = [f"(void){argument};" for argument in arguments if argument not in used]
        lines = [*(f"    {line}" for line in (*unused, *before)), *body, *([f"    {end}"] if end else [])]
        return "\n".join((f"/* {what} */", f"{head} {{", *lines, "}"))


def _unless(checks: Sequence[str]) -> list[str]:
    return [f"if ({' || '.join(checks)}) return 1;"] if checks else []


def _locals(arrays: Arrays, phases: Sequence[Phase], steps: int) -> list[str]:
    return [f"float {arrays.names[b]}[{max(1, arrays.memory[b].of(steps))}];" for b in arrays.of(phases)]


def _amount(amount: Amount) -> str:
    return f"{amount.fixed} + {amount.each_step} * steps"


def _constant(kind: str, name: str, texts: Iterable[str]) -> str:
    """Return the definition of an array that never changes."""
    texts = list(texts) or ["0"]
    return f"static const {kind} {name}[{len(texts)}] = {{\n{listed(texts)}\n}};"


def _texts(name: str, texts: Sequence[str]) -> str:
    return f"const char *const {name}[{len(texts)}] = {{\n{listed(map(_string, texts))}\n}};"


def _string(text: str) -> str:
    """Return a string literal: bytes that are not plain letters in octal, which ends after three digits."""
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{"".join(plain)}"'
