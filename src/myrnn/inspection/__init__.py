"""Inspection of trained models.

`one` follows one sequence: states, probabilities step by step, gradients. `many` does so for many sequences, and
`weights` examines the matrices. `automata` extracts an automaton.
"""

from myrnn.inspection.automata import Agreement, ExtractedAutomaton, Hypothesis, extract_automaton
from myrnn.inspection.many import GradientFlow, StateSpace, gradient_flow, state_space
from myrnn.inspection.one import Inspection, inspect
from myrnn.inspection.weights import RecurrentEigenvalues, incoming_weights, recurrent_eigenvalues

__all__ = [
    "Agreement",
    "ExtractedAutomaton",
    "GradientFlow",
    "Hypothesis",
    "Inspection",
    "RecurrentEigenvalues",
    "StateSpace",
    "extract_automaton",
    "gradient_flow",
    "incoming_weights",
    "inspect",
    "recurrent_eigenvalues",
    "state_space",
]
