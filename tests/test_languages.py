"""Formal languages: labels and slow definitions agree, draws are uniform; automata, expressions, grammars."""

import itertools
import os
import re
import subprocess
import sys
from collections import Counter

import mygrad as mg
import numpy as np
import pytest

import slow_languages
from marks import most_are_long, the_rest_is_long
from myrnn import Adam, Experiment, Stacked, evaluate, read_sequences, shortcuts, train
from myrnn.errors import DataError, InvalidArgument
from myrnn.flat import offsets_of
from myrnn.sequences import Sequences
from myrnn.tasks import ContextFree, DeepMind, Dyck, EqualCounts, Flare, Membership, Regular, Tomita
from myrnn.tasks.languages import DEEPMIND, Dfa, Grammar, Predicate, check_labels, flare, regular, tomita
from myrnn.tasks.languages.functions import draw_expression, value_of

LANGUAGES = slow_languages.tasks(500)


def every_string(language, length):
    """Return all strings of a length, as tokens (count, length)."""
    tokens = np.array(list(itertools.product(range(len(language.symbols)), repeat=length)), dtype=np.int32)
    return tokens.reshape(len(language.symbols) ** length, length)


def members(language, length):
    strings = every_string(language, length)
    return strings[language.contains(strings.reshape(-1), np.arange(len(strings) + 1) * length)]


@pytest.mark.parametrize("name", the_rest_is_long(LANGUAGES, "flare compute-sqrt", "flare parity", "dyck 2"))
def test_labels_are_those_of_a_slow_definition(name):
    task, tell = LANGUAGES[name]
    assert slow_languages.wrong_labels(task, tell, 500, np.random.default_rng(1)) == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_all_short_strings_have_the_right_label(name):
    task, tell = LANGUAGES[name]
    language = task.language
    for length in itertools.count():
        if len(language.symbols) ** length > 2_000:
            break
        strings = every_string(language, length)
        found = language.contains(strings.reshape(-1), np.arange(len(strings) + 1) * length)
        slow = [bool(tell([language.symbols[token] for token in string])) for string in strings.tolist()]
        assert found.tolist() == slow
        assert language.has_members(np.array([length])).tolist() == [any(slow)]
        assert language.has_others(np.array([length])).tolist() == [not all(slow)]


# These have at most one member per length, or do not draw members equally often.
APART = ("flare repeat-01", "flare binary-multiplication", "tomita 1", "tomita 2", "equal abc")


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name not in APART])
def test_all_members_of_a_length_are_drawn_equally_often(name):
    language = LANGUAGES[name][0].language
    lengths = [n for n in range(1, 11) if len(language.symbols) ** n < 20_000 and len(members(language, n)) > 1]
    length = min(lengths, key=lambda n: abs(len(members(language, n)) - 40))
    known = members(language, length)
    drawn = language.draw_members(np.full(100 * len(known), length), np.random.default_rng(2)).reshape(-1, length)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(map(tuple, known.tolist()))
    free = len(known) - 1
    # Chi squared has a mean of `free` and a variance of twice that.
    assert sum((n - 100) ** 2 / 100 for n in counts.values()) < free + 5 * np.sqrt(2 * free) + 1


def test_every_member_of_a_product_can_be_drawn():
    language = flare("binary-multiplication")
    drawn = language.draw_members(np.full(20_000, 7), np.random.default_rng(0)).reshape(-1, 7)
    assert set(map(tuple, drawn.tolist())) == set(map(tuple, members(language, 7).tolist()))


def test_non_members_are_drawn_equally_often():
    language = tomita(4)
    others = language.draw_others(np.full(8_000, 5), np.random.default_rng(0)).reshape(-1, 5)
    counts = Counter(map(tuple, others.tolist()))
    assert len(counts) == 2**5 - language.count(5)
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_half_of_all_strings_are_members_at_the_same_lengths():
    drawn = Flare("repeat-01", length_max=9).sample(20_000, np.random.default_rng(0))
    assert set(drawn.lengths.tolist()) == {2, 4, 6, 8}
    for length in (2, 4, 6, 8):
        assert drawn.labels[drawn.lengths == length].mean() == pytest.approx(0.5, abs=0.03)
    any_length = Flare("repeat-01", length_max=9, any_length=True).sample(20_000, np.random.default_rng(0))
    assert any_length.labels.mean() == pytest.approx(0.5, abs=0.02)
    assert not any_length.labels[any_length.lengths % 2 == 1].any()


def test_length_gives_nothing_away_unless_any_length_is_drawn():
    assert shortcuts(Flare("marked-copy", length_max=20), 4_000).overall["length alone"] < 0.55
    assert shortcuts(Flare("marked-copy", length_max=20, any_length=True), 4_000).overall["length alone"] > 0.65


def test_near_misses_are_a_few_edits_from_a_member():
    near, uniform = (
        Regular("a*", "ab", length_min=20, length_max=20, negatives=kind).sample(400, np.random.default_rng(0))
        for kind in ("near_miss", "uniform")
    )
    # Two of three edits insert a b, and a coin decides whether another edit follows.
    assert 1 <= near.values[np.repeat(near.labels == 0, 20)].mean() * 20 < 2
    assert uniform.values[np.repeat(uniform.labels == 0, 20)].mean() * 20 == pytest.approx(10, abs=0.5)


def test_draws_only_depend_on_the_generator():
    for task in (Regular("(a|b)*abb"), ContextFree("S -> a S a | b"), Flare("binary-addition")):
        one, other = (task.sample(50, np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.labels, other.labels)


@pytest.mark.long
def test_draws_of_a_grammar_are_the_same_in_every_process():
    code = (
        "import numpy as np; from myrnn.tasks.languages import Grammar\n"
        "grammar = Grammar('S -> a S a | b S b | a | b')\n"
        "print(grammar.draw_members(np.full(40, 9), np.random.default_rng(0)).tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "4")
    }
    assert len(found) == 1


def test_truth_is_that_of_the_language():
    strings = Sequences([0, 1, 1, 0, 1], [0, 2, 4, 5, 5], [0, 0, 0, 0], 2)
    assert Regular("(ab|ba)*").truth(strings).tolist() == [1, 1, 0, 1]
    with pytest.raises(InvalidArgument, match="sequences must hold tokens below 2, not 2"):
        Regular("(ab|ba)*").truth(Sequences([2], [0, 1], [0], 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Regular("aa", length_min=5, length_max=9), "the language has no member of lengths 5 to 9"),
        (lambda: Regular("a*", length_max=5), "the language has no non-member of lengths 1 to 5"),
        (lambda: Regular("(aa)*", length_max=1), "the language has no member of length 1"),
        (
            lambda: Tomita(2).sample_lengths([4, 5], np.random.default_rng(0)),
            "Tomita has no sequence of length 5: lengths are those with members and others: the language has no "
            "member of length 5",
        ),
        (lambda: Flare("parities"), "language_name must be one of .*did you mean 'parity'|not 'parities'"),
        (lambda: Tomita(8), "number must be .*7"),
        (lambda: Membership("", len), "the alphabet is empty"),
        (lambda: Membership("aa", len), "the symbol 'a' is repeated in the alphabet"),
        (lambda: Membership("ab", 3), "function must be a function, not int"),
        (lambda: Membership("ab", lambda s: 1 / 0), "the function of the language fails at 'a'.*division by zero"),
        (lambda: Membership("ab", lambda s: True, lambda: 0, length_min=30), r"draw\(30, rng\) fails: TypeError"),
        (lambda: Membership(5, len), "the alphabet must be symbols, as 'ab' or .*, not 5"),
        (lambda: Regular(r"[\^a]*", objective="next_symbol"), r"the alphabet must not have \^"),
        (lambda: Dyck(1, 10**9), "take too many states"),
        (lambda: flare("parities"), "name must be one of .*did you mean 'parity'"),
        (lambda: EqualCounts("aba"), "the symbol 'a' is repeated"),
        (lambda: Dyck(30, 9), "30 kinds of brackets, 9 deep, take too many states: leave the depth out"),
    ],
)
def test_invalid_languages_give_a_one_line_error(make, message):
    with pytest.raises(InvalidArgument, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


# --- automata and regular expressions


def random_expression(rng, depth):
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return str(rng.choice(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]"]))
    if kind < 0.55:
        return random_expression(rng, depth - 1) + random_expression(rng, depth - 1)
    if kind < 0.7:
        return f"({random_expression(rng, depth - 1)}|{random_expression(rng, depth - 1)})"
    return f"({random_expression(rng, depth - 1)})" + str(rng.choice(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}"]))


def test_expressions_match_the_same_strings_as_in_python():
    rng = np.random.default_rng(0)
    strings = [string for n in range(6) for string in itertools.product("abc", repeat=n)]
    offsets = offsets_of([len(string) for string in strings])
    tokens = np.array(["abc".index(symbol) for string in strings for symbol in string], dtype=np.int32)
    for _ in range(60):
        pattern = random_expression(rng, 3)
        whole = re.compile(pattern)
        automaton = regular(pattern, "abc")
        found = automaton.contains(tokens, offsets)
        assert found.tolist() == [whole.fullmatch("".join(string)) is not None for string in strings], pattern
        assert automaton.count(5) == found[np.diff(offsets) == 5].sum()


def test_signs_of_anchors_are_symbols_behind_a_backslash_and_in_sets():
    language = regular(r"\^[a$]*\$")
    assert language.symbols == ("$", "^", "a") and "^a$$" in language and "aa" not in language


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(ab", "has a bracket ( that is not closed, at character 1"),
        ("ab)", "has a bracket ) that closes nothing, at character 3"),
        ("a|*", "has nothing that * repeats, at character 3"),
        ("a" + "*" * 200, "repeats a part more than 100 times over, at character 2"),
        ("a{99999}", "repeats a part more than 1,000 times, at character 2"),
        ("a[^]", "has an empty set [^], at character 2"),
        ("a{x}", "needs one or two numbers in {}, such as {3}, {2,} or {2,4}, at character 2"),
        ("a{3,1}", "repeats from 3 to 1 times, at character 2"),
        ("[ab", "has a bracket [ that is not closed, at character 1"),
        ("a[]", "has an empty set [], at character 2"),
        ("a\\", "ends in a backslash, at character 2"),
        (r"\d", r"has \d, which means nothing here: write a set such as [0-9] or [a-z], at character 1"),
        (
            "^ab",
            r"has an anchor ^, but the whole string must match anyway: leave it out, or write \^ for the symbol ^, at "
            "character 1",
        ),
        ("a(b$|a)", r"or write \$ for the symbol $, at character 4"),
        ("[b-a]", "has a range from 'b' to 'a', which comes before it, at character 1"),
        ("", "has no symbol: name the alphabet"),
        ("(a{100}){100}", "is too large: written out, it has more than 1,000 symbols"),
        ("(a|b)*a(a|b){15}", "is too large: the automaton has more than 10,000 states"),
        ("(" * 101 + "a" + ")" * 101, "has brackets within brackets, more than 100 deep"),
    ],
)
def test_an_invalid_expression_is_refused(pattern, message):
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        regular(pattern)


def test_an_alphabet_that_lacks_a_symbol_is_refused():
    with pytest.raises(InvalidArgument, match="has 'b', which is not in the alphabet 'ac'"):
        regular("ab", "ac")


@pytest.mark.parametrize("number", range(1, 8))
def test_tomitas_automata_are_minimal(number):
    automaton = tomita(number)
    assert len(automaton.minimal()) == len(automaton)
    assert automaton.difference(automaton.minimal()) is None
    assert automaton.difference(automaton.complement) == ""


def test_the_shortest_string_that_distinguishes_two_automata():
    assert regular("a*b?", "ab").difference(regular("a*", "ab")) == "b"
    assert regular("(ab)*").difference(regular("(ab)*(abab)?")) is None
    with pytest.raises(InvalidArgument, match="must have the same symbols, but these are a b and 0 1"):
        regular("(ab)*").difference(tomita(1))


def test_symbols_that_may_follow_a_prefix():
    automaton = regular("ab|b")
    # After nothing: a or b; after a: only b; after ab: nothing, but it is a member.
    assert automaton.followers(np.array([0, 1], dtype=np.int32), np.array([0, 2])).tolist() == [
        [True, True, False],
        [False, True, False],
        [False, False, True],
    ]


def test_long_strings_are_counted_and_drawn():
    # One member of an even length and a huge number of odd ones: logarithms avoid overflow.
    language = regular("(aa)*|[a-i]([a-i][a-i])*", "abcdefghi")
    assert language.count(600) == 1
    assert language.has_members(np.array([600, 601])).all()
    assert not language.draw_members(np.array([600]), np.random.default_rng(0)).any()


@pytest.mark.parametrize(
    ("moves", "accepting", "message"),
    [
        ([[0, 1]], [True], "moves must be .*0"),
        ([[0]], [True], "a row for each of 1 state and a column for each of 2 symbols"),
        ([], [], "a row for each of 0 states"),
        ([[0, 1], [1, 0], [0, 0]], [True, False], r"not shape \(3, 2\)"),
    ],
)
def test_automata_check_their_tables(moves, accepting, message):
    with pytest.raises(InvalidArgument, match=message):
        Dfa("ab", moves, accepting)


@pytest.mark.parametrize("token", [2, -1, 10**8])
@pytest.mark.parametrize(
    "language", [tomita(4), Grammar("S -> 0 S 1 |"), Predicate("01", bool)], ids=["dfa", "cfg", "fn"]
)
def test_tokens_that_are_not_in_the_language_are_refused(language, token):
    strings, offsets = np.array([0, token], dtype=np.int32), np.array([0, 2])
    for ask in (language.contains, language.followers):
        with pytest.raises(InvalidArgument, match=r"tokens from 0 to 1, the symbols of the (automaton|language)"):
            ask(strings, offsets)


@pytest.mark.parametrize("token", [-(10**8), 10**8])
def test_stacks_leave_tokens_alone_that_are_no_brackets(token):
    strings = np.array([0, token, 2], dtype=np.int32)
    assert Dyck(2).language.contains(strings, np.array([0, 3])).tolist() == [True]


def test_white_space_may_be_a_symbol():
    assert "a\tb" in regular("a\tb")
    assert "a b" in regular("ab")
    with pytest.raises(InvalidArgument, match="a string must be a text or a sequence of symbols, not 5"):
        5 in regular("a")  # noqa: B015


@pytest.mark.parametrize("pattern", ["(){1000}a", "a()" + "{2}" * 40, "(((){900}){900})*a"])
def test_the_empty_string_can_be_repeated_any_number_of_times(pattern):
    assert "a" in regular(pattern)


# --- grammars


def test_an_ambiguous_grammar_of_many_symbols_is_recognised():
    assert Grammar("E -> E + E | E - E | E * E | ( E ) | " + " | ".join("0123456789")).is_ambiguous
    assert not Grammar("E -> E + T | T; T -> ( E ) | " + " | ".join("0123456789")).is_ambiguous


def test_a_grammar_knows_whether_it_generates_all_strings_of_a_length():
    # All strings except a^n, which is one of 2^n.
    task = ContextFree("S -> a S | b T | b; T -> a T | b T | a | b", length_min=40)
    assert task.language.has_others(np.array([40])).all()
    assert not Grammar("S -> a S | b S | ''").has_others(np.arange(50)).any()


def test_a_grammar_draws_each_member_of_a_length_equally_often_though_it_has_several_trees():
    language = Grammar("S -> S S | a | b b")
    assert language.is_ambiguous
    known = members(language, 6)
    drawn = language.draw_members(np.full(100 * len(known), 6), np.random.default_rng(0)).reshape(-1, 6)
    counts = Counter(map(tuple, drawn.tolist()))
    assert len(counts) == len(known)
    assert sum((n - 100) ** 2 / 100 for n in counts.values()) < len(known) + 5 * np.sqrt(2 * len(known))


@pytest.mark.parametrize(
    ("grammar", "length", "message"),
    [
        ("E -> E + E | E * E | ( E ) | x | - E", 60, "some strings of length 60 in very many more ways than others"),
        (
            "E -> E + E | E * E | ( E ) | x | - E",
            500,
            "some strings in several ways, and counting these takes too long for length 500: write it so that each "
            "string has one way, or draw strings of up to 204 symbols",
        ),
    ],
)
def test_an_ambiguous_grammar_that_takes_too_long_is_refused_early(grammar, length, message):
    """The strings are so many that drawing them once would take minutes."""
    language = Grammar(grammar)
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        language.draw_members(np.full(1_000_000, length), np.random.default_rng(0))


def test_an_ambiguous_grammar_of_short_strings_may_be_very_uneven():
    """Strings of length 16 have 1 to 1,287 trees."""
    language = Grammar("S -> a S b | a S | c")
    drawn = language.draw_members(np.full(500, 16), np.random.default_rng(0))
    assert language.contains(drawn, np.arange(501) * 16).all()
    # a^n c b^m: all of the eight numbers of bs are equally likely.
    counts = np.bincount((drawn.reshape(-1, 16) == language.symbols.index("b")).sum(axis=1))
    assert len(counts) == 8 and ((counts - 62.5) ** 2 / 62.5).sum() < 25


def test_a_grammar_can_have_chains_and_empty_and_useless_rules():
    language = Grammar("S -> A B; A -> C | a A | ''; C -> c; B -> ε | b | D; D -> D d; X -> S")
    slow = re.compile("a*(c|)b?")
    for length in range(6):
        for string in every_string(language, length).tolist():
            text = language.write(string)
            assert (text in language) == (slow.fullmatch(text) is not None), text


def test_quotes_turn_special_characters_into_symbols():
    language = Grammar("S -> '|' S \"->\" | ''")
    assert language.symbols == ("->", "|")
    assert "| | -> ->" in language
    assert "| -> ->" not in language


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the grammar is empty"),
        ("S", "the rule 'S' must begin with a nonterminal and ->"),
        ("a b -> c", "the rule 'a b -> c' must begin with a nonterminal and ->"),
        ("S -> a -> b", "has two arrows"),
        ("S -> aSb | a", "the word 'aSb' has the nonterminal S in it: put spaces between symbols"),
        ("S -> a S", "the grammar has no string: nothing that begins with S comes to an end"),
        ("S -> S", "the grammar has no symbol: name the alphabet"),
        ("S -> a' S | b", "has a quote ' that is not closed"),
        (7, "a grammar must be a text, not int"),
    ],
)
def test_an_invalid_grammar_is_refused(text, message):
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        Grammar(text)


def test_an_alphabet_must_fit_a_grammar():
    with pytest.raises(InvalidArgument, match="has 'a', which is not in the alphabet b"):
        Grammar("S -> a", ["b"])
    with pytest.raises(InvalidArgument, match="'S' is a symbol and has rules"):
        Grammar("S -> a", ["a", "S"])


# --- a function


def test_a_function_gets_text_or_symbols():
    assert Membership("ab", lambda s: s == "ab", length_max=3).language.symbols == ("a", "b")
    named = Membership(["up", "down"], lambda s: s[:1] == ("up",), length_max=3)
    drawn = named.sample(100, np.random.default_rng(0))
    assert (drawn.labels == (drawn.values[drawn.offsets[:-1]] == 0)).all()


def is_palindrome(text):
    return text == text[::-1]


def is_abc(text):
    third = len(text) // 3
    return text == "a" * third + "b" * third + "c" * third


FEW = "(fewer than 20 of 2,000 random strings of a length are members; a function `draw` can draw them)"
ALL = "(all of 2,000 random strings of a length are members)"


@pytest.mark.parametrize(
    ("options", "ending", "lengths"),
    [
        ({}, "they are left out", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
        ({"any_length": True}, "their strings are all of the other class", [*range(1, 31)]),
        ({"objective": "next_symbol"}, "they are left out", [*range(2, 16)]),
        ({"also_next_symbol": 1}, "they are left out", [*range(3, 16)]),
    ],
)
def test_lengths_at_which_members_are_rare_are_named_in_a_warning(options, ending, lengths):
    message = f"members of lengths 15 to 30 are too rare to be drawn {FEW}: {ending}"
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        task = Membership("ab", is_palindrome, length_max=30, **options)
    assert [warning.filename for warning in caught] == [__file__]
    assert task.lengths.tolist() == lengths
    if options == {"any_length": True}:
        # Lengths of which the user was warned are drawn.
        assert not task.sample_lengths([20] * 30, np.random.default_rng(0)).labels.any()
        with pytest.raises(InvalidArgument, match=r"^Membership has no sequence of length 35: .* are too rare to be"):
            task.sample_lengths([20, 35], np.random.default_rng(0))


@pytest.mark.parametrize("options", [{}, {"any_length": True}, {"objective": "next_symbol"}, {"also_next_symbol": 1}])
def test_a_task_of_which_nearly_all_lengths_are_too_rare_is_refused(options):
    left = "lengths 3, 6, 9"
    message = f"members of lengths 10 to 40 are too rare to be drawn {FEW}: without these, only {left} would be left"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
        Membership("abc", is_abc, length_max=40, **options)


def test_it_is_not_said_that_there_are_no_members_where_none_was_found():
    with pytest.warns(UserWarning, match=r"^members of lengths 10 to 18 are too rare to be drawn"):
        task = Membership("abc", is_abc, length_max=18)
    assert task.lengths.tolist() == [3, 6, 9]
    beginning = "Membership has no sequence of length {}: lengths are those with members and others: "
    for length, ending in (
        (12, f"members of length 12 are too rare to be drawn {FEW}"),
        (8, "the language has no member of length 8"),
    ):
        with pytest.raises(InvalidArgument, match=f"^{re.escape(beginning.format(length) + ending)}$"):
            task.sample_lengths([length], np.random.default_rng(0))
    for function, message in (
        (is_abc, f"members of lengths 20 to 22 are too rare to be drawn {FEW}"),
        (lambda text: not is_abc(text), f"non-members of lengths 20 to 22 are too rare to be drawn {ALL}"),
    ):
        with pytest.raises(InvalidArgument, match=f"^{re.escape(message)}$"):
            Membership("abc", function, length_min=20, length_max=22)


def test_rare_members_need_a_function_that_draws_them():
    squares = Predicate("ab", is_palindrome)
    with pytest.raises(InvalidArgument, match="a function `draw` can draw them"):
        squares.draw_members(np.array([40]), np.random.default_rng(0))

    def draw(length, rng):
        if length % 2:
            return None
        half = "".join(rng.choice(list("ab"), length // 2))
        return half + half[::-1]

    drawn = Membership("ab", lambda s: s == s[::-1], draw, length_min=40, length_max=40).sample(
        20, np.random.default_rng(0)
    )
    assert 0 < drawn.labels.sum() < 20


# --- labels of files


def test_wrong_labels_are_found():
    strings = ["0 1 1 = 0 1", "1 =", "0 = 0", "1 1 = 1"]
    check = check_labels([string.split() for string in strings], ["1", "1", "0", "1"], flare("compute-sqrt"))
    assert (check.total, check.members) == (4, 3)
    assert check.places.tolist() == [1, 2]
    assert check.strings == ("1=", "0=0")
    assert check.table(most=1).rows() == [{"line": 2, "length": 2, "label": "1", "string": "1="}]


@pytest.mark.parametrize(
    ("strings", "labels", "given", "message"),
    [
        (["1"], ["1", "0"], {}, "a label for each of 1 strings, but there are 2"),
        (["1", "2"], ["1", "0"], {}, "string 2: '2' is not a symbol of the language: these are 0 1"),
        (["1", "0"], ["odd", "even"], {}, "say which label members have: 'even' may or may not be theirs"),
        (["1", "0"], ["odd", "even"], {"member": "Odd"}, "no string has the label 'Odd': labels are even, odd"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(strings, labels, given, message):
    with pytest.raises(InvalidArgument, match=message):
        check_labels(strings, labels, flare("parity"), **given)


def test_files_of_flare_and_of_mlregtest_are_read_directly(tmp_path):
    folder = tmp_path / "parity"
    folder.mkdir()
    (folder / "main.tok").write_text("1 0 1\n\n1\n")
    (folder / "labels.txt").write_text("1\n0\n1\n")
    flares = read_sequences(folder / "main.tok")
    assert [list(string) for string in flares.sequences] == [["1", "0", "1"], [], ["1"]]
    assert flares.labels.tolist() == ["1", "0", "1"]
    assert Experiment(data=folder / "main.tok").source.settings.labels == str(folder / "labels.txt")
    tabbed = tmp_path / "Train.txt"
    tabbed.write_text("abA\tTRUE\nbb\tFALSE\n")
    mlregtest = read_sequences(tabbed)
    assert [list(string) for string in mlregtest.sequences] == [["a", "b", "A"], ["b", "b"]]
    assert mlregtest.labels.tolist() == ["TRUE", "FALSE"]
    assert Experiment(data=tabbed).source.settings.labels is None
    tabbed.write_text("abA\tTRUE\nbb\n")
    with pytest.raises(DataError, match=r"line 2: no tab followed by a label"):
        read_sequences(tabbed)


# --- tasks by name and their first setting


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("regular:(ab|ba)*", Regular("(ab|ba)*")),
        ("context-free:S -> a S b | ", ContextFree("S -> a S b | ")),
        ("tomita:3", Tomita(3)),
        ("flare:compute-sqrt", Flare("compute-sqrt")),
        ("deepmind:bucket-sort", DeepMind("bucket-sort")),
    ],
)
def test_a_task_name_can_contain_its_first_setting(name, task):
    experiment = Experiment(task=name)
    assert experiment.source.settings.make() == task
    assert Experiment.read(experiment.to_dict()) == experiment
    assert Experiment(task=task) == experiment


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tomita:three", "number must be an integer, not 'three'"),
        ("next-character:x", "length_min must be an integer, not 'x'"),
        ({"name": "tomita:3", "number": 4}, "task tomita:3 says number already"),
        ("tomata:3", "task must be one of|did you mean"),
        ("regular", "pattern"),
    ],
)
def test_a_first_setting_must_fit_its_task(given, message):
    with pytest.raises(InvalidArgument, match=message):
        Experiment(task=given)


# --- DeepMind's tasks

ANSWERS = {
    "even-pairs": ("0110", "0"),
    "parity-check": ("01101", "1"),
    "cycle-navigation": ("<<=>>>>", "2"),
    "modular-arithmetic": ("3-2*4", "0"),
    "modular-arithmetic-brackets": ("((-3)*(2-4))", "1"),
    "solve-equation": ("(-x+2)=1", "1"),
    "missing-duplicate": ("01_011 ", "1"),
    "reverse-string": ("0011", "1100"),
    "stack-manipulation": ("0110!vv", "110e----"),
    "duplicate-string": ("011", "011011"),
    "odds-first": ("00110", "01010"),
    "binary-addition": ("001+01101", "01011e----"),
    "binary-multiplication": ("11*101", "1111e-"),
    "compute-sqrt": ("10110", "100"),
    "bucket-sort": ("421302", "012234"),
}


@pytest.mark.parametrize("name", DEEPMIND)
def test_answers_to_strings(name):
    task = DeepMind(name)
    string, answer = ANSWERS[name]
    blanks = "." * len(answer) if task.per_step else ""
    tokens = [task.symbol_names.index(symbol) for symbol in string + blanks]
    count = len(tokens) if task.per_step else 1
    given = Sequences(tokens, [0, len(tokens)], np.zeros(count, dtype=int), task.dim_input, per_step=task.per_step)
    truth = task.truth(given).tolist()
    said = "".join("-" if place < 0 else task.class_names[place] for place in truth)
    assert said == ("-" * len(string) if task.per_step else "") + answer
    drawn = task.sample(200, 0)
    assert set(drawn.lengths.tolist()) <= set(task.lengths.tolist())
    assert np.array_equal(np.maximum(task.truth(drawn), 0), drawn.targets)
    assert len(task.twice_as_long().lengths) > len(task.lengths)
    with pytest.raises(InvalidArgument, match="has no sequence of length 0"):
        task.sample_lengths([0], 0)


@pytest.mark.parametrize(
    ("name", "string"),
    [
        ("missing-duplicate", "0000"),
        ("missing-duplicate", "01_110"),
        ("missing-duplicate", "0_0_"),
        ("solve-equation", "x+1"),
        ("modular-arithmetic", "1++"),
    ],
)
def test_invalid_strings_are_refused(name, string):
    task = DeepMind(name)
    tokens = [task.symbol_names.index(symbol) for symbol in string]
    with pytest.raises(InvalidArgument, match=r"are not a string of this task|is not an expression"):
        task.truth(Sequences(tokens, [0, len(tokens)], [0], task.dim_input))


@pytest.mark.parametrize(
    ("name", "length", "pattern"),
    [
        ("modular-arithmetic", 3, "[0-4][-+*][0-4]"),
        ("missing-duplicate", 4, r"_([01])[01]\1|([01])_\2[01]|[01]([01])_\3|([01])[01]\4_"),
        ("missing-duplicate", 3, "(_[01]|[01]_) "),
        ("stack-manipulation", 3, r"[01][01]?[v!^]+"),
        ("stack-manipulation", 1, "[01]"),
        ("binary-addition", 4, r"[01]+\+[01]+"),
        ("binary-multiplication", 3, r"[01]\*[01]"),
    ],
)
def test_every_input_of_a_length_is_drawn(name, length, pattern):
    task = DeepMind(name, string_min=length, string_max=length)
    drawn = task.sample(1000, 0)
    names = np.array(task.symbol_names)[drawn.values]
    found = {"".join(names[begin : begin + length]) for begin in drawn.offsets[:-1].tolist()}
    texts = map("".join, itertools.product(set(task.symbol_names) - {"."}, repeat=length))
    assert found == {text for text in texts if re.fullmatch(pattern, text)}


def test_expressions_evaluate_as_in_python():
    rng = np.random.default_rng(0)
    for length in [*range(1, 40)] * 5:
        text = draw_expression(length, "+-*", rng)
        assert len(text) == length
        assert value_of(text) == str(eval(text) % 5)
    for wrong in ("", "1+", "1 2", "(1", "1)", "()", "+1", "1**2"):
        with pytest.raises(InvalidArgument, match="is not an expression"):
            value_of(wrong.replace(" ", ""))


@pytest.mark.long
def test_a_network_learns_a_language_and_a_transduction():
    follows = Regular("(ab)*", objective="next_symbols", length_max=10)
    for task in (Tomita(1, length_max=10), DeepMind("reverse-string", string_max=2), follows):
        per_step = getattr(task, "per_step", False)
        model = Stacked(task.dim_input, 24, task.dim_output, layers=1, per_step=per_step, rng=0)
        optimizer = Adam(model.parameters, learning_rate=0.01)
        train(model, task, optimizer, batch_size=32, iterations=600, progress=False)
        assert evaluate(model, task, 500, progress=False).mean_accuracy > 0.95


# --- predicting what follows


def test_targets_of_each_step():
    task = Regular("ab|b", objective="next_symbol", length_max=3)
    assert (task.symbol_names, task.class_names) == (("a", "b", "^"), ("a", "b", "$"))
    assert task.lengths.tolist() == [2, 3]
    strings = Sequences([2, 0, 1, 2, 1], [0, 3, 5], np.zeros(5, dtype=int), 3, per_step=True)
    assert task.truth(strings).tolist() == [0, 1, 2, 1, 2]
    several = Regular("ab|b", objective="next_symbols", length_max=3)
    truth = [[True, True, False], [False, True, False], [False, False, True]]
    assert several.truth(strings).tolist() == [*truth, truth[0], truth[2]]
    for each in (task, several):
        drawn = each.sample(100, 0)
        assert np.array_equal(each.truth(drawn), drawn.targets)
        assert set(drawn.lengths.tolist()) == {2, 3}
        assert each.sample_lengths([3, 2], 0).lengths.tolist() == [3, 2]
        with pytest.raises(InvalidArgument, match="has no sequence of length 5: lengths are one more than those of"):
            each.sample_lengths([5], 0)
        with pytest.raises(InvalidArgument, match=r"must begin with the start \^, and have it nowhere else"):
            each.truth(Sequences([0, 1], [0, 2], np.zeros(2, dtype=int), 3, per_step=True))
    no_member = Sequences([2, 0], [0, 2], np.zeros(2, dtype=int), 3, per_step=True)
    assert task.truth(no_member).tolist() == [0, -1]
    with pytest.raises(InvalidArgument, match="must hold members of the language"):
        several.truth(no_member)
    with pytest.raises(InvalidArgument, match="it is not known which symbols may follow in this language"):
        Membership("ab", lambda text: True, objective="next_symbols")


GRAMMARS = {
    "nested": "S -> a S b |",
    "ambiguous and left-recursive": "S -> S S | a S b | a b",
    "symbols only": "S -> a | b",
    "palindromes": "S -> a S a | b S b | a | b |",
    "empty parts": "S -> A B; A -> a A |; B -> b B b | c |",
}


@pytest.mark.parametrize("name", most_are_long([*LANGUAGES, *GRAMMARS], 4))
def test_symbols_that_may_follow_are_those_that_follow_in_some_member(name):
    language = Grammar(GRAMMARS[name]) if name in GRAMMARS else LANGUAGES[name][0].language
    longest = max(n for n in range(13) if len(language.symbols) ** n <= 70_000)
    known = [row for n in range(longest + 1) for row in members(language, n).tolist()]
    follows = {}
    for row in known:
        for size in range(len(row) + 1):
            follows.setdefault(tuple(row[:size]), set()).add(row[size] if size < len(row) else "end")
    short = [row for row in known if len(row) <= max(longest // 2 - 1, 2)][:200]
    found = language.followers(
        np.array([*itertools.chain(*short)], dtype=np.int32), offsets_of([len(row) for row in short])
    )
    rows = iter(found.tolist())
    for row in short:
        for size in range(len(row) + 1):
            *symbols, end = next(rows)
            said = {token for token, may in enumerate(symbols) if may} | ({"end"} if end else set())
            assert said == follows[tuple(row[:size])]


def test_several_classes_at_once_are_right_if_all_are():
    task = Regular("ab|b", objective="next_symbols", length_max=3)

    class Knows:
        """Predicts what may follow, but not that an a may come first."""

        def __init__(self):
            self.after = mg.tensor(np.array([[-9, 9, -9], [-9, -9, 9], [-9, 9, -9]], dtype=np.float32))
            self.parameters = (self.after,)

        def __call__(self, x):
            return mg.matmul(x, self.after)

    report = evaluate(Knows(), task, 300, engine="mygrad", progress=False)
    assert report.each == "step"
    assert report.class_names == ()
    assert report.accuracy.tolist() == pytest.approx([1 / 2, 2 / 3])
    assert report.chance == 1 / 8
    assert report.whole_accuracy == 0
