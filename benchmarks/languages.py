"""Do MyRNN and PyTorch learn formal languages equally well? ``python -m benchmarks.languages``, with a table.

Both train the same network from the same weights, on the same strings in the same order, and are tested on the same
strings. Only rounding differs, and its effect grows in a long training. So single runs differ if learning a language
depends on luck, and means over seeds are compared.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import myrnn
from benchmarks.environment import Meter, enter, refusal
from myrnn.intervals import student_interval
from myrnn.models.model import parameter_names
from myrnn.sequences import Sequences
from myrnn.tasks import Flare
from myrnn.tasks.languages import FLARE

# The order in which PyTorch keeps the gates of its layers, in the letters of the models.
GATES = {"rnn": "h", "lstm": "ifgo"}
UNITS, BATCH, RATE, CLIP = 64, 32, 0.005, 1.0
SHORT, LONG = range(1, 41), range(50, 501, 25)


@dataclass(frozen=True)
class Outcome:
    """The result of one library: accuracy on short and on long strings, and the seconds of its training."""

    short: float
    long: float
    seconds: float


class InOrder:
    """A task that gives the same strings, one after the other."""

    def __init__(self, task: Flare, strings: Sequences) -> None:
        self.dim_input, self.dim_output, self.lengths = task.dim_input, task.dim_output, task.lengths
        self._strings, self._given = strings, 0

    def sample(self, n: int, rng: np.random.Generator) -> Sequences:
        """Return the next strings."""
        first, self._given = self._given, self._given + n
        return self._strings.select(np.arange(first, self._given) % len(self._strings))


class Network(nn.Module):
    """PyTorch's layer with the weights of a model, and a readout of its last hidden state."""

    def __init__(self, model: Any, cell: str) -> None:
        super().__init__()
        layer = {"rnn": nn.RNN, "lstm": nn.LSTM}[cell]
        self.layer = layer(model.dim_input, model.dim_recurrent)
        self.readout = nn.Linear(model.dim_recurrent, model.dim_output)
        self.one_hot = torch.eye(model.dim_input)
        by_name = dict(zip(parameter_names(model), model.parameters, strict=True))

        def joined(name: str) -> Tensor:
            parts = [by_name[name.format(gate)].data for gate in GATES[cell]]
            return torch.from_numpy(np.concatenate(parts, axis=1).T.copy())

        with torch.no_grad():
            self.layer.weight_ih_l0.copy_(joined("fc_x2{}.weight"))
            self.layer.weight_hh_l0.copy_(joined("fc_h2{}.weight"))
            self.layer.bias_ih_l0.copy_(joined("fc_x2{}.bias")[:, 0])
            # PyTorch has a second bias, which the model does not have.
            self.layer.bias_hh_l0.zero_()
            self.layer.bias_hh_l0.requires_grad_(False)
            self.readout.weight.copy_(torch.from_numpy(model.fc_h2y.weight.data.T.copy()))
            self.readout.bias.copy_(torch.from_numpy(model.fc_h2y.bias.data[0].copy()))

    def forward(self, strings: list[Tensor]) -> Tensor:
        packed = pack_sequence([self.one_hot[tokens] for tokens in strings], enforce_sorted=False)
        last = self.layer(packed)[1]
        return self.readout((last[0] if isinstance(last, tuple) else last)[0])


def batches(strings: Sequences, size: int) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Yield the strings and labels of one batch after the other."""
    values, labels = torch.tensor(strings.values.astype(np.int64)), torch.tensor(strings.labels)
    ends = strings.offsets.tolist()
    for begin in range(0, len(strings), size):
        end = min(begin + size, len(strings))
        yield [values[ends[i] : ends[i + 1]] for i in range(begin, end)], labels[begin:end]


def with_pytorch(model: Any, cell: str, strings: Sequences, tests: tuple[Sequences, Sequences]) -> Outcome:
    """Train and test PyTorch's network, from the weights of a model that is not trained yet."""
    network = Network(model, cell)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, RATE, fused=True)
    count = len(strings) // BATCH
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5 * (1 + math.cos(math.pi * i / count)))
    begin = time.perf_counter()
    for texts, labels in batches(strings, BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(texts), labels).backward()
        nn.utils.clip_grad_norm_(learned, CLIP)
        optimizer.step()
        falling.step()
    seconds = time.perf_counter() - begin
    found = []
    with torch.no_grad():
        for test in tests:
            right = sum(int((network(texts).argmax(1) == labels).sum()) for texts, labels in batches(test, 128))
            found.append(right / len(test))
    return Outcome(found[0], found[1], seconds)


def with_myrnn(model: Any, task: Flare, strings: Sequences, tests: tuple[Sequences, Sequences]) -> Outcome:
    """Train and test a model."""
    optimizer = myrnn.Adam(model.parameters, learning_rate=RATE)
    settings: dict[str, Any] = {"batch_size": BATCH, "schedule": "cosine", "gradient_clip": CLIP, "progress": False}
    begin = time.perf_counter()
    myrnn.train(model, InOrder(task, strings), optimizer, iterations=len(strings) // BATCH, engine="native", **settings)
    seconds = time.perf_counter() - begin
    short, long = (myrnn.evaluate(model, test, progress=False).mean_accuracy for test in tests)
    return Outcome(short, long, seconds)


def compare(cell: str, language: str, seed: int, iterations: int, samples: int) -> tuple[Outcome, Outcome]:
    """Return the results of MyRNN and PyTorch on a language."""
    task = Flare(language, any_length=True)
    rng = np.random.default_rng(seed)
    strings = task.sample(iterations * BATCH, rng)
    short, long = (
        task.sample_lengths(np.resize(np.array(lengths), samples), np.random.default_rng((seed, 1)))
        for lengths in (SHORT, LONG)
    )
    made = {"rnn": myrnn.RNN, "lstm": myrnn.LSTM}[cell]
    settings: dict[str, Any] = {"activation": "tanh"} if cell == "rnn" else {}
    model = made(task.dim_input, UNITS, task.dim_output, recurrent_init="orthogonal", rng=seed, **settings)
    theirs = with_pytorch(model, cell, strings, (short, long))
    return with_myrnn(model, task, strings, (short, long)), theirs


def interval(differences: list[float]) -> str:
    """Return the mean of differences in points, with its 95% interval if there are two or more."""
    mean, count = float(np.mean(differences)), len(differences)
    if count < 2:
        return f"{100 * mean:+.1f}"
    low, high = student_interval(mean, np.std(differences, ddof=1) / math.sqrt(count), count)
    return f"{100 * mean:+.1f} ± {50 * (high - low):.1f}"


def main(
    cell: Annotated[str, typer.Option(help="rnn or lstm.")] = "lstm",
    languages: Annotated[str, typer.Option(help="Comma-separated names, or all.")] = "all",
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    iterations: Annotated[int, typer.Option(min=1)] = 2_000,
    samples: Annotated[int, typer.Option(min=1, help="Strings of each test.")] = 1_900,
    minutes: Annotated[float, typer.Option(help="Begin no further language after so long.")] = 15.0,
) -> None:
    """Train networks with both libraries and show their accuracy on short and on long strings."""
    enter(1)
    begin, differences, meter = time.perf_counter(), [], Meter()
    print("| language | short: MyRNN | PyTorch | difference | long: MyRNN | PyTorch | difference | seconds | PyTorch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for language in FLARE if languages == "all" else languages.split(","):
        if time.perf_counter() - begin > 60 * minutes:
            break
        pairs = [compare(cell, language, seed, iterations, samples) for seed in range(seeds)]
        cells = [language]
        for name in ("short", "long"):
            ours, theirs = ([getattr(pair[i], name) for pair in pairs] for i in range(2))
            each = [one - other for one, other in zip(ours, theirs, strict=True)]
            cells += [f"{100 * np.mean(ours):.1f}", f"{100 * np.mean(theirs):.1f}", interval(each)]
            if name == "short":
                differences.append(float(np.mean(each)))
        cells += [f"{np.mean([pair[i].seconds for pair in pairs]):.1f}" for i in range(2)]
        print(f"| {' | '.join(cells)} |", flush=True)
    if invalid := refusal(meter.cores(), 1):
        raise SystemExit(f"The seconds are {invalid}")
    print(f"\nMean difference on short strings over {len(differences)} languages: {interval(differences)} points")


if __name__ == "__main__":
    typer.run(main)
