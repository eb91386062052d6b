"""Fill the stages' texts into ``how-it-works.md``: ``python docs/make_how_it_works.py``.

What stands between ``<!-- name -->`` and ``<!-- end -->`` is replaced; everything else is written by hand.
"""

import inspect
import re
from pathlib import Path

import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.initializers import glorot_normal

from myrnn import compile, dense

DOCUMENT = Path(__file__).parent / "how-it-works.md"


class RNN:
    """A simple recurrent network that classifies sequences."""

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent, weight_initializer=glorot_normal)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, weight_initializer=glorot_normal, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=glorot_normal)

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        """All that the model learns."""
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters


def texts() -> dict[str, str]:
    """Return what goes into the document, by name."""
    model = RNN(10, 50, 2)
    compiled = compile(model, check=False)
    found = compiled.stages
    found["model"] = inspect.getsource(RNN).strip()
    found["emit"] = run_in(found["emit"])
    found["batched step"] = step_in(run_in(compiled.source_for(tokens=True, batched=True)))
    return found


def run_in(source: str) -> str:
    """Return the function of a program."""
    return source[source.index("def run(") :].strip()


def step_in(function: str) -> str:
    """Return the part that goes forward step by step."""
    begin = function.index("    # Forward, step by step.")
    return inspect.cleandoc(function[begin:].split("\n\n")[0])


def filled(document: str) -> str:
    """Return the document with the stages' texts in their places."""

    def block(match: re.Match[str]) -> str:
        name = match[1]
        language = "python" if name in ("model", "emit", "batched step") else "text"
        return f"<!-- {name} -->\n```{language}\n{found[name]}\n```\n<!-- end -->"

    found = texts()
    return re.sub(r"<!-- ([\w ]+) -->\n.*?<!-- end -->", block, document, flags=re.DOTALL)


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
