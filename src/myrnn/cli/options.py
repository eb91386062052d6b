"""The options of the commands: shared ones, and those of ``train``, made from the settings of an experiment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from myrnn.errors import InvalidArgument
from myrnn.experiment import Data, Evaluation, TaskSource
from myrnn.experiment.parts import PARTS
from myrnn.experiment.sources import SOURCES, GivenSource, Source
from myrnn.models.own import load_own
from myrnn.plots import FIGURE_ENDINGS
from myrnn.registry import kinds
from myrnn.runs import Run, load_run
from myrnn.settings import Section, Setting, settings_of
from myrnn.training import TrainingSettings

# Headings in the help.
ON_TASK, ON_DATA = "Options for a task", "Options for data"
SEQUENCE = (
    "For a run on a task: digits, such as 123123, or numbers separated by commas. For a run on data: text as in its "
    "files."
)


def option(help: str, *names: str, of: str | None = None, **details: Any) -> Any:
    """Return an option under a heading of the help."""
    return typer.Option(*names, help=help, rich_help_panel=of, **details)


def file_option(help: str, **details: Any) -> Any:
    """Return an option for a file to write, whose folder must exist before any work is done."""
    return option(help, callback=_check_folder, **details)


def picture_option(help: str, **details: Any) -> Any:
    """Return an option for a figure to write, which must be of a supported format besides."""
    return option(help, callback=_check_picture, **details)


def _check_folder(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():
        raise InvalidArgument(f"{parameter.opts[0]} must lie in a folder that exists, but {path.parent} does not")
    return path


def _check_picture(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in FIGURE_ENDINGS:
        *first, last = FIGURE_ENDINGS
        raise InvalidArgument(f"{parameter.opts[0]} must end in {', '.join(first)} or {last}, not {path.name!r}")
    return _check_folder(parameter, path)


def argument(help: str, metavar: str) -> Any:
    """Return an argument."""
    return typer.Argument(help=help, metavar=metavar, show_default=False)


RunFolder = Annotated[Path, argument("The folder of a run.", "RUN")]
Runs = Annotated[list[Path], argument("Folders of runs.", "RUN...")]
Engine = Annotated[str, option("How to run the equations: auto, native or mygrad.", metavar="NAME")]
Quiet = Annotated[bool, option("Show no progress and no tables.", "--quiet", "-q")]
OwnClass = Annotated[
    str | None,
    option(
        "The class of the model, for a run whose class is not found: its file has changed, or is not yours.",
        "--model",
        metavar="FILE.py:CLASS",
    ),
]
DelimiterAsTrained = Annotated[
    str | None,
    option(
        "The character between the fields of a .csv or .tsv file, such as ';'.  [default: as in the training]",
        of=ON_DATA,
        metavar="CHAR",
    ),
]
SkipBadLines = Annotated[
    bool, option("Skip and count malformed lines instead of stopping.", "--skip-bad-lines", of=ON_DATA)
]


def help_sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """Return the names and the help of a command's options under their headings, in order of first appearance."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            sections.setdefault(_heading(parameter), []).append(record)
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


def refuse_of_others(context: typer.Context, run: Run) -> None:
    """Refuse options for a task if a run is on data, and those for data if it is on a task, by their headings."""
    if run.task is not None:
        heading, wanted = ON_DATA, f"a run on data, which {run.folder} is not"
    else:
        heading, wanted = ON_TASK, f"a run on a task, which draws its sequences; {run.folder} is on data"
    refuse(given(context), [p.name or "" for p in context.command.params if _heading(p) == heading], wanted)


def _heading(parameter: Any) -> str:
    """Return the heading of an option or an argument in the help."""
    usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
    return getattr(parameter, "rich_help_panel", None) or usual


def load(folder: Path, own: str | None) -> Run:
    """Read a run; `own` is the file and class of its model, such as ``"my_file.py:MyClass"``."""
    return load_run(folder, None if own is None else load_own(own))


def load_learned(folder: Path, model: str | None, wanted: str, does: str) -> Run:
    """Read a run that must have learned text, or a series."""
    run = load(folder, model)
    if run.reader.learn != wanted:
        raise InvalidArgument(f"{folder} learned {run.reader.learn}: only what learned {wanted} {does}")
    return run


# --- the options that are settings of an experiment

# Settings without an option: they are seldom changed, and a study or a file can set them.
_NO_OPTIONS = ("standardize", "lengths")
_OF_FILES = (("evaluation", "seed"), ("evaluation", "stack_depth"))
# The settings of models and optimizers that have an option of their own; all others are written behind a name.
_OF_PARTS = {"dim_recurrent": "model", "learning_rate": "optimizer"}
EXAMPLES = {"task": "dyck:kinds=2,depth=3", "model": "gru:layers=2", "optimizer": "sgd:momentum=0.9"}
_PARTS = {"task": "What to learn", "model": "The network", "optimizer": "The optimizer"}
# Options with a name other than that of their setting.
_RENAMED = {("data", "file"): "data"}
# Options that may be repeated.
_SEVERAL = ("test", "test_labels")
# The placeholders for values in the help.
_METAVARS = {
    **dict.fromkeys(("data", "labels", "test", "test_labels"), "FILE"),
    **dict.fromkeys((*PARTS, "text_column", "label_column"), "NAME"),
    "delimiter": "CHAR",
    "lengths": "FIRST:LAST:STEP",
    "class_weight": "WEIGHTS",
}
_SECTIONS: dict[str, type[Section]] = {"data": Data, "training": TrainingSettings, "evaluation": Evaluation}


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command, whose last parameter is ``**options``, with options for the settings of an experiment."""
    return _with_options(function, _setting_options())


def with_test_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command, whose last parameter is ``**options``, with options for the settings of a test on a task."""
    options = [
        _option(setting, setting.name, f"{setting.help}  [default: as in the run's own test]", ON_TASK)
        for setting in settings_of(Evaluation)
        if _applies("evaluation", setting.name, TaskSource)
    ]
    return _with_options(function, options)


def _with_options(function: Callable[..., Any], options: Iterable[inspect.Parameter]) -> Callable[..., Any]:
    """Return a command with these options instead of ``**options``."""

    @wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    hints = get_type_hints(function, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()]
    required = [p for p in own if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    others = (p for p in own if p.default is not p.empty)
    parameters = [*required, *(p.replace(kind=p.KEYWORD_ONLY) for p in (*options, *others))]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _setting_options() -> Iterator[inspect.Parameter]:
    for part, text in _PARTS.items():
        heading = ON_TASK if part == "task" else part.capitalize()
        if part != "task":
            text += f": {', '.join(kinds(part))}" + (", or my_file.py:MyClass" if part == "model" else "")
        text += f", with settings as in {EXAMPLES[part]}; myrnn {part}s lists all.  [default: {PARTS[part]}]"
        yield _option(Setting(part, str, None), part, text, heading)
        for name in (name for name, owner in _OF_PARTS.items() if owner == part):
            setting, default = _of_kinds(part, name)
            yield _option(setting, name, f"{setting.help}  [default: {default}]", heading)
    headings = {(True, True): "Training", (True, False): ON_TASK, (False, True): ON_DATA}
    options = []
    for name, (section, setting) in _fields().items():
        of_task, of_data = (_applies(section, setting.name, source) for source in (TaskSource, GivenSource))
        usual, of_given = setting.default, GivenSource.defaults.get(section, {}).get(setting.name, setting.default)
        default = default_text(usual if of_task else of_given)
        if of_task and of_data and of_given != usual:
            default += f"; for data {default_text(of_given)}"
        is_shown = of_task or (of_given not in (None, ()) and setting.type is not bool)
        text = setting.help + (f"  [default: {default}]" if is_shown else "")
        options.append(_option(setting, name, text, headings[of_task, of_data]))
    order = ("Training", ON_TASK, ON_DATA)
    yield from sorted(options, key=lambda made: order.index(made.annotation.__metadata__[0].rich_help_panel))


def _of_kinds(part: str, name: str) -> tuple[Setting, str]:
    """Return a setting of the kinds of a part, and its defaults."""
    by_default: dict[str, list[str]] = {}
    for kind in kinds(part).values():
        for setting in settings_of(kind.section):
            if setting.name == name:
                found = setting
                by_default.setdefault(default_text(setting.default), []).append(kind.name)
    each = [text if len(by_default) == 1 else f"{text} for {' and '.join(names)}" for text, names in by_default.items()]
    default = GivenSource.defaults.get(part, {}).get(name)
    return found, f"{', '.join(each)}{'' if default is None else f'; for data {default}'}"


def default_text(default: object) -> str:
    """Return a default in the form in which it follows the name of a setting."""
    return str(default).lower() if isinstance(default, bool | None) else f"{default}"


def _applies(section: str, setting: str, source: type[Source]) -> bool:
    """Return whether a setting applies to experiments with such a source."""
    return section == source.section if section in SOURCES else setting not in source.without[section]


def _fields() -> dict[str, tuple[str, Setting]]:
    """Return the options of sections by name, each with its section."""
    return {
        _RENAMED.get((section, setting.name), setting.name): (section, setting)
        for section, kind in _SECTIONS.items()
        for setting in settings_of(kind)
        if setting.name not in _NO_OPTIONS and (section, setting.name) not in _OF_FILES
    }


def _option(setting: Setting, name: str, text: str, heading: str) -> inspect.Parameter:
    kind: Any = setting.type if setting.type in (int, float, bool) else list[str] if name in _SEVERAL else str
    names = [option_of(name) + ("" if setting.default is False else f"/--no-{option_of(name)[2:]}")] * (kind is bool)
    metavar = _METAVARS.get(name, "NAME" if setting.choices else None)
    # Bounds are checked with the other settings, and only options that were given count.
    details = option(text, *names, of=heading, metavar=metavar, show_default=False)
    annotated: Any = Annotated
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=None, annotation=annotated[kind | None, details])


def sections_of(options: Mapping[str, Any], source: type[Source] = TaskSource) -> dict[str, dict[str, Any]]:
    """Return the settings among the options of a command line, by section; refuse those for another source."""
    fields = _fields()
    sections: dict[str, dict[str, Any]] = {part: {} for part in PARTS if part not in SOURCES}
    sections |= {name: {} for name in (source.section, "training", "evaluation")}
    for name, value in options.items():
        section, setting = fields.get(name, (_OF_PARTS.get(name, name), None))
        of_part = name in PARTS or name in _OF_PARTS
        if setting is None and not of_part:
            continue
        if section not in sections or (setting is not None and not _applies(section, setting.name, source)):
            wanted = "goes with --data, which is missing" if source is TaskSource else "does not go with --data"
            raise InvalidArgument(f"{option_of(name)} {wanted}")
        sections[section]["name" if name in PARTS else name if setting is None else setting.name] = value
    return sections
