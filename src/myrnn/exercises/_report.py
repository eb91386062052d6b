"""What a check of an answer found, property by property, and how it runs a list of checks."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from myrnn.exercises import _limits
from myrnn.exercises._faults import FAULTS, describe
from myrnn.exercises._limits import few_lines, within

PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"
MARKS = {PASSED: "pass", FAILED: "FAIL", NOT_CHECKED: "  - "}
# The sign carries the meaning, the colour only supports it.
SIGNS = {PASSED: ("✓", "#1a7f37"), FAILED: ("✗", "#b3261e"), NOT_CHECKED: ("…", "#6e7781")}


@dataclass(frozen=True)
class Finding:
    """One property of an answer.

    Attributes
    ----------
    says : str
        The property, as a sentence about a right answer.
    outcome : {"passed", "failed", "not checked"}
        A property is not checked when one that it rests on does not hold.
    detail : str
        What is wrong; for a property that holds, at most a remark.
    """

    says: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Check:
    """A property with the function that looks for a breach of it: it returns what is wrong, or an empty string."""

    name: str
    says: str
    breach: Callable[[Any], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class ExerciseReport:
    """All that was found out about an answer; it shows itself in a notebook.

    Attributes
    ----------
    name : str
        What was checked.
    findings : tuple of Finding
        One for each property.
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
        """Return one line for each property, with what is wrong below it."""
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


def run_checks(name: str, answer: Any, checks: Iterable[Check]) -> ExerciseReport:
    """Run the checks in order; what an answer raises, and that it never ends, is a breach like any other."""
    findings: dict[str, Finding] = {}
    with few_lines():
        for check in checks:
            if any(findings[needed].outcome != PASSED for needed in check.needs):
                findings[check.name] = Finding(check.says, NOT_CHECKED)
            else:
                detail = _breach(check, answer)
                findings[check.name] = Finding(check.says, FAILED if detail else PASSED, detail)
    return ExerciseReport(name, tuple(findings.values()))


def _breach(check: Check, answer: Any) -> str:
    try:
        return within(_limits.SECONDS, lambda: check.breach(answer))
    except FAULTS as error:
        return describe(error)
