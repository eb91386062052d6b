"""Fill the output of the compiler into ``how-it-works.md``: ``python docs/make_how_it_works.py``.

The text between ``<!-- name -->`` and ``<!-- end -->`` is generated; everything else is written by hand.
"""

import inspect
import re
import textwrap
from itertools import takewhile
from pathlib import Path

import numpy as np
from mygrad.nnet.activations import logsoftmax, relu

from myrnn import compile, dense, dropout
from myrnn.compiler.loss import trace_loss
from myrnn.errors import NotARecurrence
from myrnn.targets import ONE_CLASS

DOCUMENT = Path(__file__).parent / "explanation" / "how-it-works.md"


class RNN:
    """A simple recurrent network that classifies sequences."""

    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.fc_x2h = dense(dim_input, dim_recurrent)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output)

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
        return self.fc_h2y(h)

    @property
    def parameters(self):
        """The trainable parameters."""
        return self.fc_x2h.parameters + self.fc_h2h.parameters + self.fc_h2y.parameters


class Masked(RNN):
    """A mask removes some of the recurrent connections."""

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        mask = np.tril(np.ones(self.fc_h2h.weight.shape, dtype=np.float32))
        for x_t in x:
            h = relu(self.fc_x2h(x_t[np.newaxis]) + h @ (self.fc_h2h.weight * mask))
        return self.fc_h2y(h)


class BothWays(RNN):
    """A bidirectional layer and a second layer on top of its states."""

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        f = b = h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        forward, backward = [], []
        for x_t in x:
            f = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(f))
            forward.append(f)
        for x_t in x[::-1]:
            b = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(b))
            backward.insert(0, b)
        for f_t, b_t in zip(forward, backward, strict=True):
            h = relu(f_t * b_t + self.fc_h2h(h))
        return self.fc_h2y(h)


class Dropped(RNN):
    """Dropout on the states."""

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for x_t in x:
            h = dropout(relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h)), 0.2)
        return self.fc_h2y(h)


class Late(RNN):
    """Not a recurrence, although it looks like one up to step 20."""

    def __call__(self, x):
        """Return the logits (1, K) of one sequence (T, C)."""
        h = np.zeros((1, self.fc_h2h.weight.shape[0]), dtype=np.float32)
        for t, x_t in enumerate(x):
            h = relu(self.fc_x2h(x_t[np.newaxis]) + self.fc_h2h(h))
            h = 2 * h if t == 20 else h
        return self.fc_h2y(h)


def smoothed(outputs, targets):
    """Return the cross-entropy with smoothed labels."""
    log = logsoftmax(outputs)
    return -(0.9 * log[np.arange(len(targets)), targets] + 0.1 * log.mean(axis=1))


def texts() -> dict[str, str]:
    """Return the generated texts by name."""
    compiled = compile(RNN(10, 50, 2), check=False)
    found = compiled.stages
    found["model"] = inspect.getsource(RNN).strip()
    found["loops"] = compile(BothWays(10, 50, 2), check=False).stages["roll"]
    found["refusal"] = refusal(Late(10, 50, 2))
    found["hoist"] = compile(Masked(10, 50, 2), check=False).stages["hoist"]
    found["schedule"] = part(found["schedule"], "Forward, step by step", until=r"^\S")
    titles = "# Forward, step by step", "# Back through time"
    found["emit"] = "\n\n".join(part(found["emit"], title, until="^$|restore_mode") for title in titles)
    dropped = compile(Dropped(10, 50, 2), check=False)
    found["dropout"] = dropped.stages["roll"]
    found["drawn"] = part(dropped.program(tokens=True, batched=True).source, "# Random numbers", until="^$")
    found["smoothed"] = inspect.getsource(smoothed).strip()
    found["loss"] = str(trace_loss(smoothed, ONE_CLASS, 3, np.arange(3)))
    found["batch"] = part(compiled.program(tokens=True, batched=True).source, r"# h = relu\(h_sum\)", until="^$")
    return found


def refusal(model: RNN) -> str:
    """Return the error that compiling a model raises."""
    try:
        compile(model, check=False)
    except NotARecurrence as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("the model was compiled")


def part(text: str, title: str, until: str) -> str:
    """Return the lines of a text from a title up to a line that matches `until`."""
    first, *lines = text[re.search(rf"^ *{title}", text, flags=re.MULTILINE).start() :].splitlines()
    return textwrap.dedent("\n".join([first, *takewhile(lambda line: not re.search(until, line), lines)]))


def filled(document: str) -> str:
    """Return the document with the current texts."""

    def block(match: re.Match[str]) -> str:
        name = match[1]
        language = "python" if name in ("model", "smoothed", "emit", "batch", "drawn") else "text"
        return f"<!-- {name} -->\n```{language}\n{found[name]}\n```\n<!-- end -->"

    found = texts()
    return re.sub(r"<!-- ([\w ]+) -->\n.*?<!-- end -->", block, document, flags=re.DOTALL)


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
