"""Looking inside a trained model: its states, its probabilities step by step, the flow of its gradients."""

from myrnn.inspection._eigenvalues import RecurrentEigenvalues, recurrent_eigenvalues
from myrnn.inspection._flow import GradientFlow, gradient_flow
from myrnn.inspection._given import parse_tokens
from myrnn.inspection._incoming import incoming_weights
from myrnn.inspection._one import Inspection, inspect
from myrnn.inspection._space import StateSpace, state_space

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
