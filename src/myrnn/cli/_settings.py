"""The options of a command that are settings of an experiment: made from its sections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_type_hints

import typer

from myrnn.errors import InvalidArgument
from myrnn.experiment import DATA_DEFAULTS, PARTS, Data, EpochTraining, Evaluation, FileEvaluation, Training
from myrnn.registry import kinds
from myrnn.settings import REQUIRED, Section, Setting, settings_of

# Settings that are no options: they are seldom changed, and a study or a file can.
_NO_OPTIONS = ("beta1", "beta2", "alpha", "eps", "standardize", "lengths")
# Options that are called otherwise than their setting.
_RENAMED = {("data", "file"): "data"}
# Options that may be given several times.
_SEVERAL = ("test", "test_labels")
# How the values of options are written.
_METAVARS = {
    **dict.fromkeys(("data", "labels", "test", "test_labels"), "FILE"),
    **dict.fromkeys(("text_column", "label_column"), "NAME"),
    "delimiter": "CHAR",
    "class_weight": "WEIGHTS",
}
_ON_TASK: dict[str, type[Section]] = {"training": Training, "evaluation": Evaluation}
_ON_DATA: dict[str, type[Section]] = {"data": Data, "training": EpochTraining, "evaluation": FileEvaluation}


def settings_by_part() -> dict[str, dict[str, list[tuple[str, Setting]]]]:
    """Return the settings of tasks, models and optimizers by part and name, each with the kinds that have it."""
    found: dict[str, dict[str, list[tuple[str, Setting]]]] = {part: {} for part in PARTS}
    for part, settings in found.items():
        for kind in kinds(part).values():
            for setting in settings_of(kind.section):
                if setting.name not in _NO_OPTIONS:
                    settings.setdefault(setting.name, []).append((kind.name, setting))
    return found


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, whose last parameter is ``**options``, an option for every setting of an experiment."""
    hints = get_type_hints(function, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()]
    first, *others = (p for p in own if p.kind is not p.VAR_KEYWORD)
    made = [p for p in _options() if p.name not in hints]
    parameters = [first, *(p.replace(kind=p.KEYWORD_ONLY) for p in (*made, *others))]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    return function


def _options() -> Iterator[inspect.Parameter]:
    for part, settings in settings_by_part().items():
        names = ", ".join(kinds(part))
        of_model = "; or a class of your own, as my_file.py:MyClass" if part == "model" else ""
        yield _option(part, str, PARTS[part], f"The {part}: {names}{of_model}.")
        for name, owners in settings.items():
            setting = owners[0][1]
            defaults = {owner.default for _, owner in owners}
            same = len(defaults) == 1 and len(owners) == len(kinds(part))
            text = setting.help
            if len(owners) < len(kinds(part)):
                text = f"Of {' and '.join(kind for kind, _ in owners)}: {text[:1].lower()}{text[1:]}"
            default = setting.default if same else None
            on_data = DATA_DEFAULTS.get(part, {}).get(name)
            if name == "dim_embedding":
                text += "  [default: 0; with --data 32 for gru and lstm that read symbols]"
            elif (not same or on_data is not None) and REQUIRED not in defaults:
                which = f"{defaults.pop()}" if len(defaults) == 1 else f"the {part}'s own"
                text += f"  [default: {which}{'' if on_data is None else f'; with --data {on_data}'}]"
                default = None
            yield _option(name, setting.type, default, text)
    on_data = _fields(_ON_DATA)
    for name, (_, setting) in _fields(_ON_TASK).items():
        text, default = setting.help, setting.default
        if name in on_data and on_data[name][1].default != default:
            text += f"  [default: {'none' if default is None else default}; with --data {on_data[name][1].default}]"
            default = None
        elif setting.is_optional:
            text += "  [default: none]"
        yield _option(name, setting.type, default, text)
    for name, (_, setting) in on_data.items():
        if name not in _fields(_ON_TASK):
            text = setting.help
            if setting.default is not None and setting.type is not bool:
                text += f"  [default: {setting.default}]"
            yield _option(name, setting.type, False if setting.type is bool else None, text)


def _fields(sections: Mapping[str, type[Section]]) -> dict[str, tuple[str, Setting]]:
    """Return the options that sections have, by name, each with its section."""
    return {
        _RENAMED.get((section, setting.name), setting.name): (section, setting)
        for section, kind in sections.items()
        for setting in settings_of(kind)
        if setting.name not in _NO_OPTIONS and (section, setting.name) != ("evaluation", "seed")
    }


def _option(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    kind = kind if kind in (int, float, bool) else str
    if name in _SEVERAL:
        kind = list[str]
    # Bounds are checked with the other settings.
    shown: Any = kind if default is not None else kind | None
    annotated: Any = Annotated
    names = [f"--{name.replace('_', '-')}"] if kind is bool else []
    annotation = annotated[shown, typer.Option(*names, help=text, metavar=_METAVARS.get(name))]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def sections_of(options: Mapping[str, Any], on_data: bool = False) -> dict[str, dict[str, Any]]:
    """Return the settings among the options of a command line, by section.

    Raises
    ------
    InvalidArgument
        When an option is one of data and there are none, or the other way round.
    """
    ours, others = (_ON_DATA, _ON_TASK) if on_data else (_ON_TASK, _ON_DATA)
    fields = _fields(ours)
    parts = {part: s for part, s in settings_by_part().items() if not (on_data and part == "task")}
    sections: dict[str, dict[str, Any]] = {}
    for part, settings in parts.items():
        chosen = {"name": options[part]} if part in options else {}
        sections[part] = chosen | {name: _chosen(options[name], settings[name]) for name in settings if name in options}
    for section in ours:
        sections[section] = {}
    for name in options:
        if name in fields:
            section, setting = fields[name]
            sections[section][setting.name] = options[name]
        elif name in _fields(others) or (on_data and name in ("task", *settings_by_part()["task"])):
            if on_data:
                raise InvalidArgument(f"{option_of(name)} does not go with --data")
            raise InvalidArgument(f"{option_of(name)} goes with --data, which is missing")
    return sections


def _chosen(value: Any, owners: list[tuple[str, Setting]]) -> Any:
    """Return a choice as it is called in Python, where it was written with dashes."""
    name = value.replace("-", "_") if isinstance(value, str) else value
    return name if any(name in setting.choices for _, setting in owners) else value


def option_of(name: str) -> str:
    """Return how an option is written."""
    return f"--{name.replace('_', '-')}"
