"""Every kind of error that the library raises.

All of them are :class:`MyRNNError`, so one ``except`` clause tells a mistake that MyRNN recognised from a fault
inside it.
"""


class MyRNNError(Exception):
    """The root of all errors that MyRNN raises on purpose."""


class InvalidArgument(MyRNNError, ValueError):
    """An argument is not what the function takes; the message says what was given and what is wanted."""


class NotFinite(InvalidArgument):
    """A model predicts no class, because its logits are not finite."""


class DataError(MyRNNError, ValueError):
    """A file of sequences cannot be read; the message says which file, where there is one which line, and why."""


class RunError(MyRNNError):
    """A run folder is missing, incomplete, damaged or of a version that this one cannot read."""


class CompileError(MyRNNError):
    """A model cannot be compiled to native code."""


class NotARecurrence(CompileError):
    """The model does not run the same step over the whole sequence."""


class UnsupportedOperation(CompileError):
    """The model uses an operation that has no rule in the compiler's tables."""


class NotDeterministic(CompileError):
    """Two calls of the model on the same sequence differ."""


class TrainingDiverged(MyRNNError):
    """The loss of a training, its weights, or what its optimizer remembers, are no longer finite numbers."""
