"""All errors that the library raises.

All of them are :class:`MyRNNError`, so one ``except`` clause separates mistakes that MyRNN recognises from faults
inside it.
"""


class MyRNNError(Exception):
    """The base of all errors that MyRNN raises on purpose."""


class InvalidArgument(MyRNNError, ValueError):
    """An argument is not what the function takes; the message says what was given and what is expected."""


class NotFinite(InvalidArgument):
    """A model predicts no class because its logits are not finite."""


class DataError(MyRNNError, ValueError):
    """A file of sequences cannot be read; the message names the file, the line if there is one, and the reason."""


class RunError(MyRNNError):
    """A run folder is missing, incomplete, damaged or of a format version that cannot be read."""


class CompileError(MyRNNError):
    """A model cannot be compiled to native code."""


class NotARecurrence(CompileError):
    """The model does not run the same step over the whole sequence."""


class UnsupportedOperation(CompileError):
    """The model uses an operation that the compiler does not support."""


class NotDeterministic(CompileError):
    """Two calls of the model on the same sequence differ."""


class TrainingDiverged(MyRNNError):
    """The loss, the weights or the state of the optimizer are no longer finite."""
