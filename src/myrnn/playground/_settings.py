"""What a person can choose, within which bounds, and what the page says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from myrnn.errors import InvalidArgument
from myrnn.playground._fields import Choice, Field, Real, Record, Whole

# The longest sequence that is looked at; half as long are the longest that are trained on.
LONGEST = 80
OWN = "own"
# What can change while a network trains: it keeps its weights.
ADJUSTABLE = ("learning_rate", "gradient_clip", "batch_size")


@dataclass(frozen=True)
class Setting:
    """One thing to choose.

    Attributes
    ----------
    field : Field
        Its bounds.
    default : object
    group : str
        Under what it stands on the page.
    label, hint : str
        What the page calls it; what it does and what to try, in a line.
    offered : tuple of (value, str)
        The values that the page offers, with their names.
    """

    field: Field
    default: Any
    group: str
    label: str
    hint: str
    offered: tuple[tuple[Any, str], ...]


def _plain(*values: Any) -> tuple[tuple[Any, str], ...]:
    return tuple((value, f"{value:g}") for value in values)


SETTINGS: dict[str, Setting] = {
    "task": Setting(
        Choice(("twin-halves", "palindromes")),
        "twin-halves",
        "What to learn",
        "Task",
        "What the network has to recognise. Twin halves: 123 123. Palindromes: 123 321. Which one is easier to learn?",
        (("twin-halves", "twin halves (123 123)"), ("palindromes", "palindromes (123 321)")),
    ),
    "negatives": Setting(
        Choice(("uniform", "near_miss")),
        "uniform",
        "What to learn",
        "Non-matches",
        "What sequences without a match look like. Near misses are matches with 1 to 3 digits changed. Is that harder?",
        (("uniform", "random digits"), ("near_miss", "near misses")),
    ),
    "pattern_length_min": Setting(
        Whole(1, LONGEST // 4),
        1,
        "What to learn",
        "Shortest half",
        "How many digits the shortest half has. From 5 on there are no easy sequences to begin with.",
        _plain(1, 2, 3, 5, 8, 10),
    ),
    "pattern_length_max": Setting(
        Whole(1, LONGEST // 4),
        10,
        "What to learn",
        "Longest half",
        "How many digits the longest half has. The longer, the more the network must remember. Try 3, then 15.",
        _plain(1, 2, 3, 5, 8, 10, 15, 20),
    ),
    "alphabet_size": Setting(
        Whole(2, 10),
        10,
        "What to learn",
        "Digits",
        "How many different digits there are. With two, random halves match more often, and there is less to remember.",
        _plain(2, 3, 5, 10),
    ),
    "cell": Setting(
        Choice(("rnn-relu", "rnn-tanh", "gru", "lstm", OWN)),
        "rnn-relu",
        "Network",
        "Cell",
        "How the state changes at every step. GRU and LSTM have gates, through which a state can pass unchanged.",
        (("rnn-relu", "RNN, ReLU"), ("rnn-tanh", "RNN, tanh"), ("gru", "GRU"), ("lstm", "LSTM")),
    ),
    "dim_recurrent": Setting(
        Whole(1, 256),
        50,
        "Network",
        "Units",
        "How many numbers the hidden state has. All that the network remembers must fit into them. Try 8.",
        _plain(4, 8, 16, 32, 50, 100),
    ),
    "batch_size": Setting(
        Whole(1, 128),
        1,
        "Training",
        "Batch size",
        "How many sequences each iteration learns from. More give a better gradient, but take longer. "
        "Can be changed while it trains.",
        _plain(1, 4, 16, 64),
    ),
    "optimizer": Setting(
        Choice(("adam", "rmsprop", "sgd")),
        "adam",
        "Training",
        "Optimizer",
        "How the gradient changes the weights. Plain SGD needs a larger learning rate and more time.",
        (("adam", "Adam"), ("rmsprop", "RMSprop"), ("sgd", "SGD")),
    ),
    "learning_rate": Setting(
        Real(1e-6, 10.0),
        0.001,
        "Training",
        "Learning rate",
        "The size of each step. Ten times larger: does it learn faster, or not at all? Can be changed while it trains.",
        _plain(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
    ),
    "gradient_clip": Setting(
        Real(1e-3, 1e3, optional=True),
        None,
        "Training",
        "Clipping",
        "Shortens gradients that are longer than this. Helps when the loss jumps. Can be changed while it trains.",
        ((None, "off"), *_plain(0.1, 0.3, 1, 3, 10)),
    ),
    "seed": Setting(
        Whole(0, 999_999),
        0,
        "Training",
        "Seed",
        "Decides the random first weights and sequences. The same seed trains the same network: try another.",
        _plain(0, 1, 2, 3, 4),
    ),
}

RECORD = Record({name: setting.field for name, setting in SETTINGS.items()})
DEFAULTS: dict[str, Any] = {name: setting.default for name, setting in SETTINGS.items()}


def known_to_the_page() -> str:
    """Return the module of the page that says what it must know before it is told anything."""
    return f"export const DEFAULTS = {json.dumps(DEFAULTS)};\nexport const LONGEST = {LONGEST};\n"


def checked_settings(given: Any) -> dict[str, Any]:
    """Return settings within their bounds that go together, or say which do not."""
    settings = RECORD.checked("settings", given)
    if settings["pattern_length_min"] > settings["pattern_length_max"]:
        raise InvalidArgument(
            f"the shortest half must not be longer than the longest: {settings['pattern_length_min']} is more than "
            f"{settings['pattern_length_max']}"
        )
    return settings


def offered_settings(own: str | None) -> list[dict[str, Any]]:
    """Return what the page needs to make its controls; `own` is the name of a class of the person's own."""
    described = []
    for name, setting in SETTINGS.items():
        offered = [list(pair) for pair in setting.offered]
        if name == "cell" and own is not None:
            offered.append([OWN, own])
        described.append(
            {
                "name": name,
                "group": setting.group,
                "label": setting.label,
                "hint": setting.hint,
                "offered": offered,
            }
        )
    return described
