"""Runs one command line, and reports every failure in one line and an exit code."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from shlex import quote
from typing import Annotated, Any

import typer

from myrnn._keywords import meant
from myrnn._signals import Terminated, imports_are_done
from myrnn._user_code import failure, user_frame
from myrnn._version import __version__
from myrnn.cli.evaluate import evaluate
from myrnn.cli.export import export
from myrnn.cli.extract import extract
from myrnn.cli.forecast import forecast
from myrnn.cli.generate import generate
from myrnn.cli.graph import graph
from myrnn.cli.inspect import inspect
from myrnn.cli.lesson import lesson
from myrnn.cli.options import SectionedCommand, with_settings
from myrnn.cli.parts import models, optimizers, tasks
from myrnn.cli.playground import playground
from myrnn.cli.plot import plot
from myrnn.cli.predict import predict
from myrnn.cli.runs import runs
from myrnn.cli.sweep import sweep
from myrnn.cli.train import CHANGEABLE, train
from myrnn.errors import MyRNNError
from myrnn.experiment import Data
from myrnn.experiment.parts import PARTS
from myrnn.output import notify
from myrnn.registry import kinds
from myrnn.settings import settings_of

FAILED, INTERRUPTED, TERMINATED = 2, 130, 143
# Begins what stands for a control character in a quoted text.
ESCAPE = "\\"
# In the order in which they are used, which is also the order of the help.
COMMANDS = (
    evaluate,
    predict,
    generate,
    forecast,
    inspect,
    extract,
    graph,
    plot,
    export,
    sweep,
    tasks,
    models,
    optimizers,
    lesson,
    playground,
)
# Typer's messages about a value, and the requirement to state instead.
WANTED = (
    (r"valid integer", "be an integer, written out, such as 100000"),
    (r"valid number", "be a number"),
    (r"greater than or equal to (\S+)", "be at least {}"),
    (r"less than or equal to (\S+)", "be at most {}"),
)
# The base class of all errors in a command line, private to Typer.
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default that of the process, and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _shown_once(given)
        try:
            imports_are_done()
            _replace_unwritable()
            _invoke(given)
            sys.stdout.flush()
        except typer.Exit as stop:
            return stop.exit_code
        except _UsageError as error:
            return _fail(_usage_message(error, given))
        except MyRNNError as error:
            return _fail(_as_option(str(error), given))
        except KeyboardInterrupt as stop:
            code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
            return _fail(str(stop) or "interrupted: nothing was saved", code)
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):
                # Rich raises it when the reader of our output is gone.
                return 1
            # MyRNN never raises it: it comes from a user's file.
            return _fail(f"your code ends the process: {failure(stop)}")
        except BrokenPipeError:
            # The reader of our output is gone. Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except MemoryError as error:
            return _fail(f"not enough memory: {error}".removesuffix(": "))
        except OSError as error:
            return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except Exception as error:
            # A fault of ours shows its traceback; a fault in a user's class is reported like any other mistake.
            if user_frame(error) is None:
                raise
            return _fail(f"the model fails: {failure(error)}")
    return 0


def _replace_unwritable() -> None:
    """Let the output write characters that it cannot encode as escapes, which Python does only on the error stream."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def make_app() -> typer.Typer:
    """Return all commands."""
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=settings)
    app.callback(invoke_without_command=True)(myrnn)
    app.command(cls=SectionedCommand)(with_settings(train))
    for command in COMMANDS:
        app.command(cls=SectionedCommand)(command)
    app.add_typer(runs, name="runs")
    return app


def myrnn(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Train recurrent networks on sequences, and see what they learned."""
    if version:
        print(f"myrnn {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def _invoke(arguments: list[str]) -> None:
    # Not app(), which would catch errors and print them in multi-line boxes.
    command = typer.main.get_command(make_app())
    with command.make_context("myrnn", arguments) as context:
        command.invoke(context)


def _fail(message: str, code: int = FAILED) -> int:
    notify(f"myrnn: {_one_line(message)}")
    return code


def _shown_once(arguments: Sequence[str]) -> Callable[..., None]:
    """Return a function that prints a warning in one line, and each warning only once."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = _one_line(_as_option(str(message), arguments))
        if line not in shown:
            shown.add(line)
            notify(f"myrnn: warning: {line}")

    return show


def _one_line(message: str) -> str:
    """Return a message in one line, with a semicolon between a line of code and the sentence after it."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    joined = lines[0] if lines else ""
    for line in lines[1:]:
        joined += ("; " if line[0].isupper() and joined[-1] not in ",;:." else " ") + line
    return joined


def _as_option(message: str, arguments: Sequence[str]) -> str:
    """Replace arguments' names by options that were given or are about data: ``label_column`` by ``--label-column``."""
    command = typer.main.get_command(make_app())
    chosen = getattr(command, "commands", {}).get(arguments[0]) if arguments else None
    options = [option for parameter in getattr(chosen, "params", ()) for option in parameter.opts]
    names = {option.removeprefix("--").replace("-", "_"): option for option in options if option.startswith("--")}
    given = {argument.partition("=")[0] for argument in arguments}
    others = {*Data.__struct_fields__, "test", "test_labels", *(CHANGEABLE if "--resume" in given else ())}
    names = {name: option for name, option in names.items() if option in given or name in others}
    if "--data" in options:
        names |= dict.fromkeys(("path", "file"), "--data")
    for name, option in names.items():
        # Neither a part of a path nor a quoted name; and a name of one word may be an ordinary word of the message.
        pattern = rf"(?<![\w./\\'-]){name}(?![\w./\\'-])"
        if "_" not in name:
            pattern = rf"(?:^|(?<=: )){name}(?= (?:must|is for|needs|gives|does not go) )|(?<= with ){name}$"
        message = re.sub(rf"(?<![\w./\\'-]){name}=(\d+|'[^']*')", partial(_assigned, option), message)
        message = re.sub(pattern, option, message)
    return message


def _assigned(option: str, found: re.Match[str]) -> str:
    """Return an option with its value, as for a shell."""
    value = found[1].strip("'")
    return f"{option} {quote(value)}" if ESCAPE not in value else f"{option} ${found[1]}"


def _usage_message(error: Exception, arguments: Sequence[str]) -> str:
    """Return one line for an error that Typer found in the command line."""
    near = _near_option(error) or next(iter(getattr(error, "possibilities", None) or ()), None)
    if near:
        return f"{getattr(error, 'message', error)}; did you mean {near}?"
    wrong = _wrong_value(error, arguments)
    if wrong is not None:
        return wrong
    describe = getattr(error, "format_message", None)
    return str(describe() if describe is not None else error)


def _wrong_value(error: Exception, arguments: Sequence[str]) -> str | None:
    """Return what an option requires and what was given, which Typer's own message omits."""
    options: Sequence[str] = getattr(getattr(error, "param", None), "opts", ())
    given = next((value for option in options for value in _values(option, arguments)), None)
    for pattern, wanted in WANTED:
        found = re.search(pattern, str(getattr(error, "message", "")))
        if found and given is not None:
            shown = given if re.fullmatch(r"-?\d+", given) else repr(given)
            return f"{options[0]} must {wanted.format(*found.groups())}, not {shown}"
    return None


def _values(option: str, arguments: Sequence[str]) -> Iterator[str]:
    """Yield the values given for an option, last first: the last one counts."""
    for place in reversed(range(len(arguments))):
        name, equals, value = arguments[place].partition("=")
        if name == option and (equals or place + 1 < len(arguments)):
            yield value if equals else arguments[place + 1]


def _near_option(error: Exception) -> str | None:
    """Return what an unknown option means: an option, or a setting that is written behind a name."""
    unknown, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if unknown is None or context is None:
        return None
    names = [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]
    options = {option[2:].replace("-", "_"): option for option in names}
    if all(part in options for part in PARTS):
        every = [
            (part, setting) for part in PARTS for kind in kinds(part).values() for setting in settings_of(kind.section)
        ]
        options = {setting.name: f"--{part} NAME:{setting.name}=..." for part, setting in every} | options
    return options.get(meant(unknown.lstrip("-").replace("-", "_"), options) or "")
