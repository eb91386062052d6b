"""A notebook written for MyNN, noggin and MyGrad runs if only its imports are changed to MyRNN."""

import ast
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from myrnn.graphs import ComputationalGraph
from myrnn.plots import LivePlot

# The notebook to run besides the one below: a jupytext Markdown file.
BESIDE = Path(__file__).parents[2] / "shared" / "seed" / "simple-rnn-notebook.md"
LESSON = Path(os.environ.get("MYRNN_LESSON", BESIDE))

IMPORTS = {
    "from mynn.layers.dense import dense": "from myrnn import dense",
    "from mynn.optimizers.adam import Adam": "from myrnn import Adam",
    "from noggin import create_plot": "from myrnn import create_plot",
    "from mygrad.computational_graph import build_graph": "from myrnn import build_graph",
}

OWN = """
```python
from collections import Counter

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.initializers import glorot_normal
from mygrad.nnet.losses import softmax_crossentropy
from mynn.layers.dense import dense
from mynn.optimizers.adam import Adam

%matplotlib notebook
```

A recurrent network reads a sequence row by row and scores it at the end.

```python
class RNN:
    def __init__(self, dim_input, dim_recurrent, dim_output):
        self.dim_recurrent = dim_recurrent
        self.fc_x2h = dense(dim_input, dim_recurrent, weight_initializer=glorot_normal)
        self.fc_h2h = dense(dim_recurrent, dim_recurrent, weight_initializer=glorot_normal, bias=False)
        self.fc_h2y = dense(dim_recurrent, dim_output, weight_initializer=glorot_normal)

    def __call__(self, x):
        state = np.zeros((1, self.dim_recurrent), dtype=np.float32)
        for row in x:
            state = relu(self.fc_x2h(row[None]) + self.fc_h2h(state))
        return self.fc_h2y(state)

    @property
    def parameters(self):
        layers = self.fc_x2h, self.fc_h2h, self.fc_h2y
        return tuple(parameter for layer in layers for parameter in layer.parameters)
```

<!-- #region -->
A sequence may look like this. This block is text, not a cell.

```python
array([2, 0, 2, 0])
```
<!-- #endregion -->

```python
def generate_sequence(longest=10):
    half = np.random.randint(0, 10, np.random.randint(1, longest + 1))
    other = half.copy()
    match = np.random.rand() < 0.5
    while not match and np.array_equal(other, half):
        other = np.random.randint(0, 10, len(half))
    sequence = np.concatenate([half, other])
    return np.eye(10, dtype=np.float32)[sequence], np.array([match], dtype=np.int16), sequence
```

```python
from noggin import create_plot
plotter, fig, ax = create_plot(["loss", "accuracy"])
```

```python
model = RNN(dim_input=10, dim_recurrent=50, dim_output=2)
optimizer = Adam(model.parameters)
```

```python
for step in range(100000):
    x, target, sequence = generate_sequence()
    output = model(x)
    loss = softmax_crossentropy(output, target)
    loss.backward()
    optimizer.step()
    right = float(output.data.argmax() == target.item())
    plotter.set_train_batch({"loss": loss.item(), "accuracy": right}, batch_size=1, plot=False)
    if step and step % 500 == 0:
        plotter.set_train_epoch()
```

```python
length_total, length_correct = Counter(), Counter()
with mg.no_autodiff:
    for _ in range(100000):
        x, target, sequence = generate_sequence()
        length_total[len(sequence)] += 1
        length_correct[len(sequence)] += int(model(x).data.argmax() == target.item())
```

```python
from mygrad.computational_graph import build_graph
x, target, sequence = generate_sequence()
output = model(x)
loss = softmax_crossentropy(output, target)
build_graph(loss, names=locals(), render=True)
```
"""


def cells(notebook):
    """Return the code cells of a jupytext Markdown notebook, with MyRNN's imports and shorter loops."""
    text = re.sub(r"<!-- #region.*?<!-- #endregion -->", "", notebook, flags=re.DOTALL)
    for theirs, ours in IMPORTS.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    # The lesson's loops run for minutes; magics are not Python.
    text = text.replace("100000", "600")
    text = re.sub(r"^%matplotlib.*$", "", text, flags=re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def run(cell, names):
    """Run a cell as a notebook does, and return the value of its last line."""
    *body, last = ast.parse(cell).body
    if not isinstance(last, ast.Expr):
        body, last = [*body, last], None
    exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


LESSONS = {"own": OWN, **({"given": LESSON.read_text(encoding="utf-8")} if LESSON.is_file() else {})}


@pytest.mark.long
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_cells_run_with_only_the_imports_changed(lesson, capsys):
    np.random.seed(0)  # noqa: NPY002 - the cells draw from this generator
    names = {"__name__": "lesson"}
    shown = [run(cell, names) for cell in cells(LESSONS[lesson])][-1]
    plt.close("all")

    assert names["dense"].__module__.startswith("myrnn.")
    assert names["Adam"].__module__.startswith("myrnn.")
    assert isinstance(names["plotter"], LivePlot)
    assert isinstance(shown, ComputationalGraph)
    assert sum(names["length_total"].values()) == 600
    assert set(names["length_total"]) == set(range(2, 21, 2))
    assert "fc_h2h.weight" in shown.to_svg()
    # Iteration 501 ended an epoch.
    assert list(names["plotter"].train_metrics["loss"]["epoch_domain"]) == [501]


def test_the_cells_of_the_lesson_are_all_found():
    assert len(cells(OWN)) == 8
    assert all("array([2, 0, 2, 0])" not in cell for cell in cells(OWN))
