"""Extraction of automata from trained networks, by queries about strings or from clusters of states.

`teacher` answers which strings a network accepts, and where its states go. `search` looks for a string on which a
network and an automaton differ; `extracted` has the results; `learn` makes automata, and `extract` has
the public function.
"""

from myrnn.inspection.automata.extract import extract_automaton
from myrnn.inspection.automata.extracted import Agreement, ExtractedAutomaton, Hypothesis

__all__ = ["Agreement", "ExtractedAutomaton", "Hypothesis", "extract_automaton"]
