"""Runs a command and turns whatever goes wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import typer

from myrnn import _start
from myrnn._user_code import failure, user_frame
from myrnn.cli._codes import FAILED, INTERRUPTED, TERMINATED, Terminated
from myrnn.cli._commands import app
from myrnn.cli._mistakes import as_option, one_line, usage_message
from myrnn.errors import MyRNNError

# Typer keeps this class to itself: the root of all errors in how a command line is written.
_UsageError: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those that the process was started with.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _shown_once()
        given = list(sys.argv[1:] if arguments is None else arguments)
        try:
            _start.imports_are_done()
            _invoke(given)
            sys.stdout.flush()
        except typer.Exit as stop:
            return stop.exit_code
        except _UsageError as error:
            return _fail(usage_message(error, given))
        except MyRNNError as error:
            return _fail(as_option(str(error), given))
        except KeyboardInterrupt as stop:
            code = TERMINATED if isinstance(stop, Terminated) else INTERRUPTED
            return _fail(str(stop) or "interrupted: nothing was saved", code)
        except SystemExit as stop:
            if isinstance(stop.__context__, BrokenPipeError):
                # Rich raises it where the reader of our output has gone.
                return 1
            # Nothing of MyRNN's raises it: it comes out of a user's file.
            return _fail(f"your code ends the process: {failure(stop)}")
        except BrokenPipeError:
            # The reader of our output has gone. Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except MemoryError as error:
            return _fail(f"not enough memory: {error}".removesuffix(": "))
        except OSError as error:
            return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except Exception as error:
            # A fault of ours shows where it is; one in a class of the user's is a mistake like others.
            if user_frame(error) is None:
                raise
            return _fail(f"the model fails: {failure(error)}")
    return 0


def _invoke(arguments: list[str]) -> None:
    # Not app(), which would catch errors itself and show them in boxes of several lines.
    command = typer.main.get_command(app)
    with command.make_context("myrnn", arguments) as context:
        command.invoke(context)


def _fail(message: str, code: int = FAILED) -> int:
    print(f"myrnn: {one_line(message)}", file=sys.stderr)
    return code


def _shown_once() -> Callable[..., None]:
    """Return what shows a warning in a line, but not again what it has shown before."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = one_line(str(message))
        if line not in shown:
            shown.add(line)
            print(f"myrnn: warning: {line}", file=sys.stderr)

    return show
