"""User-defined languages: from a regular expression, from a grammar, from a Python function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from myrnn.registry import register
from myrnn.tasks.languages.automata import Dfa
from myrnn.tasks.languages.grammar import Grammar
from myrnn.tasks.languages.language import Language
from myrnn.tasks.languages.predicate import Predicate
from myrnn.tasks.languages.recognition import Recognition, symbols_of
from myrnn.tasks.languages.regular import regular

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
        return _regular(self.pattern, self.alphabet)


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
        return _grammar(self.grammar, self.alphabet)


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


@lru_cache(64)
def _regular(pattern: str, alphabet: str | None) -> Dfa:
    return regular(pattern, symbols_of(alphabet))


@lru_cache(64)
def _grammar(text: str, alphabet: str | None) -> Grammar:
    return Grammar(text, symbols_of(alphabet))
