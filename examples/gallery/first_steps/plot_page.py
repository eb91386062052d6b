"""
A page of your network
======================

A trained network can be one HTML file. It loads nothing from a network, so you can send it by mail or put it on any
site. Type digits, and watch the answer and the states after each of them.
"""

import tempfile
from html import escape
from pathlib import Path

from IPython.display import HTML

import myrnn
from myrnn import Experiment

folder = Path(tempfile.mkdtemp())
experiment = Experiment("twin-halves", "rnn:dim_recurrent=50")
experiment = experiment.with_training(iterations=100_000).with_evaluation(samples=20_000)
run = myrnn.run(experiment, folder / "run", progress=False)
path = myrnn.export(run, folder / "net.html")
print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB")

# %%
# This is the file, in a frame. Press an example, then change a digit.

page = escape(path.read_text(encoding="utf-8"))
size = "width: 100%; height: 48rem; border: 0"
HTML(f'<div><iframe title="A network" style="{size}" srcdoc="{page}"></iframe></div>')

# %%
# The library draws the states of a sequence, too, with a column for each step:

ax = myrnn.inspect(run.compiled, "31313131", 1).plot()
