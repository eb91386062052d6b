"""The options of a command that are settings of an experiment: made from its sections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, get_type_hints

import typer

from myrnn.experiment import PARTS, Training
from myrnn.registry import kinds
from myrnn.settings import REQUIRED, Setting, settings_of

# Settings that are no options: they are seldom changed, and a study or a file can.
_NO_OPTIONS = ("beta1", "beta2", "alpha", "eps")


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
            if not same and REQUIRED not in defaults:
                which = f"{defaults.pop()}" if len(defaults) == 1 else f"the {part}'s own"
                text += f"  [default: {which}]"
            yield _option(name, setting.type, default, text)
    for setting in settings_of(Training):
        text = setting.help + ("  [default: none]" if setting.is_optional else "")
        yield _option(setting.name, setting.type, setting.default, text)


def _option(name: str, kind: Any, default: Any, text: str) -> inspect.Parameter:
    kind = kind if kind in (int, float, bool) else str
    # Bounds are checked with the other settings.
    shown: Any = kind if default is not None else kind | None
    annotated: Any = Annotated
    annotation = annotated[shown, typer.Option(help=text)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def sections_of(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings among the options of a command line, by section."""
    sections: dict[str, dict[str, Any]] = {}
    for part, settings in settings_by_part().items():
        chosen = {"name": options[part]} if part in options else {}
        sections[part] = chosen | {name: _chosen(options[name], settings[name]) for name in settings if name in options}
    names = Training.__struct_fields__
    sections["training"] = {name: options[name] for name in names if name in options}
    sections["evaluation"] = {name: options[name] for name in ("samples",) if name in options}
    return sections


def _chosen(value: Any, owners: list[tuple[str, Setting]]) -> Any:
    """Return a choice as it is called in Python, where it was written with dashes."""
    name = value.replace("-", "_") if isinstance(value, str) else value
    return name if any(name in setting.choices for _, setting in owners) else value


def option_of(name: str) -> str:
    """Return how an option is written."""
    return f"--{name.replace('_', '-')}"
