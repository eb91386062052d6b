"""Fill ``porting.md``: the same jobs in Keras, PyTorch and MyRNN, with the code that ran and tables of results.

``python docs/make_ports.py --reviews vaderSentiment-0.5.zip`` measures all jobs, one after the other, in about ten
minutes; ``--only sine`` measures some of them, and ``--code`` only updates the code in the page. It needs
``pip install -e '.[ports]'`` and the film reviews, which are not installed but read from the source package:
``pip download --no-deps --no-build-isolation vaderSentiment==0.5``.

Each library runs in its own process, on the same core, with one thread. They take turns, seed by seed. Times are
processor times, so other work on the machine does not count. `benchmarks/environment.py` sets all this.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import importlib
import importlib.util
import io
import os
import re
import sys
import tarfile
import tempfile
import tokenize
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from pydoc_data.topics import topics
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.environment import Meter, enter, refusal

DOCUMENT = Path(__file__).parent / "how-to" / "porting.md"
LIBRARIES = {"keras": "Keras", "torch": "PyTorch", "myrnn": "MyRNN"}
SEEDS = (0, 1, 2)

# The code that the page shows ----------------------------------------------------------------------------------------


def sentiment_keras(train, test, words, bidirectional, epochs, seed):
    """Return the accuracy of an LSTM over an embedding; `train` and `test` are token lists with labels."""
    import keras

    keras.utils.set_random_seed(seed)
    longest = max(map(len, train[0] + test[0]))
    x, x_test = (keras.utils.pad_sequences(rows, longest, padding="post") for rows, _ in (train, test))
    lstm = keras.layers.LSTM(64)
    network = keras.Sequential(
        [
            keras.layers.Embedding(words, 32, mask_zero=True),
            keras.layers.Bidirectional(lstm) if bidirectional else lstm,
            keras.layers.Dense(2),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,
    )
    network.fit(x, train[1], batch_size=32, epochs=epochs, verbose=0)
    return network.evaluate(x_test, test[1], verbose=0)[1]


def sentiment_torch(train, test, words, bidirectional, epochs, seed):
    """Return the accuracy of an LSTM over an embedding; `train` and `test` are token lists with labels."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_sequence

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(words, 32)
            nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
            self.lstm = nn.LSTM(32, 64, bidirectional=bidirectional)
            self.readout = nn.Linear(128 if bidirectional else 64, 2)

        def forward(self, rows):
            packed = pack_sequence(rows, enforce_sorted=False)
            _, (h, _) = self.lstm(packed._replace(data=self.embedding(packed.data)))
            return self.readout(torch.cat(list(h), dim=1))

    torch.manual_seed(seed)
    x, x_test = ([torch.tensor(row) for row in rows] for rows, _ in (train, test))
    y, y_test = torch.tensor(train[1]), torch.tensor(test[1])
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003, fused=True)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(32):
            loss = cross_entropy(network([x[i] for i in chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (network(x_test).argmax(1) == y_test).float().mean().item()


def sentiment_myrnn(train, test, words, bidirectional, epochs, seed):
    """Return the accuracy of an LSTM over an embedding; `train` and `test` are token lists with labels."""
    from myrnn import SequenceClassifier

    classifier = SequenceClassifier(
        "lstm",
        dim_recurrent=64,
        dim_embedding=32,
        bidirectional=bidirectional,
        batch_size=32,
        learning_rate=0.003,
        max_epochs=epochs,
        random_state=seed,
        **AS_THE_OTHERS,
    )
    return classifier.fit(*train).score(*test)


def pieces(values, streams, steps):
    """Cut a series into parallel streams; return inputs and targets, two arrays (pieces, streams, steps)."""
    count = (len(values) - 1) // (streams * steps)
    inputs, following = (values[first : first + streams * count * steps] for first in (0, 1))
    return [part.reshape(streams, count, steps).swapaxes(0, 1) for part in (inputs, following)]


def characters_keras(train, test, symbols, epochs, seed):
    """Return bits per character of a GRU; `train` and `test` are arrays of character numbers."""
    import keras

    keras.utils.set_random_seed(seed)
    x, y = (part.reshape(-1, 64) for part in pieces(train, 32, 64))
    network = keras.Sequential(
        [
            keras.layers.Embedding(symbols, 32),
            keras.layers.GRU(128, return_sequences=True, reset_after=False),
            keras.layers.Dense(symbols),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
    )
    network.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return network.evaluate(test[np.newaxis, :-1], test[np.newaxis, 1:], verbose=0) / np.log(2)


def characters_torch(train, test, symbols, epochs, seed):
    """Return bits per character of a GRU; `train` and `test` are arrays of character numbers."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(symbols, 32)
            self.gru = nn.GRU(32, 128, batch_first=True)
            self.readout = nn.Linear(128, symbols)

        def forward(self, x, h=None):
            states, h = self.gru(self.embedding(x), h)
            return self.readout(states).flatten(0, 1), h.detach()

    torch.manual_seed(seed)
    x, y = (torch.tensor(part) for part in pieces(train, 32, 64))
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003, fused=True)
    for _ in range(epochs):
        h = None
        for piece, following in zip(x, y, strict=True):
            logits, h = network(piece, h)
            loss = cross_entropy(logits, following.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits, _ = network(torch.tensor(test[np.newaxis, :-1]))
        return cross_entropy(logits, torch.tensor(test[1:])).item() / np.log(2)


def characters_myrnn(train, test, symbols, epochs, seed):
    """Return bits per character of a GRU; `train` and `test` are arrays of character numbers."""
    from myrnn import LanguageModel

    model = LanguageModel(
        "gru",
        dim_recurrent=128,
        dim_embedding=32,
        batch_size=32,
        truncate=64,
        learning_rate=0.003,
        max_epochs=epochs,
        random_state=seed,
        **AS_THE_OTHERS,
    )
    return model.fit([train]).bits([test])


def tags_keras(train, test, symbols, tags, epochs, seed):
    """Return the share of steps that a bidirectional GRU tags correctly; `train` and `test` are rows with tags."""
    import keras

    keras.utils.set_random_seed(seed)
    longest = max(map(len, train[0] + test[0]))
    x, y, x_test, y_test = (keras.utils.pad_sequences(rows, longest, padding="post") for rows in (*train, *test))
    network = keras.Sequential(
        [
            keras.layers.Embedding(symbols, 32, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.GRU(32, return_sequences=True, reset_after=False)),
            keras.layers.Dense(tags),
        ]
    )
    # The mask excludes the padding from the loss and the accuracy.
    network.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
        jit_compile=True,
    )
    network.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return network.evaluate(x_test, y_test, verbose=0)[1]


def tags_torch(train, test, symbols, tags, epochs, seed):
    """Return the share of steps that a bidirectional GRU tags correctly; `train` and `test` are rows with tags."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_sequence

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(symbols, 32)
            nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
            self.gru = nn.GRU(32, 32, bidirectional=True)
            self.readout = nn.Linear(64, tags)

        def forward(self, packed):
            states, _ = self.gru(packed._replace(data=self.embedding(packed.data)))
            return self.readout(states.data)

    def packed(rows):
        return pack_sequence(rows, enforce_sorted=False)

    torch.manual_seed(seed)
    x, y, x_test, y_test = ([torch.tensor(row) for row in rows] for rows in (*train, *test))
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003, fused=True)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(32):
            loss = cross_entropy(network(packed([x[i] for i in chosen])), packed([y[i] for i in chosen]).data)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (network(packed(x_test)).argmax(1) == packed(y_test).data).float().mean().item()


def tags_myrnn(train, test, symbols, tags, epochs, seed):
    """Return the share of steps that a bidirectional GRU tags correctly; `train` and `test` are rows with tags."""
    from myrnn import SequenceTagger

    tagger = SequenceTagger(
        "gru",
        dim_recurrent=32,
        dim_embedding=32,
        bidirectional=True,
        batch_size=32,
        learning_rate=0.003,
        max_epochs=epochs,
        random_state=seed,
        **AS_THE_OTHERS,
    )
    return tagger.fit(*train).score(*test)


def series_keras(series, border, steps, epochs, seed):
    """Return the root mean squared error one step ahead, after `border`, of an LSTM trained on the values before."""
    import keras

    keras.utils.set_random_seed(seed)
    mean, scale = series[:border].mean(), series[:border].std()
    scaled = (series - mean) / scale
    x, y = (part.reshape(-1, steps, 1) for part in pieces(scaled[:border], 8, steps))
    network = keras.Sequential(
        [keras.Input((None, 1)), keras.layers.LSTM(32, return_sequences=True), keras.layers.Dense(1)]
    )
    network.compile(optimizer=keras.optimizers.Adam(0.003), loss="mse", jit_compile=True)
    network.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
    said = network.predict(scaled[np.newaxis, :-1, np.newaxis], verbose=0)[0, :, 0] * scale + mean
    return np.sqrt(np.mean((said - series[1:])[border - 1 :] ** 2))


def series_torch(series, border, steps, epochs, seed):
    """Return the root mean squared error one step ahead, after `border`, of an LSTM trained on the values before."""
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(1, 32, batch_first=True)
            self.readout = nn.Linear(32, 1)

        def forward(self, x, state=None):
            states, (h, c) = self.lstm(x.unsqueeze(2), state)
            return self.readout(states).squeeze(2), (h.detach(), c.detach())

    torch.manual_seed(seed)
    mean, scale = series[:border].mean(), series[:border].std()
    scaled = ((series - mean) / scale).astype(np.float32)
    x, y = (torch.tensor(part) for part in pieces(scaled[:border], 8, steps))
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003, fused=True)
    for _ in range(epochs):
        state = None
        for piece, following in zip(x, y, strict=True):
            said, state = network(piece, state)
            loss = mse_loss(said, following)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        said = network(torch.tensor(scaled[np.newaxis, :-1]))[0][0].numpy() * scale + mean
    return np.sqrt(np.mean((said - series[1:])[border - 1 :] ** 2))


def series_myrnn(series, border, steps, epochs, seed):
    """Return the root mean squared error one step ahead, after `border`, of an LSTM trained on the values before."""
    from myrnn import SequenceForecaster

    forecaster = SequenceForecaster(
        "lstm",
        dim_recurrent=32,
        batch_size=8,
        truncate=steps,
        learning_rate=0.003,
        max_epochs=epochs,
        random_state=seed,
        **AS_THE_OTHERS,
    )
    said = forecaster.fit(series[:border]).predict(series[:-1])
    return np.sqrt(np.mean((said - series[1:])[border - 1 :] ** 2))


# What Keras and PyTorch do not do by default.
AS_THE_OTHERS = {"validation_fraction": 0, "early_stopping_patience": None, "gradient_clip": None}


def put_gates(layer, gates, x2h, h2h, bias):
    """Copy concatenated weights of all gates, (C, G D), (D, G D) and (G D,), into a layer of MyRNN."""
    for gate, x, h, b in zip(gates, *(np.split(part, len(gates), axis=-1) for part in (x2h, h2h, bias)), strict=True):
        getattr(layer, f"fc_x2{gate}").weight.data[...] = x
        getattr(layer, f"fc_h2{gate}").weight.data[...] = h
        getattr(layer, f"fc_x2{gate}").bias.data[...] = b


def carried_from_keras(embedding, layers, readout, cell):
    """Return a model with the weights of a Keras LSTM, or a GRU with ``reset_after=False``, in one or both directions.

    `layers` is one layer, or the ``forward_layer`` and the ``backward_layer`` of a ``Bidirectional``.
    """
    from myrnn import Stacked

    symbols, width = embedding.get_weights()[0].shape
    units, classes = layers[0].units, readout.units
    bidirectional = len(layers) == 2
    model = Stacked(symbols, units, classes, cell=cell, layers=1, dim_embedding=width, bidirectional=bidirectional)
    model.embedding.weight.data[...] = embedding.get_weights()[0]
    for layer, theirs in zip(model.stack, layers, strict=True):
        put_gates(layer, {"lstm": "ifgo", "gru": "zrn"}[cell], *theirs.get_weights())
    model.fc_h2y.weight.data[...], model.fc_h2y.bias.data[...] = readout.get_weights()
    return model


def carried_from_torch(embedding, lstm, readout):
    """Return a model with the weights of PyTorch's modules: transposed matrices, and two biases that are added."""
    from myrnn import Stacked

    def numbers(parameter):
        return parameter.detach().numpy().T

    width, symbols = numbers(embedding.weight).shape
    model = Stacked(
        symbols,
        lstm.hidden_size,
        readout.out_features,
        cell="lstm",
        layers=1,
        dim_embedding=width,
        bidirectional=lstm.bidirectional,
    )
    model.embedding.weight.data[...] = numbers(embedding.weight).T
    for layer, suffix in zip(model.stack, ("l0", "l0_reverse"), strict=False):
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        x2h, h2h, first, second = (numbers(getattr(lstm, f"{part}_{suffix}")) for part in parts)
        put_gates(layer, "ifgo", x2h, h2h, first + second)
    model.fc_h2y.weight.data[...] = numbers(readout.weight)
    model.fc_h2y.bias.data[...] = numbers(readout.bias)
    return model


def gru_from_torch(gru, readout):
    """Return a model with the equations and weights of PyTorch's GRU, which resets after the product."""
    from mygrad import tanh
    from mygrad.nnet.activations import sigmoid

    from myrnn import dense

    class ResetAfter:
        def __init__(self):
            for gate in "rzn":
                setattr(self, f"x2{gate}", dense(gru.input_size, gru.hidden_size))
                setattr(self, f"h2{gate}", dense(gru.hidden_size, gru.hidden_size))
            self.h2y = dense(gru.hidden_size, readout.out_features)

        def __call__(self, x):
            h = np.zeros((1, gru.hidden_size), dtype=np.float32)
            for row in x:
                x_t = row[np.newaxis]
                r = sigmoid(self.x2r(x_t) + self.h2r(h))
                z = sigmoid(self.x2z(x_t) + self.h2z(h))
                n = tanh(self.x2n(x_t) + r * self.h2n(h))
                h = n + z * (h - n)
            return self.h2y(h)

        @property
        def parameters(self):
            return tuple(parameter for layer in vars(self).values() for parameter in layer.parameters)

    model = ResetAfter()
    for side, part in (("x2", "ih"), ("h2", "hh")):
        weight, bias = (getattr(gru, f"{kind}_{part}_l0").detach().numpy().T for kind in ("weight", "bias"))
        for gate, w, b in zip("rzn", np.split(weight, 3, axis=-1), np.split(bias, 3), strict=True):
            layer = getattr(model, side + gate)
            layer.weight.data[...], layer.bias.data[...] = w, b
    model.h2y.weight.data[...] = readout.weight.detach().numpy().T
    model.h2y.bias.data[...] = readout.bias.detach().numpy()
    return model


# The data ------------------------------------------------------------------------------------------------------------

# Sizes of the reviews: the most frequent words and the training sentences; 0 is for padding, 1 for all other words.
WORDS, LEARNED = 5000, 5000
# Reviews whose mean rating, from -4 to 4, is nearer to 0 than this are neither good nor bad.
NEUTRAL = 0.5
REVIEWS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
KINDS = {tokenize.COMMENT: 1, tokenize.STRING: 2, tokenize.NUMBER: 3, tokenize.NAME: 4}
MODULES = ("textwrap", "json.decoder", "io", "argparse")


def reviews(path: Path) -> dict[str, Any]:
    """Return sentences of film reviews as word numbers, and whether each is positive."""
    with zipfile.ZipFile(path) as package:
        inner = package.read("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
        lines = archive.extractfile(REVIEWS).read().decode("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    rows = [row for row in rows if abs(float(row[1])) > NEUTRAL]
    rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    texts = [re.findall(r"[a-z']+|[.!?]", text.lower()) for _, _, text in rows]
    frequent = Counter(word for text in texts[:LEARNED] for word in text).most_common(WORDS - 2)
    number_of = {word: number for number, (word, _) in enumerate(frequent, start=2)}
    x = [[number_of.get(word, 1) for word in text] for text in texts]
    y = np.array([int(float(rating) > 0) for _, rating, _ in rows])
    return {"train": (x[:LEARNED], y[:LEARNED]), "test": (x[LEARNED:], y[LEARNED:]), "words": WORDS}


def characters() -> dict[str, Any]:
    """Return Python's documentation, each paragraph once, as character numbers."""
    names = sorted(topics)
    np.random.default_rng(0).shuffle(names)
    paragraphs = dict.fromkeys(part.strip("\n") for name in names for part in topics[name].split("\n\n"))
    text = "\n\n".join(part for part in paragraphs if part and "--+" not in part)
    text = text.encode("ascii", "ignore").decode()[:140_000]
    symbols, numbers = np.unique(list(text), return_inverse=True)
    return {"train": numbers[:120_000], "test": numbers[120_000:], "symbols": len(symbols)}


def code() -> dict[str, Any]:
    """Return lines of Python's modules as character numbers from 1, and the kind of each character."""
    lines, kinds = [], []
    for name in MODULES:
        source = Path(importlib.import_module(name).__file__ or "").read_text(encoding="utf-8")
        found = [np.zeros(len(line), dtype=np.int64) for line in source.splitlines()]
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in KINDS and token.start[0] == token.end[0]:
                found[token.start[0] - 1][token.start[1] : token.end[1]] = KINDS[token.type]
        lines += [line[:100] for line in source.splitlines() if line]
        kinds += [row[:100].tolist() for row in found if len(row)]
    number_of = {symbol: number for number, symbol in enumerate(sorted(set("".join(lines))), start=1)}
    rows = [[number_of[symbol] for symbol in line] for line in lines]
    order = np.random.default_rng(0).permutation(len(rows))
    x, y = [rows[place] for place in order], [kinds[place] for place in order]
    sizes = {"symbols": len(number_of) + 1, "tags": len(KINDS) + 1}
    return {"train": (x[:-500], y[:-500]), "test": (x[-500:], y[-500:]), **sizes}


def sine() -> dict[str, Any]:
    """Return a sine with a slowly varying amplitude and noise."""
    t = np.arange(2500)
    noise = 0.1 * np.random.default_rng(0).normal(size=len(t))
    return {"series": np.sin(t / 7) * (1.5 + np.sin(t / 40)) + noise, "border": 8 * 8 * 32 + 1, "steps": 32}


def sunspots() -> dict[str, Any]:
    """Return the monthly numbers of sunspots from 1749 to 1983, as pmdarima has them."""
    spec = importlib.util.find_spec("pmdarima")
    folder = Path(next(iter(spec.submodule_search_locations)))
    with gzip.open(folder / "datasets" / "data" / "sunspots.txt.gz", "rt") as file:
        series = np.array(file.read().split(), dtype=np.float64)
    return {"series": series, "border": 8 * 6 * 48 + 1, "steps": 48}


# The jobs, and how they are measured ---------------------------------------------------------------------------------


class Job(NamedTuple):
    """A job: the prefix of its functions, its data, the number of epochs, and how to print the score."""

    name: str
    data: Callable[[], dict[str, Any]]
    epochs: int
    score: str
    form: str
    settings: Mapping[str, Any] = MappingProxyType({})


def jobs(path: Path | None) -> dict[str, Job]:
    """Return the jobs by the names of their tables in the page."""
    read = partial(reviews, path) if path else reviews
    return {
        "sentiment one way": Job("sentiment", read, 5, "accuracy", ".1%", {"bidirectional": False}),
        "sentiment both ways": Job("sentiment", read, 5, "accuracy", ".1%", {"bidirectional": True}),
        "characters": Job("characters", characters, 20, "bits per character", ".3f"),
        "tags": Job("tags", code, 20, "characters right", ".2%"),
        "sine": Job("series", sine, 300, "error", ".4f"),
        "sunspots": Job("series", sunspots, 100, "error", ".2f"),
    }


class Times(NamedTuple):
    """The results of one library: its scores, and the seconds of the first fit, of whole fits and per epoch."""

    scores: list[float]
    first: float
    fits: list[float]
    epochs: list[float]


def begin(library: str) -> None:
    """Import a library, so that importing is not measured."""
    os.environ["KERAS_BACKEND"] = "jax"
    importlib.import_module(library)


def timed(name: str, settings: dict[str, Any]) -> tuple[float, float]:
    """Return the score of a function and its processor time in seconds, including child processes."""
    meter = Meter()
    score = globals()[name](**settings)
    if invalid := refusal(meter.cores(), 1):
        raise RuntimeError(f"the time of {name} is {invalid}")
    return float(score), meter.processor_seconds()


def measured(job: Job) -> dict[str, Times]:
    """Measure all libraries in turns; the time per epoch excludes the first epoch."""
    settings = {**job.data(), **job.settings}
    with ExitStack() as stack:
        pools = {
            library: stack.enter_context(
                ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=begin, initargs=(library,))
            )
            for library in LIBRARIES
        }

        def ran(library: str, epochs: int, seed: int) -> tuple[float, float]:
            given = {**settings, "epochs": epochs, "seed": seed}
            return pools[library].submit(timed, f"{job.name}_{library}", given).result()

        for pool in pools.values():
            pool.submit(abs, 0).result()
        found = {library: Times([], ran(library, 1, 0)[1], [], []) for library in pools}
        shortest = {library: ran(library, 1, 0)[1] for library in pools}
        for seed in SEEDS:
            for library, times in found.items():
                score, whole = ran(library, job.epochs, seed)
                times.scores.append(score)
                times.fits.append(whole)
                times.epochs.append((whole - shortest[library]) / (job.epochs - 1))
    return found


def table(job: Job, found: dict[str, Times]) -> str:
    """Return the results of a job as a table."""
    head = f"| | {job.score} | time per epoch | MyRNN is | fit ({job.epochs} epochs) and score | first fit (1 epoch) |"
    lines = [head, "|---|---:|---:|---|---:|---:|"]
    for library, label in LIBRARIES.items():
        times = found[library]
        mean, spread = (f"{value:{job.form}}" for value in (np.mean(times.scores), np.std(times.scores, ddof=1)))
        ratio = np.median(np.divide(times.epochs, found["myrnn"].epochs))
        beside = "" if library == "myrnn" else f"{ratio:.1f} times as fast"
        epoch, fit = (seconds(float(np.median(each))) for each in (times.epochs, times.fits))
        lines.append(f"| {label} | {mean} ± {spread} | {epoch} | {beside} | {fit} | {seconds(times.first)} |")
    return "\n".join(lines)


def seconds(value: float) -> str:
    """Return a time with two or three digits."""
    return f"{value * 1000:.3g} ms" if value < 0.9995 else f"{value:.1f} s"


def carried() -> str:
    """Copy weights, and return a table of the largest differences of logits."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    import torch
    from torch import nn

    from myrnn import compile

    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 100, 20)
    one_hot = np.eye(100, dtype=np.float32)[numbers]
    found = {}
    for label, cell, layer in (
        ("Keras `LSTM`, `Bidirectional`", "lstm", keras.layers.Bidirectional(keras.layers.LSTM(24))),
        ("Keras `GRU(reset_after=False)`", "gru", keras.layers.GRU(24, reset_after=False)),
    ):
        network = keras.Sequential([keras.layers.Embedding(100, 8), layer, keras.layers.Dense(3)])
        network(numbers[np.newaxis])
        # Not the initial weights, whose biases are zero.
        network.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in network.get_weights()])
        theirs = np.asarray(network(numbers[np.newaxis]))
        layers = [layer] if cell == "gru" else [layer.forward_layer, layer.backward_layer]
        model = carried_from_keras(network.layers[0], layers, network.layers[2], cell)
        found[label] = (theirs, compile(model)(one_hot))
    torch.manual_seed(0)
    embedding, lstm, readout = nn.Embedding(100, 8), nn.LSTM(8, 24, bidirectional=True), nn.Linear(48, 3)
    with torch.no_grad():
        _, (h, _) = lstm(embedding(torch.tensor(numbers)))
        theirs = readout(torch.cat(list(h))[np.newaxis]).numpy()
    found["PyTorch `LSTM(bidirectional=True)`"] = (
        theirs,
        compile(carried_from_torch(embedding, lstm, readout))(one_hot),
    )
    gru, readout = nn.GRU(4, 24), nn.Linear(24, 3)
    rows = rng.normal(size=(20, 4)).astype(np.float32)
    with torch.no_grad():
        theirs = readout(gru(torch.tensor(rows))[1]).numpy()
    found["PyTorch `GRU`, with a class of its equations"] = (theirs, compile(gru_from_torch(gru, readout))(rows))
    lines = ["| weights of | largest difference of logits |", "|---|---:|"]
    for label, (theirs, ours) in found.items():
        furthest = float(np.abs(theirs - ours).max())
        assert furthest < 1e-5, label
        lines.append(f"| {label} | {furthest:.1g} |")
    return "\n".join(lines)


# The page ------------------------------------------------------------------------------------------------------------


def shown() -> Iterator[tuple[str, str]]:
    """Yield the name and source of everything that the page can show."""
    source = Path(__file__).read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        named = node.targets[0] if isinstance(node, ast.Assign) else node
        name = getattr(named, "id", getattr(named, "name", ""))
        yield name, ast.get_source_segment(source, node) or ""


def filled(document: str, name: str, text: str) -> str:
    """Return the document with new text between the marks of a name, or unchanged if it has none."""
    opening, closing = f"<!-- {name} -->\n", "\n<!-- end -->"
    if opening not in document:
        return document
    head, rest = document.split(opening)
    return head + opening + text + rest[rest.index(closing) :]


def with_code(document: str) -> str:
    """Return the document with the current code of this file."""
    for name, source in shown():
        document = filled(document, f"code {name}", f"```python\n{source}\n```")
    return document


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", type=Path, help="the source package vaderSentiment-0.5.zip")
    parser.add_argument("--only", nargs="*", help="the tables to measure")
    parser.add_argument("--code", action="store_true", help="only update the code")
    given = parser.parse_args()
    document = with_code(DOCUMENT.read_text(encoding="utf-8"))
    DOCUMENT.write_text(document, encoding="utf-8")
    if given.code:
        return
    enter(1)
    known = jobs(given.reviews)
    with tempfile.TemporaryDirectory() as cache:
        # Nothing is compiled beforehand.
        os.environ["MYRNN_CACHE_DIR"] = cache
        for name in given.only or [*known, "carried"]:
            print(name, flush=True)
            text = carried() if name == "carried" else table(known[name], measured(known[name]))
            print(text, flush=True)
            document = filled(document, f"table {name}", text)
            DOCUMENT.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
