"""Lists of checks, the limits of an answer, and findings, property by property."""

from __future__ import annotations

import contextlib
import html
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import scipy

from myrnn._checks import shown
from myrnn._signals import TookTooLong, within
from myrnn._user_code import line_of, user_frame
from myrnn.errors import InvalidArgument

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"
MARKS = {PASSED: "pass", FAILED: "FAIL", NOT_CHECKED: "  - "}
# The sign has the meaning; the colour only supports it.
SIGNS = {PASSED: ("✓", "#1a7f37"), FAILED: ("✗", "#b3261e"), NOT_CHECKED: ("…", "#6e7781")}
# Every count is compared with its exact binomial distribution. A check makes fewer than 90 such comparisons, so that a
# right answer fails less than once in a million times.
FALSE_ALARM = 1e-8
# Some twenty times the duration of a check of a usual answer.
SECONDS = 20.0
LINES, CHARACTERS = 20, 2000
MORE = "... (the rest of the output is left out)\n"
# Exceptions of an answer that are findings. KeyboardInterrupt comes from the user who waits.
FAULTS = (Exception, SystemExit, TookTooLong)

# Tests a property: the first message that it yields, if there is one, says how an answer breaks it.
Breach = Callable[[Any], Iterable[str] | None]


@dataclass(frozen=True)
class Finding:
    """One property of an answer.

    Attributes
    ----------
    says : str
        The property, as a sentence about a right answer.
    outcome : {"passed", "failed", "not checked"}
        A property is not checked if one that it depends on does not hold.
    detail : str
        The fault; for a property that holds, at most a remark.

    Examples
    --------
    >>> finding = Finding("It returns a number.", "failed", "It returned 'x'.")
    >>> finding.outcome, finding.detail
    ('failed', "It returned 'x'.")
    """

    says: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True, repr=False)
class ExerciseReport:
    """All findings about an answer. An exception of the answer is a property that does not hold.

    A notebook displays it.

    Attributes
    ----------
    name : str
        The name of the checked object.
    findings : tuple of Finding
        One for each property.

    Examples
    --------
    >>> from myrnn.exercises import Finding
    >>> report = ExerciseReport("answer", (Finding("It returns a number.", "passed"),))
    >>> report.ok, report.failed
    (True, ())
    >>> report
    answer: all 1 properties hold
      pass  It returns a number.
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every property holds."""
        return all(finding.outcome == PASSED for finding in self.findings)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The properties that do not hold."""
        return tuple(finding for finding in self.findings if finding.outcome == FAILED)

    @property
    def _summary(self) -> str:
        if self.ok:
            return f"{self.name}: all {len(self.findings)} properties hold"
        waiting = sum(finding.outcome == NOT_CHECKED for finding in self.findings)
        rest = f", {waiting} could not be checked yet" if waiting else ""
        return f"{self.name}: {len(self.failed)} of {len(self.findings)} properties do not hold{rest}"

    def __str__(self) -> str:
        """Return one line for each property, with its fault below it."""
        lines = [self._summary]
        for finding in self.findings:
            lines.append(f"  {MARKS[finding.outcome]}  {finding.says}")
            if finding.detail:
                lines.append(f"        {finding.detail}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = []
        for finding in self.findings:
            sign, color = SIGNS[finding.outcome]
            detail = f'<div style="color: {color}">{html.escape(finding.detail)}</div>' if finding.detail else ""
            rows.append(
                f'<tr><td style="color: {color}; font-weight: bold; vertical-align: top" title="{finding.outcome}">'
                f'{sign}</td><td style="text-align: left">{html.escape(finding.says)}{detail}</td></tr>'
            )
        return f"<p><b>{html.escape(self._summary)}</b></p><table>{''.join(rows)}</table>"


class Checklist:
    """Properties of a right answer, in the order in which they are checked.

    >>> checks = Checklist()
    >>> @checks("It is a number.")
    ... def number(answer):
    ...     if not isinstance(answer, int):
    ...         yield f"It is {answer!r}."
    >>> @checks("It is positive.", number)
    ... def positive(answer):
    ...     if answer <= 0:
    ...         yield "It is not."
    >>> print(checks.run("answer", "x"))
    answer: 1 of 2 properties do not hold, 1 could not be checked yet
      FAIL  It is a number.
            It is 'x'.
        -   It is positive.
    """

    def __init__(self) -> None:
        self._properties: list[tuple[str, Breach, tuple[Breach, ...]]] = []

    def __call__(self, says: str, *needs: Breach) -> Callable[[Breach], Breach]:
        """Add a property with its test; it depends on the properties in `needs`."""

        def add(breach: Breach) -> Breach:
            self._properties.append((says, breach, needs))
            return breach

        return add

    def replacing(self, known: Breach, says: str, breach: Breach) -> Checklist:
        """Return the same list with one property replaced, also in the dependencies of others."""
        others = Checklist()
        for what, check, needs in self._properties:
            rests_on = tuple(breach if needed is known else needed for needed in needs)
            others._properties.append((says, breach, rests_on) if check is known else (what, check, rests_on))
        return others

    def run(self, name: str, answer: Any) -> ExerciseReport:
        """Check an answer. Exceptions and endless loops are faults like any other."""
        findings: dict[Breach, Finding] = {}
        with few_lines():
            for says, breach, needs in self._properties:
                if any(findings[needed].outcome != PASSED for needed in needs):
                    findings[breach] = Finding(says, NOT_CHECKED)
                else:
                    detail = _detail(breach, answer)
                    findings[breach] = Finding(says, FAILED if detail else PASSED, detail)
        return ExerciseReport(name, tuple(findings.values()))


@contextlib.contextmanager
def few_lines(lines: int = LINES, characters: int = CHARACTERS) -> Iterator[None]:
    """Pass the first lines of the output through, and drop the rest."""
    with contextlib.redirect_stdout(_FewLines(sys.stdout, lines, characters)):
        yield


class _FewLines(io.TextIOBase):
    def __init__(self, stream: TextIO, lines: int, characters: int) -> None:
        self._stream, self._lines, self._characters = stream, lines, characters
        self._is_full = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self._is_full:
            kept = "".join(text.splitlines(keepends=True)[: self._lines])[: self._characters]
            self._lines, self._characters = self._lines - kept.count("\n"), self._characters - len(kept)
            self._is_full = len(kept) < len(text)
            self._stream.write(kept + (MORE if self._is_full else ""))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def name_of(fn: Callable[..., Any]) -> str:
    """Return the name of a student's function; raises InvalidArgument if it is not a function."""
    if not callable(fn):
        raise InvalidArgument(f"fn must be a function, passed without calling it, not {shown(fn)}")
    return str(getattr(fn, "__name__", type(fn).__name__))


def returned(given: Any, fault: str = "") -> str:
    """Return what a function returned, for a message about it: nothing, or the value with its fault behind."""
    return "nothing: is the return missing?" if given is None else f"{shown(given)}{fault}"


def is_unlikely(count: int, total: int, chance: float) -> bool:
    """Return whether a binomial count is too extreme to be due to chance."""
    below, above = (
        scipy.special.bdtr(count, total, chance),
        scipy.special.bdtrc(count - 1, total, chance) if count else 1.0,
    )
    return bool(2 * min(below, above) < FALSE_ALARM)


def _detail(breach: Breach, answer: Any) -> str:
    try:
        return within(SECONDS, lambda: next(filter(None, breach(answer) or ()), ""))
    except FAULTS as error:
        # Python turns a StopIteration of the answer into a RuntimeError.
        return describe(error.__cause__ if isinstance(error.__cause__, StopIteration) else error)


def describe(error: BaseException) -> str:
    """Return one line: the exception, and the line of the student's code that raised it."""
    message, frame = " ".join(str(error).split()), user_frame(error)
    text = "" if frame is None else line_of(frame)
    place = "" if frame is None else f", in {frame.name}, line {frame.lineno}" + (f": {text}" if text else "")
    if isinstance(error, TookTooLong):
        return f"{message}{place}. Does a loop never end?"
    return f"it raised {type(error).__name__}" + (f": {message}" if message else "") + place
