"""What is said of a mistake in a command line: the option, what was given, and what is wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from myrnn._keywords import meant

# What Typer says is wrong with a value, and what is wanted instead.
WANTED = (
    (r"valid integer", "be an integer, written out, such as 100000"),
    (r"valid number", "be a number"),
    (r"greater than or equal to (\S+)", "be at least {}"),
    (r"less than or equal to (\S+)", "be at most {}"),
)


def usage_message(error: Exception, arguments: Sequence[str]) -> str:
    """Return one line for an error that Typer found in the arguments."""
    near = _near_option(error) or next(iter(getattr(error, "possibilities", None) or ()), None)
    if near:
        return f"{getattr(error, 'message', error)}; did you mean {near}?"
    wrong = _wrong_value(error, arguments)
    if wrong is not None:
        return wrong
    describe = getattr(error, "format_message", None)
    return str(describe() if describe is not None else error)


def one_line(message: str) -> str:
    """Return a message of several lines in one, with a semicolon between a line of code and a sentence behind it."""
    lines = [" ".join(line.split()) for line in message.splitlines() if line.strip()]
    joined = lines[0] if lines else ""
    for line in lines[1:]:
        joined += ("; " if line[0].isupper() and joined[-1] not in ",;:." else " ") + line
    return joined


def as_option(message: str, arguments: Sequence[str]) -> str:
    """Call arguments as the options that were given: ``learning_rate must`` is ``--learning-rate must`` then."""
    for option in {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}:
        name = option.removeprefix("--").replace("-", "_")
        # A name of one word may be a word of the message.
        pattern = rf"(?<![\w-]){re.escape(name)}(?!\w)" if "_" in name else rf"^{re.escape(name)}(?= must )"
        message = re.sub(pattern, option, message)
    return message


def _wrong_value(error: Exception, arguments: Sequence[str]) -> str | None:
    """Return what an option must be and was not: Typer's own words do not say what was given."""
    options: Sequence[str] = getattr(getattr(error, "param", None), "opts", ())
    given = next((value for option in options for value in _values(option, arguments)), None)
    for pattern, wanted in WANTED:
        found = re.search(pattern, str(getattr(error, "message", "")))
        if found and given is not None:
            shown = given if re.fullmatch(r"-?\d+", given) else repr(given)
            return f"{options[0]} must {wanted.format(*found.groups())}, not {shown}"
    return None


def _values(option: str, arguments: Sequence[str]) -> Iterator[str]:
    """Yield what is given for an option, the last first: that is the one which counts."""
    for place in reversed(range(len(arguments))):
        name, equals, value = arguments[place].partition("=")
        if name == option and (equals or place + 1 < len(arguments)):
            yield value if equals else arguments[place + 1]


def _near_option(error: Exception) -> str | None:
    """Return the option that stands for an unknown one, where other programs call it so."""
    unknown, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if unknown is None or context is None:
        return None
    options = {
        option.lstrip("-").replace("-", "_"): option
        for parameter in context.command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    return options.get(meant(unknown.lstrip("-").replace("-", "_"), options) or "")
