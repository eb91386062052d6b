"""Truncated training, op by op in MyGrad, with states passed on by hand.

A model has `begin()`, the states before a sequence, and `going_on(x, states, first)`, the logits of further rows and
the states after them; `first` is the number of the first row.
"""

import mygrad as mg
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy


def by_mygrad(model, sequences, streams, steps, iterations, optimizer_of, seed=5):
    """Train a model on windows of so many steps of several streams; return the losses."""
    optimizer, rng, losses = optimizer_of(model.parameters), np.random.default_rng(seed), []
    left, places = [], [(model.begin(), 0, 0, 0)] * streams
    for _ in range(iterations):
        for parameter in model.parameters:
            parameter.null_grad()
        outputs, targets = [], []
        for i, (states, first, begin, end) in enumerate(places):
            if begin >= end:
                left = left or list(rng.permutation(np.flatnonzero(sequences.lengths)))
                states, first, (begin, end) = model.begin(), 0, sequences.offsets[left[0] : left[0] + 2]
                left.pop(0)
            some = slice(begin, min(begin + steps, end))
            x = np.eye(sequences.dim_input, dtype=np.float32)[sequences.values[some]]
            logits, states = model.going_on(x, states, first)
            places[i] = [np.array(state) for state in states], first + len(x), some.stop, end
            outputs.append(logits)
            targets.append(sequences.targets[some])
        loss = softmax_crossentropy(mg.concatenate(outputs), np.concatenate(targets))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
