"""Extraction of an automaton from a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from myrnn import _checks
from myrnn.evaluation.classify import as_tested
from myrnn.inspection.automata.extracted import ExtractedAutomaton, ExtractionLog
from myrnn.inspection.automata.learn import BOTH, EQUIVALENCES, WORDS, Equivalence, cluster, learn, needed
from myrnn.inspection.automata.search import LONGEST, Trials
from myrnn.inspection.automata.teacher import Teacher
from myrnn.tasks.languages.automata import Dfa

LSTAR, CLUSTERS = "lstar", "clusters"
METHODS = (LSTAR, CLUSTERS)


def extract_automaton(
    model: Any,
    alphabet: Any,
    *,
    method: str = LSTAR,
    equivalence: str = BOTH,
    accept: int | None = None,
    examples: Any = (),
    max_length: int = 20,
    samples: int = 3_000,
    seconds: float = 60.0,
    max_states: int = 200,
    seed: int = 0,
) -> ExtractedAutomaton:
    """Extract a deterministic finite automaton from a network that accepts or rejects sequences of symbols.

    With ``"lstar"`` Angluin's algorithm queries the network about strings, proposes an automaton, and extends it as
    long as there is a string on which the two differ. Such a string is found by one of these methods, or both:

    - ``"states"``: the states of network and automaton are followed side by side. The network's state space is divided
      into cells, which are split when the two do not match (Weiss, Goldberg and Yahav, 2018). It finds rare strings,
      including long ones.
    - ``"words"``: all short strings, those of the W-method, and random ones, including strings that the automaton
      accepts, or accepts except for one symbol. If N random strings show no difference, the two differ, with 95%
      confidence, on less than 3 of N such strings.

    With ``"clusters"`` the states of the network are grouped by k-means, and each group becomes a state of the
    automaton. The number of groups grows until no short or random string shows a difference (Omlin and Giles, 1996).

    With both methods, the last test is that of `ExtractedAutomaton.agreement`: up to 1,000 strings of each of about 20
    lengths up to `max_length`. If it finds a difference, the search continues. So an automaton is called complete only
    if that table shows no difference, and the result says up to which length and on how many strings.

    The model is not changed. If a network has learned a language that is not regular, or has not learned one exactly,
    there is no small automaton: the automata then grow until a limit is reached, and the result has all of them.

    Parameters
    ----------
    model : callable, CompiledModel or Language
        A model with one output for each sequence, logits (1, K). If it compiles, it may have one for each step, (T, K):
        the last one counts, and the empty string is rejected. With two classes, 0 means rejected and 1 accepted. A
        language, such as one of `myrnn.tasks`, can be queried in the same way.
    alphabet : iterable of str, or mapping of str to int
        The names of the model's symbols 0, 1 and so on; or some of its symbols by name.
    method : {"lstar", "clusters"}
        ``"lstar"`` needs AALpy, which the extra ``automata`` of MyRNN installs.
    equivalence : {"both", "states", "words"}
        How ``"lstar"`` searches for differences. A model that cannot be run step by step has no states to follow: then
        ``"both"`` means ``"words"``.
    accept : int, optional
        The class of accepted strings; required with more than two classes.
    examples : task, Sequences or iterable of str, optional
        Strings that are tested first, such as the training data. Accepted strings may be so rare that none is found
        without examples.
    max_length : int
        The maximum length of random strings, at most 10,000.
    samples : int
        The number of random strings, of random lengths, that are tested for each automaton.
    seconds : float
        The time limit; compiling the model does not count.
    max_states : int
        The search ends when the automaton, or the number of clusters, exceeds this.
    seed : int
        Seed of the random strings.

    Returns
    -------
    ExtractedAutomaton

    Raises
    ------
    InvalidArgument
        When an argument is invalid, the model has another kind of output, or AALpy is not installed.
    NotFinite
        When the model's logits for a string are not finite.

    References
    ----------
    Angluin, "Learning regular sets from queries and counterexamples", 1987.
    Weiss, Goldberg and Yahav, "Extracting automata from recurrent neural networks using queries and counterexamples",
    2018.
    Omlin and Giles, "Extraction of rules from discrete-time recurrent neural networks", 1996.

    Examples
    --------
    >>> from myrnn.tasks import Tomita
    >>> language = Tomita(4).language
    >>> found = extract_automaton(language, "01")
    >>> found.dfa, found.complete, [(one.states, one.counterexample) for one in found.hypotheses]
    (Dfa(4 states over 0 1), True, [(1, '000'), (4, None)])
    >>> found.agreement(language)
    Agreement(100.00% of 12,023 strings with the truth)
    """
    _checks.one_of("method", method, METHODS)
    _checks.one_of("equivalence", equivalence, EQUIVALENCES)
    if method == LSTAR:
        needed()
    longest = _checks.integer("max_length", max_length, minimum=1, maximum=LONGEST)
    count = _checks.integer("samples", samples, minimum=1)
    limit = _checks.real("seconds", seconds, above=0.0)
    most = _checks.integer("max_states", max_states, minimum=1)
    source = _checks.integer("seed", seed, minimum=0)
    model, examples = as_tested(model, examples)
    teacher = Teacher(model, alphabet, accept)
    trials = Trials(teacher, examples, count, longest, source)
    prepared = Equivalence(trials, equivalence) if method == LSTAR else None
    teacher.warm_up(follow_states=method == CLUSTERS or equivalence != WORDS)
    log = ExtractionLog(teacher)
    teacher.stop_after(limit)
    if prepared is not None:
        dfa, stopped = learn(teacher, prepared, log, most)
    else:
        dfa, stopped = cluster(trials, log, most)
    if dfa is None:
        # There was not enough time for a single hypothesis.
        teacher.stop_after(float("inf"))
        dfa = Dfa(teacher.symbols, [[0] * len(teacher.symbols)], [teacher.accepts_one(())])
        log.add(dfa)
    return ExtractedAutomaton(
        dfa=dfa.minimal(),
        hypotheses=log.hypotheses,
        queries=teacher.queries,
        seconds=log.seconds,
        complete=stopped is None,
        max_length=longest,
        tested=trials.tested if stopped is None else 0,
        stopped=stopped,
        method=method,
        name=teacher.name,
        alphabet=dict(alphabet) if isinstance(alphabet, Mapping) else teacher.symbols,
        accept=teacher.accept,
    )
