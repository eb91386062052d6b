"""A network as one file of C99: its weights are constants, and it allocates nothing.

With training, the weights are an array of the caller, who also has the gradients and the optimizer's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from textwrap import indent

from myrnn.compiler.addresses import Buffer
from myrnn.compiler.buffers import Names
from myrnn.compiler.forms import CARRIED
from myrnn.compiler.instructions import Phase
from myrnn.compiler.portable import Portable, SequenceProgram, StepProgram
from myrnn.compiler.render.arrays import Amount, Arrays, arrays_of
from myrnn.compiler.render.c import C
from myrnn.compiler.render.curly import INDEX_NAMES, CodeWriter, Text, functions_of, in_comment, listed, runtime
from myrnn.exports.network import TrainedNetwork
from myrnn.exports.options import Options
from myrnn.exports.programs import Learning, programs_of

# The arguments and variables of the functions, and what follows the name of the file in public names.
_OWN = "net work logits weights gradients moments loss share rate iteration i k".split()
_PUBLIC = "start step logits run work classes symbols trained first_weights gradients learning_work sgd adam".split()
# Indices are of the type int.
_LARGEST = 2**31 - 1


def written(network: TrainedNetwork, options: Options) -> str:
    """Return the text of the file."""
    return _File(network, options).text()


class _File:
    """The parts of the file."""

    def __init__(self, network: TrainedNetwork, options: Options) -> None:
        self._network, self._name, self._upper = network, options.name, options.name.upper()
        self._programs, self._trains = programs_of(network, options), options.training
        self._argument = "int token" if options.tokens else "const float *features"
        self._sequence = "const int *tokens" if options.tokens else "const float *features"
        self._tokens = options.tokens
        public = (f"{self._name}_{other}" for other in (*_PUBLIC, *functions_of(C)))
        self._names = Names({*C.reserved, *INDEX_NAMES, *_OWN, *public})
        self._code = Text(C, self._names, f"{self._name}_")
        # Definitions of arrays that never change, and how to use the file.
        self._constants: list[str] = []
        self._use: list[str] = []

    def text(self) -> str:
        """Return the whole file."""
        reading, learning = self._programs.reading, self._programs.learning
        parts = self._by_steps(reading) if isinstance(reading, StepProgram) else self._by_sequences(reading)
        if learning is not None:
            parts += self._learning(learning)
        indices = [_constant("int", name, map(str, numbers)) for name, numbers in self._code.indices.items()]
        head = [self._head(), "#include <math.h>", self._sizes()]
        return "\n\n".join([*head, *self._constants, *indices, *runtime(self._code), *parts]) + "\n"

    # Programs --------------------------------------------------------------------------------------------------------

    def _by_steps(self, program: StepProgram) -> list[str]:
        name, outputs, most = self._name, self._network.dim_output, self._programs.most_steps
        logits, is_kept = program.program.schedule.interface.logits, program.logits is None
        phases = [*program.step, *(program.logits or ())]
        arrays = self._arrays(program.program, phases, {logits: "net->logits" if is_kept else "logits"})
        kept = {"states": program.width, **({"logits": outputs} if is_kept else {})}
        members = [f"float {array}[{max(1, size)}];" for array, size in kept.items()]
        members[0] += f" /* {self._layout(program)} */"
        begin = [f"for (int i = 0; i < {size}; i++) net->{array}[i] = 0.0f;" for array, size in kept.items()]
        if self._trains:
            members.insert(0, "const float *weights;")
            begin.insert(0, "net->weights = weights;")
        checks = [f"token < 0 || token >= {self._upper}_INPUTS"] if self._tokens else []
        checks += [f"net->states[{program.carried.steps}] >= {C.literal(most)}"] if most else []
        step = [
            *([f"if ({' || '.join(checks)}) return 1;"] if checks else []),
            *_parts_of("net->weights", arrays, program.step),
            *_locals(arrays, program.step, 1),
            *_with_states("float", self._code_of(program.program, arrays, program.step)),
            "return 0;",
        ]
        read = [f"for (int k = 0; k < {outputs}; k++) logits[k] = net->logits[k];"]
        if program.logits is not None:
            read = [
                *_parts_of("net->weights", arrays, program.logits),
                *_locals(arrays, program.logits, 0),
                *_with_states("const float", self._code_of(program.program, arrays, program.logits)),
            ]
        refused = " or ".join([*["an unknown token"] * self._tokens, *(["too many steps"] if most else [])])
        ends = f"; or 1, and changes nothing, for {refused}." if refused else "."
        self._use += [
            f"struct {name} net;",
            f"{name}_start(&net{', weights' if self._trains else ''});",
            f"{name}_step(&net, {_named(self._argument)}); // for every step",
            f"float logits[{self._upper}_OUTPUTS];",
            f"{name}_logits(&net, logits);",
        ]
        weights = ", const float *weights" if self._trains else ""
        return [
            "\n".join(
                [f"/* What the network knows of the steps so far. */\nstruct {name} {{", *_indented(members), "};"]
            ),
            _function("Begins a sequence.", f"void {name}_start(struct {name} *net{weights})", begin),
            _function(
                f"Reads one step. Returns 0{ends}", f"int {name}_step(struct {name} *net, {self._argument})", step
            ),
            _function(
                f"Writes the {outputs} {self._outputs} after the steps so far.",
                f"void {name}_logits(const struct {name} *net, float *logits)",
                read,
            ),
        ]

    def _by_sequences(self, program: SequenceProgram) -> list[str]:
        name, outputs = self._name, self._network.dim_output
        arrays = self._arrays(program.program, program.phases, {program.program.schedule.interface.logits: "logits"})
        weights = "const float *weights, " if self._trains else ""
        rows = f"steps rows of {outputs}" if self._network.per_step else f"{outputs}"
        given = [*["weights"] * self._trains, _named(self._sequence), "steps", "work", "logits"]
        self._use.append(f"{name}_run({', '.join(given)}); // work has {name}_work(steps) numbers")
        run = [
            *self._checks("MOST_STEPS", "return 1;"),
            *_parts_of("weights", arrays, program.phases),
            *_pointers(arrays, program.phases),
            *self._code_of(program.program, arrays, program.phases),
            "return 0;",
        ]
        unknown = ", or an unknown token" if self._tokens else ""
        return [
            *self._work("work", "MOST_STEPS", program, arrays, f"{name}_run"),
            _function(
                f"Reads a whole sequence, and writes its {rows} {self._outputs}. Returns 0; or 1, and writes nothing, "
                f"for no or too many steps{unknown}.",
                f"int {name}_run({weights}{self._sequence}, int steps, float *work, float *logits)",
                run,
            ),
        ]

    def _learning(self, learning: Learning) -> list[str]:
        name, program, per_step = self._name, learning.program, self._network.per_step
        arrays = self._arrays(program.program, program.phases, {})
        self._constants.append(_constant("float", f"{name}_trained", map(C.literal, learning.trained.tolist())))
        target = "const float *targets" if learning.width else "const int *labels" if per_step else "int label"
        checks = self._checks("MOST_LEARNING_STEPS", "return NAN;")
        if not learning.width:
            label = "labels[i]" if per_step else "label"
            checks += ["for (int i = 0; i < steps; i++)"] * per_step
            checks.append(f"{'    ' * per_step}if ({label} < 0 || {label} >= {self._upper}_OUTPUTS) return NAN;")
        learn = [
            *checks,
            *_parts_of("weights", arrays, program.phases),
            *_pointers(arrays, program.phases),
            f"const float share = {'1.0f / (float)steps' if per_step else '1.0f'};",
            "float loss = 0.0f;",
            f"for (int i = 0; i < {learning.size}; i++) gradients[i] = 0.0f;",
            *self._code_of(program.program, arrays, program.phases),
            "return loss;",
        ]
        given = f"weights, {_named(self._sequence)}, steps, {_named(target)}, work, gradients"
        self._use += [
            "",
            "Training, one sequence at a time:",
            f"float weights[{self._upper}_WEIGHTS], gradients[{self._upper}_WEIGHTS];",
            f"{name}_first_weights(weights);",
            f"float loss = {name}_gradients({given}); // work has {name}_learning_work(steps) numbers",
            f"{name}_sgd(weights, gradients, 0.01f);",
        ]
        invalid = ", an unknown token or an invalid target" if self._tokens else " or an invalid target"
        return [
            f"#define {self._upper}_WEIGHTS {learning.size}",
            _function(
                "Writes the weights that the network was exported with.",
                f"void {name}_first_weights(float *weights)",
                [f"for (int i = 0; i < {learning.size}; i++) weights[i] = {name}_trained[i];"],
            ),
            *self._work("learning_work", "MOST_LEARNING_STEPS", program, arrays, f"{name}_gradients"),
            _function(
                f"Returns the loss of a whole sequence, {learning.loss}, and writes its gradients by all weights. "
                f"Returns NAN, and writes nothing, for no or too many steps{invalid}.",
                f"float {name}_gradients(const float *weights, {self._sequence}, int steps, "
                f"{target}, float *work, float *gradients)",
                learn,
            ),
            *_optimizers(name, learning),
        ]

    # Parts -----------------------------------------------------------------------------------------------------------

    @property
    def _outputs(self) -> str:
        return "logits" if self._network.classes else "numbers"

    def _arrays(self, program: Portable, phases: Sequence[Phase], given: Mapping[Buffer, str]) -> Arrays:
        arrays = arrays_of(
            program, phases, given, self._names, Names(self._names.used, self._code.prefix), self._code.prefix
        )
        for buffer, numbers in arrays.numbers.items():
            self._constants.append(_constant("float", arrays.names[buffer], map(C.literal, numbers.tolist())))
        return arrays

    def _code_of(self, program: Portable, arrays: Arrays, phases: Sequence[Phase]) -> list[str]:
        return CodeWriter(self._code, program.schedule, arrays.names).phases(phases)

    def _checks(self, most: str, refuse: str) -> list[str]:
        """Return what refuses a sequence that cannot be read."""
        lines = [f"if (steps < 1 || steps > {self._upper}_{most}) {refuse}"]
        if self._tokens:
            lines.append("for (int i = 0; i < steps; i++)")
            lines.append(f"    if (tokens[i] < 0 || tokens[i] >= {self._upper}_INPUTS) {refuse}")
        return lines

    def _work(self, name: str, most: str, program: SequenceProgram, arrays: Arrays, function: str) -> list[str]:
        """Return the most steps of a function, and how much memory it needs."""
        total = sum((arrays.memory[buffer] for buffer in arrays.memory_of(program.phases)), start=Amount(0))
        widest = max(total.each_step, self._network.dim_output, self._network.dim_input)
        steps = min((_LARGEST - total.fixed) // widest, self._programs.most_steps or _LARGEST)
        return [
            f"#define {self._upper}_{most} {steps}",
            _function(
                f"Returns how many numbers {function} needs for its work; 0 for no or too many steps.",
                f"int {self._name}_{name}(int steps)",
                [f"return steps < 1 || steps > {self._upper}_{most} ? 0 : {total};"],
            ),
        ]

    def _layout(self, program: StepProgram) -> str:
        """Return where the states are in the numbers that are kept from step to step."""
        names, carried = self._network.compiled.state_names, program.carried
        states = [f"{name} from {at} on" for name, at in zip(names, carried.places, strict=True)]
        states += [f"the number of steps at {carried.steps}"] * (program.width > carried.steps)
        return in_comment(", ".join(states))

    def _head(self) -> str:
        use = "\n".join(["How to use it:", *self._use])
        lines = in_comment("\n\n".join([self._network.title, self._network.equations, use])).split("\n")
        return "/* " + "\n".join(f"   {line}".rstrip() for line in lines).strip() + "\n*/"

    def _sizes(self) -> str:
        network, upper = self._network, self._upper
        lines = [f"#define {upper}_INPUTS {network.dim_input}", f"#define {upper}_OUTPUTS {network.dim_output}"]
        texts = {"classes": network.classes, "symbols": network.symbols or ()}
        lines += [_texts(f"{self._name}_{what}", names) for what, names in texts.items() if names]
        return "\n".join(lines)


# Lines ----------------------------------------------------------------------------------------------------------------


def _indented(lines: Iterable[str]) -> list[str]:
    return [indent(line, "    ") for line in lines]


def _with_states(kind: str, code: list[str]) -> list[str]:
    """Return code after the definition of the states, if it has some."""
    has_states = any(re.search(rf"\b{CARRIED.text}\b", line) for line in code)
    return [*[f"{kind} *const {CARRIED.text} = net->states;"] * has_states, *code]


def _named(argument: str) -> str:
    """Return the name of an argument."""
    return argument.split()[-1].strip("*")


def _function(what: str, head: str, lines: Iterable[str]) -> str:
    """Return a function; arguments that it does not read are named, so that no compiler warns of them."""
    body = _indented(lines)
    used = {word for line in body for word in re.findall(r"\w+", line)}
    arguments = re.findall(r"(\w+)[,)]", head[head.index("(") :])
    unused = [f"    (void){argument};" for argument in arguments if argument not in used]
    return "\n".join((f"/* {what} */", f"{head} {{", *unused, *body, "}"))


def _locals(arrays: Arrays, phases: Sequence[Phase], steps: int) -> list[str]:
    return [f"float {arrays.names[b]}[{max(1, arrays.memory[b].of(steps))}];" for b in arrays.memory_of(phases)]


def _pointers(arrays: Arrays, phases: Sequence[Phase]) -> Iterator[str]:
    """Yield the definitions of the arrays of a function in the memory that its caller gives."""
    memory = arrays.memory_of(phases)
    for buffer, begin in zip(memory, accumulate((arrays.memory[b] for b in memory), initial=Amount(0)), strict=False):
        yield f"float *const {arrays.names[buffer]} = {C.pointer('work', str(begin))};"


def _parts_of(weights: str, arrays: Arrays, phases: Sequence[Phase]) -> Iterator[str]:
    """Yield the definitions of single weights and gradients, as parts of the arrays of all."""
    for buffer in arrays.weights_of(phases):
        kind, whole = ("float", "gradients") if buffer.array == "g" else ("const float", weights)
        yield f"{kind} *const {arrays.names[buffer]} = {C.pointer(whole, str(buffer.begin))};"


def _constant(kind: str, name: str, texts: Iterable[str]) -> str:
    """Return the definition of an array that never changes."""
    texts = list(texts) or ["0"]
    return f"static const {kind} {name}[{len(texts)}] = {{\n{listed(texts)}\n}};"


def _texts(name: str, texts: Sequence[str]) -> str:
    return f"const char *const {name}[{len(texts)}] = {{\n{listed(map(_string, texts))}\n}};"


def _string(text: str) -> str:
    """Return a string literal: bytes that are not plain letters in octal, which ends after three digits."""
    given = text.encode("utf-8", "surrogatepass")
    plain = (chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in given)
    return f'"{"".join(plain)}"'


_OPTIMIZERS = """
/* Does a step of stochastic gradient descent. */
void NAME_sgd(float *weights, const float *gradients, float rate) {
    for (int i = 0; i < COUNT; i++) weights[i] -= rate * gradients[i];
}

/* Does a step of Adam (Kingma and Ba, 2015) with the gradients of a sequence of `steps` steps. moments has two numbers
   for each weight, which are zero before the first iteration; iterations are counted from 1. Weights that have no
   gradient at this length stay as they are. */
void NAME_adam(float *weights, const float *gradients, float *moments, int iteration, int steps, float rate) {
    /* Parts of the weights: begin, end, and the fewest steps. */
    static const int parts[PARTS][3] = {
ROWS
    };
    const float first = (float)(1.0 / (1.0 - pow(0.9, iteration)));
    const float second = (float)(1.0 / (1.0 - pow(0.999, iteration)));
    float *const means = moments, *const squares = moments + COUNT;
    for (int part = 0; part < PARTS; part++)
        for (int i = parts[part][0]; i < parts[part][1] && steps >= parts[part][2]; i++) {
            means[i] = 0.9f * means[i] + 0.1f * gradients[i];
            squares[i] = 0.999f * squares[i] + 0.001f * (gradients[i] * gradients[i]);
            weights[i] -= rate * first * means[i] / (sqrtf(second * squares[i]) + 1e-8f);
        }
}
""".strip()


def _optimizers(name: str, learning: Learning) -> list[str]:
    rows = listed(f"{{{begin}, {end}, {steps}}}" for begin, end, steps in learning.reached)
    words = {
        "NAME": name,
        "COUNT": str(learning.size),
        "PARTS": str(len(learning.reached)),
        "ROWS": indent(rows, "    "),
    }
    return re.sub("|".join(words), lambda match: words[match[0]], _OPTIMIZERS).split("\n\n")
