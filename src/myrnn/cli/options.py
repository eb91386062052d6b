"""The options of the commands: shared ones, and those of ``train``, made from the settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from myrnn._user_code import warn
from myrnn.errors import InvalidArgument
from myrnn.experiment import DATA_DEFAULTS, PARTS, Data, EpochTraining, Evaluation, FileEvaluation, Training
from myrnn.models import load_own
from myrnn.plots import FIGURE_ENDINGS
from myrnn.registry import Kind, kinds
from myrnn.runs import Run, holds_own, load_run
from myrnn.settings import REQUIRED, Section, Setting, settings_of

# Headings in the help.
ON_TASK, ON_DATA = "Options for a task", "Options for data"

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.", show_default=False)]
Engine = Annotated[str, typer.Option(metavar="NAME", help="How to run the equations: auto, native or mygrad.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no tables.")]
OwnClass = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.py:CLASS",
        help="The class of the model, for a run whose class is not found: its file has changed, or is not yours.",
        show_default=False,
    ),
]
OwnClasses = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="FILE.py:CLASS",
        help="The class of the model, for runs whose class is not found: once for all runs with a user-defined model, "
        "or once for each, in their order.",
        show_default=False,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="The character between the fields of a .csv or .tsv file, such as ';'.  [default: a comma, a tab]",
        show_default=False,
        rich_help_panel=ON_DATA,
    ),
]
SkipBadLines = Annotated[
    bool,
    typer.Option(
        "--skip-bad-lines", help="Skip and count malformed lines instead of stopping.", rich_help_panel=ON_DATA
    ),
]


def help_sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """Return the names and the help of a command's options under their headings, in order of first appearance."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(record)
    return sections


class SectionedCommand(TyperCommand):
    """A command whose help groups its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options under their headings."""
        for heading, records in help_sections(self, ctx).items():
            with formatter.section(heading):
                formatter.write_dl(records)


# --- the options of a command line that were given


def option_of(name: str) -> str:
    """Return the command-line form of an option."""
    return f"--{name.replace('_', '-')}"


def given(context: typer.Context) -> dict[str, Any]:
    """Return the options given on the command line, by name, without defaults."""
    return {
        name: value
        for name, value in context.params.items()
        # Typer's enum of parameter sources is private, but its member names are not.
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }


def refuse(options: Mapping[str, Any], names: Collection[str], wanted: str) -> None:
    """Refuse options that need something else, such as ``"--data, which is missing"``."""
    for name in options:
        if name in names:
            raise InvalidArgument(f"{option_of(name)} goes with {wanted}")


def refuse_of_others(options: Mapping[str, Any], run: Run, of_task: Collection[str], of_data: Collection[str]) -> None:
    """Refuse options for a task if a run is on data, and those for data if it is on a task."""
    if run.fitted is None:
        refuse(options, of_data, f"a run on data, which {run.folder} is not")
    else:
        refuse(options, of_task, f"a run on a task, which draws its sequences; {run.folder} is on data")


def check_file(option: str, path: Path | None) -> None:
    """Refuse a file in a folder that does not exist, before any work is done."""
    if path is not None and not path.parent.is_dir():
        raise InvalidArgument(f"{option} must lie in a folder that exists, but {path.parent} does not")


def check_picture(option: str, path: Path | None) -> None:
    """Refuse a figure of an unsupported format, or in a folder that does not exist."""
    if path is not None and path.suffix.lower() not in FIGURE_ENDINGS:
        *first, last = FIGURE_ENDINGS
        raise InvalidArgument(f"{option} must end in {', '.join(first)} or {last}, not {path.name!r}")
    check_file(option, path)


def load(folder: Path, own: str | None) -> Run:
    """Read a run; `own` is the file and class of its model, such as ``"my_file.py:MyClass"``."""
    return load_run(folder, None if own is None else load_own(own).make)


def load_all(folders: Sequence[Path], own: Sequence[str] | None) -> list[Run]:
    """Read several runs; `own` has a class for all runs with a user-defined model, or one for each of them."""
    if not own:
        return [load_run(folder) for folder in folders]
    theirs = [folder for folder in folders if holds_own(folder)]
    if not theirs:
        raise InvalidArgument("--model is for runs with a user-defined model: none of these has one")
    if len(own) not in (1, len(theirs)):
        raise InvalidArgument(
            f"--model is given {len(own)} times, but the runs with a user-defined model are {len(theirs)}: give it "
            "once for all of them, or once for each, in their order"
        )
    makes = [load_own(place).make for place in own]
    classes = dict(zip(theirs, makes * len(theirs) if len(makes) == 1 else makes, strict=True))
    return [load_run(folder, classes.get(folder)) for folder in folders]


# --- the options that are settings of an experiment

# Settings without an option: they are seldom changed, and a study or a file can set them.
_NO_OPTIONS = ("beta1", "beta2", "alpha", "eps", "standardize", "lengths")
_OF_FILES = (("evaluation", "seed"), ("evaluation", "stack_depth"))
# Options with a name other than that of their setting.
_RENAMED = {("data", "file"): "data"}
# Options that may be repeated.
_SEVERAL = ("test", "test_labels")
# The placeholders for values in the help.
_METAVARS = {
    **dict.fromkeys(("data", "labels", "test", "test_labels"), "FILE"),
    **dict.fromkeys(("text_column", "label_column"), "NAME"),
    "delimiter": "CHAR",
    "class_weight": "WEIGHTS",
}
_TASK_SECTIONS: dict[str, type[Section]] = {"training": Training, "evaluation": Evaluation}
_DATA_SECTIONS: dict[str, type[Section]] = {"data": Data, "evaluation": FileEvaluation, "training": EpochTraining}
# The options of `train` that are not settings.
_OTHERS = ("preset", "config", "out", "checkpoint_every", "resume", "quiet", "help", "context")


def settings_by_part() -> dict[str, dict[str, list[tuple[str, Setting]]]]:
    """Return the settings of tasks, models and optimizers by part and name, each with the kinds that have it.

    A setting from another package whose name is taken by another option is left out, with a warning.
    """
    found: dict[str, dict[str, list[tuple[str, Setting]]]] = {part: {} for part in PARTS}
    owners: dict[str, Any] = dict.fromkeys((*PARTS, *_OTHERS, *_fields(_TASK_SECTIONS), *_fields(_DATA_SECTIONS)))
    everything = [(part, kind, setting) for part in PARTS for kind in kinds(part).values() for setting in _of(kind)]
    # MyRNN's own come first, so that other packages cannot take their names.
    for part, kind, setting in sorted(everything, key=lambda one: not one[1].is_ours):
        owner = part, _type(setting)
        if owners.setdefault(setting.name, owner) == owner:
            found[part].setdefault(setting.name, []).append((kind.name, setting))
        else:
            warn(
                f"the {part} {kind.name!r} has a setting {setting.name!r}, but {option_of(setting.name)} is another "
                "option of myrnn train: set it in a file, with --config, or give it another name"
            )
    return found


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command, whose last parameter is ``**options``, with an option for every setting of an experiment."""

    @wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    hints = get_type_hints(function, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()]
    first, *others = (p for p in own if p.kind is not p.VAR_KEYWORD)
    parameters = [first, *(p.replace(kind=p.KEYWORD_ONLY) for p in (*_setting_options(), *others))]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _of(kind: Kind) -> Iterator[Setting]:
    return (setting for setting in settings_of(kind.section) if setting.name not in _NO_OPTIONS)


def _type(setting: Setting) -> type:
    """Return the type of an option: that of its setting, or else of its default."""
    kind = type(setting.default) if setting.type is Any else setting.type
    return kind if kind in (int, float, bool) else str


def _setting_options() -> Iterator[inspect.Parameter]:
    for part, settings in settings_by_part().items():
        heading = ON_TASK if part == "task" else part.capitalize()
        of_model = "; or your class, as my_file.py:MyClass" if part == "model" else ""
        text = f"The {part}: {', '.join(kinds(part))}{of_model}.  [default: {PARTS[part]}]"
        yield _option(part, Setting(part, str, None), text, heading)
        for name, owners in settings.items():
            text = owners[0][1].help
            if len(owners) < len(kinds(part)):
                text = f"Of {_listed([kind for kind, _ in owners])}: {text[:1].lower()}{text[1:]}"
            yield _option(name, owners[0][1], f"{text}{_default_of(part, name, owners)}", heading)
    on_task, on_data = _fields(_TASK_SECTIONS), _fields(_DATA_SECTIONS)
    for name, (_, setting) in on_task.items():
        default = _text(setting.default)
        if name in on_data and on_data[name][1].default != setting.default:
            default += f"; for data {on_data[name][1].default}"
        heading = "Training" if name in on_data else ON_TASK
        yield _option(name, setting, f"{setting.help}  [default: {default}]", heading)
    for name, (_, setting) in on_data.items():
        if name not in on_task:
            has_default = setting.default not in (None, ()) and setting.type is not bool
            text = setting.help + (f"  [default: {setting.default}]" if has_default else "")
            yield _option(name, setting, text, ON_DATA)


def _default_of(part: str, name: str, owners: Sequence[tuple[str, Setting]]) -> str:
    """Return the end of a help text that states the defaults of a setting, for each kind with a different one."""
    if name == "dim_embedding":
        # None means that the default depends on the kind of data.
        return "  [default: 0; for data 32 for gru and lstm that read symbols]"
    by_default: dict[str, list[str]] = {}
    for kind, setting in owners:
        if setting.default is not REQUIRED:
            by_default.setdefault(_text(setting.default), []).append(kind)
    if not by_default:
        return ""
    each = [default if len(by_default) == 1 else f"{default} for {_listed(ks)}" for default, ks in by_default.items()]
    on_data = DATA_DEFAULTS.get(part, {}).get(name)
    return f"  [default: {', '.join(each)}{'' if on_data is None else f'; for data {on_data}'}]"


def _text(default: Any) -> str:
    return "none" if default is None else str(default)


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _fields(sections: Mapping[str, type[Section]]) -> dict[str, tuple[str, Setting]]:
    """Return the options of sections by name, each with its section."""
    return {
        _RENAMED.get((section, setting.name), setting.name): (section, setting)
        for section, kind in sections.items()
        for setting in settings_of(kind)
        if setting.name not in _NO_OPTIONS and (section, setting.name) not in _OF_FILES
    }


def _option(name: str, setting: Setting, text: str, heading: str) -> inspect.Parameter:
    kind: Any = list[str] if name in _SEVERAL else _type(setting)
    names = []
    if kind is bool:
        names = [option_of(name) + (f"/--no-{name.replace('_', '-')}" if setting.default is not False else "")]
    named = "NAME" if name in PARTS or setting.choices else None
    # Bounds are checked with the other settings, and only options that were given count.
    option = typer.Option(
        *names, help=text, metavar=_METAVARS.get(name, named), show_default=False, rich_help_panel=heading
    )
    annotated: Any = Annotated
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotated[kind | None, option]
    )


def sections_of(options: Mapping[str, Any], on_data: bool = False) -> dict[str, dict[str, Any]]:
    """Return the settings among the options of a command line, by section.

    Raises
    ------
    InvalidArgument
        When an option for data is given without data, or an option for tasks with data.
    """
    ours, others = (_DATA_SECTIONS, _TASK_SECTIONS) if on_data else (_TASK_SECTIONS, _DATA_SECTIONS)
    fields, by_part = _fields(ours), settings_by_part()
    sections: dict[str, dict[str, Any]] = {}
    for part, settings in by_part.items():
        if not (on_data and part == "task"):
            chosen = {"name": options[part]} if part in options else {}
            sections[part] = chosen | {
                name: _chosen(options[name], s) for name, s in settings.items() if name in options
            }
    sections |= {section: {} for section in ours}
    for name in options:
        if name in fields:
            section, setting = fields[name]
            sections[section][setting.name] = options[name]
        elif on_data and (name in _fields(others) or name in ("task", *by_part["task"])):
            raise InvalidArgument(f"{option_of(name)} does not go with --data")
        elif name in _fields(others):
            raise InvalidArgument(f"{option_of(name)} goes with --data, which is missing")
    return sections


def _chosen(value: Any, owners: Sequence[tuple[str, Setting]]) -> Any:
    """Return the Python spelling of a choice that was written with dashes."""
    name = value.replace("-", "_") if isinstance(value, str) else value
    return name if any(name in setting.choices for _, setting in owners) else value
