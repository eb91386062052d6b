"""The automaton in a trained network, by asking the network about strings, or from clusters of its states.

`teacher` says which strings a network accepts, and where its states go. `words` and `states` look for a string on
which a network and an automaton differ; `extracted` has the results; `learn` and `clusters` make automata, and
`extract` has the function that users call.
"""

from myrnn.inspection.automata.extract import extract_automaton
from myrnn.inspection.automata.extracted import Agreement, ExtractedAutomaton, Hypothesis

__all__ = ["Agreement", "ExtractedAutomaton", "Hypothesis", "extract_automaton"]
