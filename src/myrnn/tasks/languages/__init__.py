"""Formal languages as tasks: known ones by name, and user-defined ones from an expression, a grammar or a function.

A `Language` recognizes and draws its members; a task, such as `Regular` or `Flare`, draws members and other strings of
the lengths in its settings. `language` says what a language is, and `kernels` has the loops over symbols. There are
automata (`automata`, from expressions in `regular`), languages of a `grammar` and of a `predicate`, and pairs of a
string and a function of it (`functions`, `pairs`); `known` has those with a name. `recognition` is the common part of
their `tasks`; `transduction` has tasks that ask for the functions. `labels` checks files.
"""

from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.functions import DEEPMIND
from myrnn.tasks.languages.grammar import Grammar
from myrnn.tasks.languages.known import FLARE, flare, tomita
from myrnn.tasks.languages.labels import LabelCheck, check_labels
from myrnn.tasks.languages.language import Language
from myrnn.tasks.languages.predicate import Predicate
from myrnn.tasks.languages.regular import regular

__all__ = [
    "DEEPMIND",
    "FLARE",
    "Dfa",
    "Grammar",
    "LabelCheck",
    "Language",
    "Predicate",
    "check_labels",
    "flare",
    "regular",
    "tomita",
]
