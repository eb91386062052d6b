"""Loss and gradients by MyGrad in float64 and by central differences, to compare compiled models with."""

import mygrad as mg
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from myrnn.sequences import Sequences

# The tolerance of compiled numbers, relative to the largest number of their kind.
TOLERANCE = 2e-4


class in_double:
    """Convert the parameters to float64, and back."""

    def __init__(self, model):
        self.parameters = tuple(model.parameters)

    def __enter__(self):
        self.single = [p.data for p in self.parameters]
        for p in self.parameters:
            p.data = p.data.astype(np.float64)

    def __exit__(self, *_):
        for p, data in zip(self.parameters, self.single, strict=True):
            p.null_grad()
            p.data = data


def by_mygrad(model, x, labels):
    """Return loss and gradients of one sequence, in float64."""
    with in_double(model):
        loss = softmax_crossentropy(model(x.astype(np.float64)), np.atleast_1d(labels))
        value = loss.item()
        loss.backward()
        return value, [np.zeros(p.shape) if p.grad is None else p.grad.copy() for p in model.parameters]


def by_differences(model, x, labels, step=1e-5):
    """Return the gradients of one sequence by central differences, in float64."""

    def loss():
        with mg.no_autodiff:
            return softmax_crossentropy(model(x.astype(np.float64)), np.atleast_1d(labels)).item()

    with in_double(model):
        found = []
        for parameter in model.parameters:
            gradient = np.zeros(parameter.shape)
            for place in np.ndindex(parameter.shape):
                middle = parameter.data[place]
                parameter.data[place] = middle + step
                above = loss()
                parameter.data[place] = middle - step
                below = loss()
                parameter.data[place] = middle
                gradient[place] = (above - below) / (2 * step)
            found.append(gradient)
        return found


def drawn(model, lengths, dim_input, seed=0, per_step=False):
    """Return sequences of normal numbers; the label, of each sequence or step, is the model's least likely class.

    The gradients of a right answer are mostly rounding.
    """
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(length, dim_input)).astype(np.float32) for length in lengths]
    labels = [model(x).data.argmin(axis=1) for x in rows]
    return Sequences.from_pairs(list(zip(rows, labels, strict=True)), per_step=per_step)


def mean_by_mygrad(model, sequences):
    """Return the mean loss of sequences, or of all their steps, and its gradients."""
    losses, gradients = zip(*(by_mygrad(model, x, labels) for x, labels in sequences), strict=True)
    weights = sequences.counted / sequences.counted.sum()
    return weights @ losses, [np.tensordot(weights, each, 1) for each in zip(*gradients, strict=True)]


def compiled_mean(compiled, sequences, batched):
    """Return the mean loss and its gradients by a compiled program."""
    native = compiled.native(tokens=sequences.is_tokens, batched=batched)
    compiled.guard.check_lengths(sequences)
    numbers = native.block_of([p.data for p in compiled.model.parameters]).numbers
    # Values that earlier calls left in its memory are set to NaN.
    native.forget()
    loss, block = native.gradients(sequences, np.arange(len(sequences)), numbers)
    found = [np.empty(p.shape, dtype=np.float32) for p in compiled.model.parameters]
    for i, gradient in enumerate(found):
        block.read(i, gradient)
    return loss, found


def difference(ours, theirs, tolerance=TOLERANCE):
    """Return in words where loss or gradients differ, or None."""
    (loss, gradients), (true_loss, true_gradients) = ours, theirs
    if not abs(loss - true_loss) <= tolerance * (1 + abs(true_loss)):
        return f"the loss is {loss}, not {true_loss}"
    scale = max(np.abs(gradient).max(initial=0) for gradient in true_gradients)
    for i, (gradient, true) in enumerate(zip(gradients, true_gradients, strict=True)):
        # A sum that cancels has a rounding error of the size of its terms, not of its result.
        allowed = tolerance * (2 * np.abs(true).max(initial=0) + 0.1 * scale) + 1e-7
        off = np.abs(gradient - true).max(initial=0)
        if not off <= allowed:
            return f"the gradient of parameter {i} is off by {off:.3g}, of {np.abs(true).max():.3g} at most"
    return None


def disagreement(compiled, groups, tolerance=TOLERANCE):
    """Return in words where a compiled model differs from MyGrad on groups of lengths, or None.

    A group of one length is run one sequence at a time, others as a batch.
    """
    model = compiled.model
    for seed, lengths in enumerate(groups):
        sequences = drawn(model, lengths, compiled.dim_input, seed, compiled.per_step)
        true = mean_by_mygrad(model, sequences)
        told = difference(compiled_mean(compiled, sequences, len(lengths) > 1), true, tolerance)
        if told is None and len(lengths) == 1:
            told = difference(compiled.loss_and_gradients(*sequences[0]), true, tolerance)
        if told:
            return f"on sequences of {lengths} steps {told}"
    return None
