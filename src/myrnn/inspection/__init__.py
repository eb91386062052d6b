"""Looking inside a trained model.

`one` follows one sequence: states, probabilities step by step, gradients. `many` gathers these over many sequences, and
`weights` looks at the matrices.
"""

from myrnn.inspection.many import GradientFlow, StateSpace, gradient_flow, state_space
from myrnn.inspection.one import Inspection, inspect, parse_tokens
from myrnn.inspection.weights import RecurrentEigenvalues, incoming_weights, recurrent_eigenvalues

__all__ = [
    "GradientFlow",
    "Inspection",
    "RecurrentEigenvalues",
    "StateSpace",
    "gradient_flow",
    "incoming_weights",
    "inspect",
    "parse_tokens",
    "recurrent_eigenvalues",
    "state_space",
]
