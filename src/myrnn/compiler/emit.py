"""Stage 6: write the plan as Python for Numba.

Two programs come out of one plan: one runs a single sequence, the other several of different lengths side by side.
Both go forward to the logits and the loss, and back to the gradients of all weights.

Side by side means: at step t the sequences that are longer than t, longest first, are rows of one matrix. Row
``start[t] + r`` of a buffer belongs to sequence r at step t; nothing is padded. A state's rows are those before each
step, and after them one for each sequence: its last.
"""

from __future__ import annotations

from dataclasses import dataclass

from myrnn.compiler._backward import write_prelude_backward, write_readout_backward, write_steps_backward
from myrnn.compiler._forward import write_prelude, write_projections, write_readout, write_steps
from myrnn.compiler._frame import Frame
from myrnn.compiler._memory import Memory, Place
from myrnn.compiler._weights import WeightPlaces
from myrnn.compiler._writer import Writer, names_in, wrapped
from myrnn.compiler.plan import Plan


@dataclass(frozen=True)
class Program:
    """An emitted program.

    Attributes
    ----------
    body : str
        The lines of the function.
    memory : Memory
        What its sizes and offsets are.
    weights : WeightPlaces
        Where the parameters stand.
    logits : str
        The name of the offset at which it leaves the logits.
    classes : int
        K, how many they are.
    states : tuple of Place
        Where it leaves the states, a row before every step and the last ones.
    state_gradients : tuple of Place
        Where an observed program leaves the gradients with respect to them, row by row.
    input_gradients : Place or None
        Where it leaves those with respect to the rows of the sequence.
    """

    body: str
    memory: Memory
    weights: WeightPlaces
    logits: str
    classes: int
    states: tuple[Place, ...] = ()
    state_gradients: tuple[Place, ...] = ()
    input_gradients: Place | None = None


def emit(plan: Plan, parameter_names: tuple[str, ...], batched: bool, observed: bool = False) -> Program:
    """Write one of the two programs; an observed one keeps the gradients of all states and inputs."""
    frame = Frame(plan, parameter_names, batched, observed)
    # The same node, such as the square of a state, is another number before a step and after the last one: what
    # one part of the program keeps is never read in the place of the other's.
    with frame.writer.part("What depends on the parameters alone, and the states before the first step."):
        write_prelude(frame)
    prelude, frame.writer = frame.writer, Writer()
    fixed = dict(frame.places)
    with frame.writer.part("What the input alone gives, for all steps at once."):
        write_projections(frame)
    with frame.writer.part("Forward, step by step."):
        write_steps(frame)
    of_steps, frame.places = frame.places, dict(fixed)
    with frame.writer.part("The readout, the loss, and the gradient of the logits."):
        write_readout(frame)
    forward = frame.writer
    frame.writer = Writer()
    frame.weights.in_backward = True
    with frame.writer.part("Back through the readout."):
        write_readout_backward(frame)
    frame.places = of_steps
    with frame.writer.part("Back through time, the last step first."):
        write_steps_backward(frame)
    frame.places = fixed
    with frame.writer.part("Back to what depends on the parameters alone."):
        write_prelude_backward(frame)
    copies = frame.weights.copies
    lines = [*_copied("Weights as the way forward reads them.", copies.parameters), *prelude.lines]
    lines += [*_copied("Computed weights as the way forward reads them.", copies.derived), *forward.lines]
    lines += ["    if not learn:", "        restore_mode(mode)", "        return loss, hits"]
    lines += _copied("Weights as the way back reads them.", copies.backward)
    lines += [*frame.writer.lines, "    restore_mode(mode)", "    return loss, hits"]
    header = [*frame.memory.header(names_in(lines)), "mode = flush_subnormals()"]
    lines = [f"    {text}" for text in header] + lines
    return Program(
        "\n".join(lines) + "\n", frame.memory, frame.weights, frame.logits.at, frame.recurrence.readout.size,
        tuple(frame.states), tuple(frame.seen_gradients), frame.input_gradients,
    )  # fmt: skip


def _copied(told: str, calls: list[str]) -> list[str]:
    lines = [part for call in calls for part in wrapped(f"    {call}")]
    return ["", f"    # {told}", *lines] if lines else []
