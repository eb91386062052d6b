"""Fill the tables of MyGrad's operations into ``operations.md``: ``python docs/make_operations.py``.

Every public function of MyGrad is called in a model and traced. The text between ``<!-- name -->`` and ``<!-- end -->``
is generated; everything else is written by hand.
"""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

import mygrad as mg
import numpy as np
from mygrad import linalg, ufunc
from mygrad.nnet import activations, layers, losses

from myrnn.compiler.graph import Builder, topological
from myrnn.compiler.lower import INSTEAD
from myrnn.compiler.ops import OPERATIONS
from myrnn.compiler.trace import trace_once
from myrnn.errors import UnsupportedOperation

DOCUMENT = Path(__file__).parent / "reference" / "operations.md"
MODULES = {"operations": (mg, linalg), "activations": (activations,), "layers": (layers,), "losses": (losses,)}
LABELS = np.array([0, 1, 2, 0])
SQUARE = np.eye(3, dtype=np.float32)
# A call of each function on a tensor of four rows and three columns between 0 and 1. Functions that take only one or
# two tensors need no line.
EXAMPLES: dict[str, Callable[[Any], Any]] = {
    "add_sequence": lambda a: mg.add_sequence(a, a, a),
    "multiply_sequence": lambda a: mg.multiply_sequence(a, a, a),
    "multi_matmul": lambda a: mg.multi_matmul([a, SQUARE, SQUARE]),
    "broadcast_to": lambda a: mg.broadcast_to(a[0], (2, 3)) * a[:2],
    "clip": lambda a: mg.clip(a, 0.4, 0.6),
    "concatenate": lambda a: mg.concatenate([a, a[:2]]),
    "stack": lambda a: mg.stack([a, a]),
    "einsum": lambda a: mg.einsum("ij,jk->ik", a, SQUARE),
    "expand_dims": lambda a: mg.expand_dims(a, 1),
    "matmul": lambda a: mg.matmul(a, SQUARE),
    "moveaxis": lambda a: mg.moveaxis(a, 0, 1),
    "swapaxes": lambda a: mg.swapaxes(a, 0, 1),
    "transpose": lambda a: mg.transpose(a),
    "repeat": lambda a: mg.repeat(a, 2, axis=1),
    "reshape": lambda a: mg.reshape(a, (3, 4)),
    "roll": lambda a: mg.roll(a, 1),
    "where": lambda a: mg.where(np.eye(4, 3, dtype=bool), a, -a),
    "arccosh": lambda a: mg.arccosh(1 + a),
    "arccoth": lambda a: mg.arccoth(1 + a),
    "arccsc": lambda a: mg.arccsc(1 + a),
    "arcsec": lambda a: mg.arcsec(1 + a),
    "elu": lambda a: activations.elu(a, 1.0),
    "glu": lambda a: activations.glu(a[:, :2]),
    "leaky_relu": lambda a: activations.leaky_relu(a, 0.1),
    "batchnorm": lambda a: layers.batchnorm(a, eps=1e-5),
    "conv_nd": lambda a: layers.conv_nd(a.reshape(1, 1, 12), np.ones((1, 1, 3)), stride=1),
    "max_pool": lambda a: layers.max_pool(a, pool=(2,), stride=1),
    "gru": lambda a: layers.gru(a.reshape(2, 2, 3), *([np.ones((3, 2)), np.ones((2, 2)), np.ones(2)] * 3)),
    "focal_loss": lambda a: losses.focal_loss(activations.softmax(a), LABELS),
    "softmax_focal_loss": lambda a: losses.softmax_focal_loss(a, LABELS),
    "negative_log_likelihood": lambda a: losses.negative_log_likelihood(a, LABELS),
    "margin_ranking_loss": lambda a: losses.margin_ranking_loss(a[:2], a[2:], 1, margin=0.5),
    "multiclass_hinge": lambda a: losses.multiclass_hinge(a, LABELS),
    "softmax_crossentropy": lambda a: losses.softmax_crossentropy(a, LABELS),
}
NUMBERS = (
    "allclose any argmax argmin bincount can_cast ceil divmod equal floor floor_divide fmod greater greater_equal "
    "isclose isfinite isinf isnan isnat less less_equal logical_and logical_not logical_or logical_xor "
    "may_share_memory min_scalar_type mod not_equal remainder result_type rint shape shares_memory sign signbit trunc"
).split()
CONSTANTS = (
    "arange asarray astensor empty empty_like eye full full_like geomspace identity linspace logspace ones ones_like "
    "sliding_window_view tensor zeros zeros_like"
).split()
AROUND = (
    "copyto execute_op load mem_guard_active mem_guard_off mem_guard_on no_autodiff save turn_memory_guarding_off "
    "turn_memory_guarding_on"
).split()


class Model:
    """A model made from a function of a parameter."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.weight = mg.tensor(np.random.default_rng(0).uniform(0.3, 0.9, size=(4, 3)).astype(np.float32))
        self.parameters = (self.weight,)

    def __call__(self, x: Any) -> Any:
        """Return the result as logits."""
        return mg.reshape(self.function(self.weight), (1, -1))


def functions(*modules: Any) -> dict[str, Any]:
    """Return the public functions of modules by name; a function with two names is listed twice."""
    # What a module imports late is only in its list of names.
    names = ((module, name) for module in modules for name in (*dir(module), *getattr(module, "__all__", ())))
    found = {name: getattr(module, name) for module, name in names if not name.startswith("_")}
    return {
        name: function
        for name, function in sorted(found.items())
        if is_ufunc(function) or (callable(function) and not isinstance(function, type))
    }


def is_ufunc(function: Any) -> bool:
    """Whether a function is element-wise; in MyGrad these are classes."""
    return isinstance(function, type) and issubclass(function, ufunc) and function is not ufunc


def example(name: str, function: Any) -> Callable[[Any], Any]:
    """Return a function that calls `function` on a tensor."""
    takes_two = is_ufunc(function) and function.nin == 2
    return EXAMPLES.get(name, (lambda a: function(a, a)) if takes_two else function)


def outcome(function: Callable[[Any], Any]) -> tuple[str, str]:
    """Return whether a function compiles, and the operations it consists of or an alternative."""
    model = Model(function)
    try:
        traced = trace_once(model, model.parameters, np.zeros((1, 1), np.float32), Builder())
    except UnsupportedOperation as error:
        kind = re.search(r"MyGrad's (\w+)", str(error))
        assert kind, error
        return "no", INSTEAD[kind[1]]
    made_of = {n.operation for n in topological([traced.output]) if n.inputs}
    return "yes", ", ".join(f"`{name}`" for name in OPERATIONS if name in made_of) or "none: the numbers stay the same"


def table(*modules: Any) -> str:
    """Return the table of those functions of modules that compute tensors from tensors."""
    lines = ["| MyGrad | compiles | operations, or an alternative |", "|---|---|---|"]
    for name, function in functions(*modules).items():
        if name not in (*NUMBERS, *CONSTANTS, *AROUND):
            lines.append(f"| `{name}` | {' | '.join(outcome(example(name, function)))} |")
    return "\n".join(lines)


def texts() -> dict[str, str]:
    """Return the generated texts by name."""
    named = {"numbers": NUMBERS, "constants": CONSTANTS, "around": AROUND}
    lists = {key: fill(", ".join(f"`{name}`" for name in names) + ".", 120) for key, names in named.items()}
    return {name: table(*modules) for name, modules in MODULES.items()} | lists


def filled(document: str) -> str:
    """Return the document with the current tables."""
    for name, text in texts().items():
        begin, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        head, rest = document.split(begin)
        document = head + begin + text + rest[rest.index(end) :]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
