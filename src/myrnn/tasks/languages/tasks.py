"""Tasks of languages: FLaRe's, Tomita's, brackets, equal counts; user-defined ones.

Users define a language by a regular expression, a grammar or a Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from msgspec import Meta

from myrnn.registry import register
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.grammar import Grammar
from myrnn.tasks.languages.known import FLARE, Blocks, Brackets, bounded_dyck, flare, tomita
from myrnn.tasks.languages.language import Language
from myrnn.tasks.languages.predicate import Predicate
from myrnn.tasks.languages.recognition import Recognition, symbols_of
from myrnn.tasks.languages.regular import regular

Made = TypeVar("Made", bound=Language)


@lru_cache(64)
def _made(make: Callable[..., Made], *settings: Any) -> Made:
    """Return a language; languages of tasks that are equal are made once."""
    return make(*settings)


# --- known languages


@register("task", "flare")
@dataclass(frozen=True)
class Flare(Recognition):
    """One of the 18 languages of FLaRe.

    Parameters
    ----------
    language_name : str
        ``"even-pairs"`` (first and last symbol are equal), ``"repeat-01"``, ``"parity"`` (an odd number of 1s),
        ``"cycle-navigation"`` (moves on a cycle of five and the place where they end), ``"modular-arithmetic-simple"``,
        ``"dyck-2-3"`` (two kinds of brackets, three deep), ``"first"`` (begins with 1), ``"majority"`` (more 1s than
        0s), ``"stack-manipulation"``, ``"marked-reversal"``, ``"unmarked-reversal"``, ``"marked-copy"``,
        ``"missing-duplicate-string"``, ``"odds-first"``, ``"binary-addition"``, ``"binary-multiplication"``,
        ``"compute-sqrt"`` or ``"bucket-sort"``. Numbers are little-endian.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    References
    ----------
    Butoi and others, "Training neural networks as recognizers of formal languages", 2025. Labels here are always true.

    Examples
    --------
    >>> Flare("binary-addition", length_max=20).sample(1000, 0)
    Sequences(1,000 of tokens below 4, lengths 5 to 20)
    """

    language_name: Annotated[
        Literal[FLARE],  # type: ignore[valid-type]
        Meta(description="Which language."),
    ]

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"flare {self.language_name}"

    @property
    def language(self) -> Language:
        """The language."""
        return flare(self.language_name)


@register("task", "tomita")
@dataclass(frozen=True)
class Tomita(Recognition):
    """One of Tomita's seven regular languages over 0 and 1; `languages.tomita` says which they are.

    Parameters
    ----------
    number : int
        1 to 7.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    Examples
    --------
    >>> Tomita(3, length_max=10).sample(1000, 0)
    Sequences(1,000 of tokens below 2, lengths 2 to 10)
    """

    number: Annotated[int, Meta(ge=1, le=7, description="Which of the seven.", examples=[3])]

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"tomita {self.number}"

    @property
    def language(self) -> Dfa:
        """The language, as its smallest automaton."""
        return tomita(self.number)


@register("task", "dyck")
@dataclass(frozen=True)
class Dyck(Recognition):
    """Balanced brackets (class 1), and other strings of brackets (class 0).

    Parameters
    ----------
    kinds : int
        The number of kinds of brackets.
    depth : int, optional
        The most brackets open at once; by default there is no limit.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    Examples
    --------
    >>> Dyck(2, 3, length_max=10).language
    Dfa(16 states over ( [ ) ])
    """

    kinds: Annotated[int, Meta(ge=1, le=1_000, description="How many kinds of brackets there are.", examples=[2])]
    depth: (
        Annotated[int, Meta(ge=1, description="How many brackets may be open at once; by default any number.")] | None
    ) = None

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"dyck {self.kinds}" + ("" if self.depth is None else f", {self.depth} deep")

    @property
    def language(self) -> Language:
        """The language."""
        return _made(Brackets, self.kinds) if self.depth is None else _made(bounded_dyck, self.kinds, self.depth)


@register("task", "equal-counts")
@dataclass(frozen=True)
class EqualCounts(Recognition):
    """Equally many of each letter: in blocks, as a^n b^n c^n, or in any order.

    Parameters
    ----------
    letters : str
        The letters, such as ``"abc"``.
    ordered : bool
        Whether all of a letter must come before the next letter.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    Examples
    --------
    >>> "aabbcc" in EqualCounts("abc").language, "abcabc" in EqualCounts("abc", ordered=False).language
    (True, True)
    """

    letters: Annotated[str, Meta(description="Letters of which there are equally many, such as ab.", examples=["ab"])]
    ordered: Annotated[bool, Meta(description="Whether all of a letter must come before the next letter.")] = True

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"equal-counts {self.letters}" + ("" if self.ordered else " in any order")

    @property
    def language(self) -> Language:
        """The language."""
        return _made(Blocks, symbols_of(self.letters) or (), self.ordered)


# --- user-defined languages

Alphabet = Annotated[
    str, Meta(description="The symbols of strings, such as abc; by default those of the expression or of the grammar.")
]


@register("task", "regular")
@dataclass(frozen=True)
class Regular(Recognition):
    """Strings that match a regular expression (class 1), and others (class 0).

    Parameters
    ----------
    pattern : str
        The expression; `languages.regular` says what it may hold. The whole string must match.
    alphabet : str, optional
        The symbols, by default those of the expression.
    length_min, length_max : int
        The shortest and longest string; every length between is equally likely.
    negatives : {"mixed", "uniform", "near_miss"}
        How to draw strings that do not match: all of a length equally likely; from a match by random insertions,
        deletions and replacements of symbols, whose number is that of coin flips until tails; or half of each.
    any_length : bool
        Whether to also draw lengths at which no string matches.
    objective : {"recognition", "next_symbols", "next_symbol"}
        The targets: whether a string matches, or, for strings that match, what follows at each step. In the latter case
        each string is preceded by the start ``^``, and its last step is followed by the end ``$``. ``"next_symbol"`` is
        the symbol that does follow, as for a language model; ``"next_symbols"`` are all that may follow, several
        classes at once.
    also_next_symbol, also_next_symbols : float
        The weights of the same targets as additions to recognition, for members only; 0 leaves one out. Every string
        counts equally, whatever its length. Such a task draws `Sequences` with several targets for each step, and its
        networks are tested on its `recognition` as a `Recognizer`.

    References
    ----------
    Gers and Schmidhuber, "LSTM recurrent networks learn simple context-free and context-sensitive languages", 2001
    (all symbols that may follow). Butoi and others, "Training neural networks as recognizers of formal languages", 2025
    (both together).

    Examples
    --------
    >>> task = Regular("(ab|ba)*", length_max=10)
    >>> task.sample(1000, 0)
    Sequences(1,000 of tokens below 2, lengths 2 to 10)
    >>> "abba" in task.language, task.language
    (True, Dfa(4 states over a b))
    """

    pattern: Annotated[str, Meta(description="The regular expression that strings must match.", examples=["(ab)*"])]
    alphabet: Alphabet | None = None

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"regular {self.pattern}"

    @property
    def language(self) -> Dfa:
        """The language, as its smallest automaton."""
        return _made(regular, self.pattern, symbols_of(self.alphabet))


@register("task", "context-free")
@dataclass(frozen=True)
class ContextFree(Recognition):
    """Strings that a context-free grammar gives (class 1), and others (class 0).

    Parameters
    ----------
    grammar : str
        Rules such as ``S -> a S b | c``; `languages.Grammar` says how they are written.
    alphabet : str, optional
        The symbols, by default those of the rules.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    Examples
    --------
    >>> ContextFree("S -> a S b | ", length_max=10).sample(1000, 0)
    Sequences(1,000 of tokens below 2, lengths 2 to 10)
    """

    grammar: Annotated[
        str,
        Meta(
            description="The rules of a grammar, such as S -> a S b | a b; a ; goes between two.",
            examples=["S -> a S b | a b"],
        ),
    ]
    alphabet: Alphabet | None = None

    @property
    def name(self) -> str:
        """The name of the task."""
        return f"context-free {'; '.join(filter(None, map(str.strip, self.grammar.splitlines())))}"

    @property
    def language(self) -> Grammar:
        """The language."""
        return _made(Grammar, self.grammar, symbols_of(self.alphabet))


@dataclass(frozen=True)
class Membership(Recognition):
    """Strings that a Python function accepts (class 1), and others (class 0).

    Parameters
    ----------
    alphabet : str or iterable of str
        The symbols.
    function : callable
        ``function(string)`` returns whether a string is a member; `languages.Predicate` says what it gets.
    draw : callable, optional
        ``draw(length, rng)`` returns a member of a length. It is needed if members are rare among long strings.
    length_min, length_max, negatives, any_length, objective, also_next_symbol, also_next_symbols
        As for `Regular`.

    Examples
    --------
    >>> task = Membership("ab", lambda s: s.count("a") > s.count("b"), length_max=10)
    >>> task.sample(1000, 0)
    Sequences(1,000 of tokens below 2, lengths 1 to 10)
    """

    alphabet: Any
    function: Callable[[Any], bool]
    draw: Callable[..., Any] | None = None
    _language: Language = field(init=False, repr=False, compare=False)

    name: ClassVar[str] = "membership"

    def __post_init__(self) -> None:
        """Check the settings."""
        symbols: Iterable[str] | None = symbols_of(self.alphabet) if isinstance(self.alphabet, str) else self.alphabet
        language = Predicate(symbols or (), self.function, self.draw)
        object.__setattr__(self, "alphabet", language.symbols)
        object.__setattr__(self, "_language", language)
        super().__post_init__()

    @property
    def language(self) -> Language:
        """The language."""
        return self._language
