"""Formal languages as tasks: known ones by name, and user-defined ones from an expression, a grammar or a function.

A `Language` recognizes and draws its members; a task, such as `Regular` or `Flare`, draws members and other strings of
the lengths in its settings. `language` says what a language is, and `kernels` has the loops over symbols. There are
automata (`automata`, from expressions in `regular`, known ones in `finite`), languages that count (`structures`), pairs
of a string and a function of it (`functions`, `pairs`), those of a `grammar` and those of a `predicate`. `recognition`
is the common part of their `tasks`; `transduction` has tasks that ask for the functions. `labels` checks files.
"""

from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.finite import tomita
from myrnn.tasks.languages.grammar import Grammar
from myrnn.tasks.languages.labels import LabelCheck, check_labels
from myrnn.tasks.languages.language import Language
from myrnn.tasks.languages.predicate import Predicate
from myrnn.tasks.languages.recognition import Recognition
from myrnn.tasks.languages.regular import regular
from myrnn.tasks.languages.tasks import FLARE, ContextFree, Dyck, EqualCounts, Flare, Membership, Regular, Tomita, flare
from myrnn.tasks.languages.transduction import DEEPMIND, DeepMind

__all__ = [
    "DEEPMIND",
    "FLARE",
    "ContextFree",
    "DeepMind",
    "Dfa",
    "Dyck",
    "EqualCounts",
    "Flare",
    "Grammar",
    "LabelCheck",
    "Language",
    "Membership",
    "Predicate",
    "Recognition",
    "Regular",
    "Tomita",
    "check_labels",
    "flare",
    "regular",
    "tomita",
]
