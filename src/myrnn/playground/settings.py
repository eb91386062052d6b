"""The choices on the page: the registered kinds, and their settings that have a label.

Types, bounds, defaults, labels, help and offered values come from the annotations of the settings (``Meta(title=...,
description=..., examples=...)``), so that everything registered is on the page. This module adds narrower bounds, for
networks that answer at once, and suggestions of what to try.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

from myrnn.errors import InvalidArgument
from myrnn.experiment.parts import OWN, PARTS, is_own
from myrnn.models.layer import USUAL_UNITS, Units
from myrnn.models.stacked import CELLS
from myrnn.registry import Kind, kinds, make
from myrnn.runs import Run
from myrnn.settings import REQUIRED, Section, Setting
from myrnn.settings import settings_of as settings_of_section
from myrnn.training import TrainingSettings

# The longest displayed sequence; training sequences are at most half as long.
LONGEST = 80
# The task of a network that learns from the data of a run.
DATA = "data"
# At fewer iterations per second, the page shows every training sequence.
FOLLOWED = 25
# The most sequences per length for testing a network at rest.
ENOUGH = 400
# Settings that can change during a training: the network keeps its weights.
ADJUSTABLE = ("learning_rate", "gradient_clip", "batch_size")

# The largest values on the page, if the library allows more.
_MOST = {
    "pattern_length_min": LONGEST // 4,
    "pattern_length_max": LONGEST // 4,
    "length_min": LONGEST // 2,
    "length_max": LONGEST // 2,
    "copied_min": 15,
    "copied_max": 15,
    "pause": 20,
    "alphabet_size": 10,
    "modulus": 10,
    "pairs_min": 13,
    "pairs_max": 13,
    "keys": 26,
    "values": 10,
    "dim_recurrent": 256,
    "batch_size": 128,
    "learning_rate": 10.0,
    "gradient_clip": 1000.0,
    "seed": 999_999,
}
# For every part: the name of its kind among the settings, and its texts on the page.
_CHOICES = {
    "task": ("task", "What to learn", "Task", "What the network has to recognise."),
    "model": ("cell", "Network", "Cell", "How the state changes at every step."),
    "optimizer": ("optimizer", "Training", "Optimizer", "How the gradient changes the weights."),
}
# Suggestions of what to try, shown with the help of a setting.
_ADVICE = {
    "task": "Twin halves: 123 123. Palindromes: 123 321. Which one is easier to learn? The others have an "
    "answer at each step.",
    "pattern_length_min": "From 5 on there are no easy sequences to begin with.",
    "pattern_length_max": "The longer, the more the network must remember. Try 3, then 15.",
    "length_max": "The longer, the more the network must remember.",
    "copied_max": "Each of them must be kept until it is asked for.",
    "pause": "The longer, the harder it is to remember. Try 0, then 20.",
    "alphabet_size": "With two, random halves match more often, and there is less to remember.",
    "negatives": "Are near misses harder?",
    "cell": "GRU, LSTM and MGU have gates, through which a state can pass unchanged. From minGRU on they are newer.",
    "dim_recurrent": "All that the network remembers must fit into them. Try 8.",
    "optimizer": "Plain SGD needs a larger learning rate and more time.",
    "learning_rate": "Ten times larger: does it learn faster, or not at all?",
    "batch_size": "More give a better gradient, but take longer.",
    "gradient_clip": "Longer gradients are shortened. Helps when the loss jumps.",
    "seed": "Another seed draws other first weights and sequences: try one.",
}
_WORDS: dict[str | bool | None, str] = {
    "twin-halves": "twin halves (123 123)",
    "palindromes": "palindromes (123 321)",
    "running-parity": "running parity (1011)",
    "copy-after-pause": "copy after a pause (12..??)",
    "next-character": "next character of a text",
    "modular-arithmetic": "modular arithmetic (3+2*4)",
    "associative-recall": "associative recall (a3b1ba)",
    "induction": "induction (31231)",
    "uniform": "random digits",
    "near_miss": "near misses",
    "rnn-relu": "RNN, ReLU",
    "rnn-tanh": "RNN, tanh",
    **{name: cell.label for name, cell in CELLS.items()},
    "adam": "Adam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
    None: "off",
    True: "yes",
    False: "no",
}
# Learning rates that suit short sequences, if an optimizer's default does not.
_RATES = {"rmsprop": 0.001, "sgd": 0.03}
# Settings that the page lacks and that change a training.
_UNUSUAL = ("schedule", "on_divergence", "loss")


@dataclass(frozen=True)
class Control:
    """One choice on the page."""

    part: str  # task, model, optimizer or training
    name: str  # its name in the part; "name" is the choice among the kinds
    group: str  # the heading above it on the page
    setting: Setting  # its name among the settings of the page, bounds, default, label and help
    kinds: tuple[str, ...] = ()  # the choices of its part that have it

    @property
    def offered(self) -> list[tuple[Any, str]]:
        """The values that the page offers, with their names."""
        setting = self.setting
        values = [value for value in _suggested(setting) if value is not None and not _is_refused(setting, value)]
        return [(value, _named(value)) for value in ([None] if setting.is_optional else []) + values]


def controls() -> dict[str, Control]:
    """Return the choices by their names among the settings of the page."""
    return _controls(tuple((part, tuple(filter(_has_defaults, kinds(part).values()))) for part in _CHOICES))


def _has_defaults(kind: Kind) -> bool:
    """Whether the page can begin with it: formal languages have a required setting."""
    return all(setting.default is not REQUIRED for setting in settings_of_section(kind.section))


def cells() -> dict[str, dict[str, str]]:
    """Return the choices of a model: each kind, or each of its activations if it has several."""
    found = {}
    for kind in kinds("model").values():
        activations = [s.choices for s in settings_of_section(kind.section) if s.name == "activation" and s.choices]
        for activation in activations[0] if activations else ():
            found[f"{kind.name}-{activation}"] = {"name": kind.name, "activation": activation}
        if not activations:
            found[kind.name] = {"name": kind.name}
    return {**found, OWN: {"name": OWN}}


@cache
def _controls(known: tuple[tuple[str, tuple[Kind, ...]], ...]) -> dict[str, Control]:
    found: dict[str, Control] = {}

    def add(part: str, group: str, setting: Setting, having: tuple[str, ...]) -> None:
        other = found.get(setting.name)
        key = setting.name if other is None or other.part == part else f"{part}_{setting.name}"
        if key in found:
            found[key] = replace(found[key], kinds=found[key].kinds + having)
        else:
            found[key] = Control(part, setting.name, group, _on_the_page(key, setting), having)

    for part, registered in known:
        key, group, label, help_ = _CHOICES[part]
        # The default kind comes first; its defaults are those of the page.
        in_order = sorted(registered, key=lambda kind: kind.name != PARTS[part])
        choices = {kind.name: kind.name for kind in in_order}
        if part == "model":
            choices = {name: cell["name"] for name, cell in cells().items()}
        if part == "task":
            choices[DATA] = DATA
        first = next(choice for choice, name in choices.items() if name == PARTS[part])
        one_of: Any = Annotated[Literal[tuple(choices)], Meta(title=label, description=help_)]
        found[key] = Control(part, "name", group, Setting(key, one_of, first))
        for kind in in_order:
            for setting in settings_of_section(kind.section):
                if setting.label:
                    add(part, group, setting, tuple(choice for choice, name in choices.items() if name == kind.name))
        if part == "model":
            add(part, group, Setting("dim_recurrent", Units, USUAL_UNITS), (OWN,))
    for setting in settings_of_section(TrainingSettings):
        if setting.label:
            add("training", "Training", setting, ())
    return found


def _on_the_page(key: str, setting: Setting) -> Setting:
    """Return a setting with the bounds of the page."""
    meta, kind = setting.meta, setting.kind
    if key in _MOST:
        names = ("ge", "gt", "title", "description", "examples")
        kept: dict[str, Any] = {name: getattr(meta, name) for name in names}
        kind = Annotated[setting.type, Meta(**kept, le=_MOST[key])]
        kind = kind | None if setting.is_optional else kind
    default = next(iter(_suggested(setting)), None) if setting.default is REQUIRED else setting.default
    return Setting(key, kind, default)


def _suggested(setting: Setting) -> tuple[Any, ...]:
    """Return values to offer; for a number without examples, some around its default."""
    if setting.choices or setting.type is bool:
        return setting.choices or (False, True)
    if setting.meta.examples:
        return tuple(setting.meta.examples)
    default = setting.default
    if default is REQUIRED or isinstance(default, str) or default is None:
        return () if default is REQUIRED else (default,)
    return tuple(sorted({setting.type(default * factor) for factor in (0.5, 1, 2)}))


def _is_refused(setting: Setting, value: Any) -> bool:
    try:
        setting.checked(value)
    except InvalidArgument:
        return True
    return False


def _named(value: Any) -> str:
    if isinstance(value, str):
        return _WORDS.get(value, value)
    return _WORDS[value] if value is None or isinstance(value, bool) else f"{value:g}"


# Settings of the page -------------------------------------------------------------------------------------------------


@cache
def _section(fields: tuple[tuple[str, Any, Any], ...]) -> type[Section]:
    made: Any = msgspec.defstruct("settings", fields, bases=(Section,), frozen=True, kw_only=True)
    return cast(type[Section], made)


def checked_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return checked settings, with defaults for missing ones; raise an error for those that contradict each other."""
    fields = tuple((key, control.setting.kind, control.setting.default) for key, control in controls().items())
    settings = _section(fields).read(given, "settings").to_dict()
    # The task checks settings that depend on each other.
    if settings["task"] != DATA:
        make("task", **sections_of(settings)["task"])
    return settings


def defaults() -> dict[str, Any]:
    """Return the initial settings of the page."""
    return {key: control.setting.default for key, control in controls().items()}


def sections_of(settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections of the experiment for settings of the page."""
    sections: dict[str, dict[str, Any]] = {
        "task": {"name": settings["task"]},
        "model": cells()[settings["cell"]],
        "optimizer": {"name": settings["optimizer"]},
        "training": {},
    }
    for key, control in _used(settings).items():
        sections[control.part] = {**sections[control.part], control.name: settings[key]}
    return sections


def _used(settings: dict[str, Any]) -> dict[str, Control]:
    """Return the controls of the chosen kinds."""
    chosen = {part: settings[choice[0]] for part, choice in _CHOICES.items()}
    return {
        key: control
        for key, control in controls().items()
        if control.name != "name" and (not control.kinds or chosen[control.part] in control.kinds)
    }


def offered_settings(own: str | None) -> list[dict[str, Any]]:
    """Return the description of the controls for the page; `own` is the name of a user-defined class."""
    described = []
    hidden = (DATA, OWN) if own is None else (DATA,)
    for key, control in controls().items():
        offered = [[value, own if value == OWN else name] for value, name in control.offered]
        hint = " ".join(filter(None, (control.setting.help, _ADVICE.get(key))))
        if key in ADJUSTABLE:
            hint += " Can be changed while it trains."
        described.append(
            {
                "name": key,
                "group": control.group,
                "label": control.setting.label,
                "hint": hint,
                "offered": [pair for pair in offered if pair[0] not in hidden],
                # The choice that it depends on, and the values of that choice that have this setting.
                "of": [_CHOICES[control.part][0], control.kinds] if control.kinds else None,
            }
        )
    return described


def known_to_the_page() -> str:
    """Return a JavaScript module with what the page must know from the start."""
    rates = dict(_RATES)
    for name, kind in kinds("optimizer").items():
        for setting in settings_of_section(kind.section):
            if setting.name == "learning_rate":
                rates.setdefault(name, setting.default)
    known = {"DEFAULTS": defaults(), "ENOUGH": ENOUGH, "FOLLOWED": FOLLOWED, "LONGEST": LONGEST, "RATES": rates}
    return "".join(f"export const {name} = {json.dumps(value)};\n" for name, value in known.items())


# Settings of runs -----------------------------------------------------------------------------------------------------


def settings_of(run: Run) -> dict[str, Any]:
    """Return the settings of a run for the playground; raises InvalidArgument when they are outside of its bounds."""
    sections = _sections_of_run(run)
    model, task = sections["model"], sections["task"]
    cell = {name: value for name, value in model.items() if name in ("name", "activation")}
    settings = {
        **defaults(),
        "task": task["name"],
        "cell": next((name for name, one in cells().items() if one == cell), model["name"]),
        "optimizer": sections["optimizer"]["name"],
    }
    for key, control in _used(settings).items():
        settings[key] = sections[control.part].get(control.name, control.setting.default)
    if settings["task"] == DATA:
        # The page begins a new training in any case.
        settings |= {key: min(settings[key], _MOST[key]) for key in ("batch_size", "seed")}
    settings = checked_settings(settings)
    for other in _differing(run, "task", settings) if settings["task"] != DATA else ():
        raise InvalidArgument(f"the playground cannot show this run: its task has {other}")
    return settings


def _sections_of_run(run: Run) -> dict[str, dict[str, Any]]:
    """Return the sections of its experiment; all data, and all user-defined models, have the same name here."""
    sections: dict[str, dict[str, Any]] = {"task": {"name": DATA}, **run.experiment.to_dict()}
    if is_own(run.experiment.model.name):
        sections["model"]["name"] = OWN
    return sections


def unrepeatable(run: Run) -> str:
    """Return why no settings of the playground reproduce a run, or empty."""
    settings = settings_of(run)
    if settings["task"] == DATA:
        return "the settings on this page cannot repeat a training in epochs: to start it again, load the run"
    others = [other for part in ("model", "optimizer", "training") for other in _differing(run, part, settings)]
    if run.phases:
        others.append("settings that were changed while it was trained")
    if not others:
        return ""
    return (
        f"the settings on this page cannot repeat this run, which has {', '.join(others)}: to start it again, load it"
    )


def _differing(run: Run, part: str, settings: dict[str, Any]) -> list[str]:
    """Return the settings of a part of a run that the page cannot express, such as ``"schedule cosine"``."""
    section, here = _sections_of_run(run)[part], sections_of(settings)[part]
    if part == "training":
        usual = {s.name: s.default for s in settings_of_section(TrainingSettings) if s.name in _UNUSUAL}
    else:
        known = kinds(part).get(here["name"])
        usual = {} if known is None else {s.name: s.default for s in settings_of_section(known.section)}
    return [
        f"{name} {section[name]}"
        for name, value in usual.items()
        if name not in here and section.get(name, value) != value
    ]
