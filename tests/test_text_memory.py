"""The memory that long texts take."""

import tracemalloc

import numpy as np
import pytest

from myrnn import LanguageModel


def text_of(length):
    return "".join(np.random.default_rng(0).choice([chr(code) for code in range(33, 123)], length).tolist())


@pytest.fixture(scope="module")
def peaks():
    """Return the largest memory in bytes of each use of a language model, for a text and one twice as long."""
    found = {}
    for length in (60_000, 120_000):
        text, model = text_of(length), LanguageModel("gru", dim_recurrent=8, max_epochs=1, random_state=0)
        uses = {
            "fit": lambda text=text, model=model: model.fit(text),
            "bits": lambda text=text, model=model: model.bits(text),
            "log_probabilities": lambda text=text, model=model: model.log_probabilities(text),
            "report": lambda text=text, model=model: model.report(text),
            "next_symbols": lambda text=text, model=model: model.next_symbols(text),
        }
        if not found:
            model.fit(text)
        for name, use in uses.items():
            tracemalloc.start()
            use()
            found.setdefault(name, []).append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return found


@pytest.mark.parametrize(
    ("use", "most"),
    [
        ("fit", 24),
        ("bits", 24),
        ("log_probabilities", 32),
        ("report", 24),
        ("next_symbols", 32),
    ],
)
def test_a_symbol_takes_some_bytes(peaks, use, most):
    # The logits of a step would take 360 bytes.
    short, long = peaks[use]
    assert (long - short) / 60_000 < most
