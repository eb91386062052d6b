"""A recurrent model, compiled.

before the first step:
    h = 0
for every x:
    h = relu(x @ fc_x2h.weight + fc_x2h.bias + h @ fc_h2h.weight)
after the last step:
    logits = h @ fc_h2y.weight + fc_h2y.bias
"""

import numpy as np

from myrnn.compiler.runtime.elementary import above, relu
from myrnn.compiler.runtime.functions import Floats, Integers, Tokens
from myrnn.compiler.runtime.lanes import keep, load, store
from myrnn.compiler.runtime.products import add_dots, cross_entropy, fill, multiply, multiply_row, transpose
from myrnn.compiler.runtime.threads import flush_subnormals, restore_mode


def run(
    tokens: Tokens, begin: int, steps: int, member: int, keys: Integers, labels: Integers, targets: Floats,
    weights: Floats, class_weights: Floats, streams: Integers, carried: Floats, share: np.float32, learn: bool,
    p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens,
) -> tuple[float, float]:
    """Run the sequence `member`; with `learn`, add the gradients of all parameters to `g`, else only the logits.

    `myrnn.compiler.runtime.training` calls this in every iteration. Return two sums: of the weighted losses, and of the
    scores of what counts, such as 1 for a class that was right. Each loss counts for `share` in the gradients.
    """
    # sizes
    K = sizes[1]
    D = sizes[2]
    D_padded = sizes[3]
    K_padded = sizes[4]
    # offsets of the parameters in p, and of their gradients in g
    fc_x2h_weight = sizes[5]
    fc_x2h_bias = sizes[6]
    fc_h2h_weight = sizes[7]
    fc_h2y_weight = sizes[8]
    fc_h2y_bias = sizes[9]
    # offsets of everything else in w
    h = sizes[10]
    d_h = sizes[11]
    logits = sizes[12]
    d_logits = sizes[13]
    h_sum = sizes[14]
    d_h_sum = sizes[15]
    fc_h2h_weight_transposed = sizes[16]
    mode = flush_subnormals()

    # The states before the first step.
    # h = 0
    for j in range(0, D_padded, 16):
        store(w, h + j, 0.0)

    # Forward, step by step.
    for t in range(steps):
        x = tokens[begin + t]
        # h_sum = x @ fc_x2h.weight + fc_x2h.bias
        for j in range(0, D_padded, 16):
            store(w, h_sum + j, load(p, fc_x2h_weight + x * D_padded + j) + load(p, fc_x2h_bias + j))
        # h_sum += h @ fc_h2h.weight
        if t > 0:
            multiply_row(w, h_sum, w, h + t * D_padded, p, fc_h2h_weight, D_padded, D, D_padded, True)
        # h = relu(h_sum)
        for j in range(0, D_padded, 16):
            h_j = relu(load(w, h_sum + j))
            store(w, h + (t + 1) * D_padded + j, keep(h_j, D - j))

    # The readout, the loss, and the gradient of the logits.
    # logits = fc_h2y.bias
    for j in range(0, K_padded, 16):
        store(w, logits + j, load(p, fc_h2y_bias + j))
    # logits += h @ fc_h2y.weight
    add_dots(w, logits, w, h + steps * D_padded, p, fc_h2y_weight, D_padded, K, D_padded)
    loss, score = 0.0, 0.0
    if not learn:
        restore_mode(mode)
        return loss, score
    place = member
    label = labels[place]
    weight = class_weights[label] * weights[place]
    one_loss, best = cross_entropy(w, logits, K, label, w, d_logits, share * weight)
    score += int(best == label and weights[place] > 0)
    if weight > 0:
        loss += one_loss * weight
    else:
        fill(w, d_logits, d_logits + K_padded, 0.0)

    # Weights in the layout of the backward pass.
    transpose(w, fc_h2h_weight_transposed, D_padded, p, fc_h2h_weight, D_padded, D, D_padded)

    # Back through the readout.
    # d_h = d_logits @ fc_h2y.weight.T
    multiply_row(w, d_h + steps * D_padded, w, d_logits, p, fc_h2y_weight, D_padded, K, D_padded, False)
    # d_fc_h2y_bias += d_logits
    for j in range(0, K_padded, 16):
        store(g, fc_h2y_bias + j, load(g, fc_h2y_bias + j) + keep(load(w, d_logits + j), K - j))
    # d_fc_h2y_weight += (h.T @ d_logits).T
    multiply(g, fc_h2y_weight, D_padded, w, d_logits, 1, K_padded, w, h + steps * D_padded, D_padded, K, 1, D_padded,
        True)

    # Back through time, the last step first.
    for t in range(steps - 1, -1, -1):
        x = tokens[begin + t]
        # d_h_sum = d_h * (h > 0); d_fc_x2h_weight += d_h_sum; d_fc_x2h_bias += d_h_sum
        for j in range(0, D_padded, 16):
            d_h_sum_j = load(w, d_h + (t + 1) * D_padded + j) * above(load(w, h + (t + 1) * D_padded + j), 0.0)
            store(w, d_h_sum + t * D_padded + j, keep(d_h_sum_j, D - j))
            store(g, fc_x2h_weight + x * D_padded + j,
                load(g, fc_x2h_weight + x * D_padded + j) + keep(d_h_sum_j, D - j))
            store(g, fc_x2h_bias + j, load(g, fc_x2h_bias + j) + keep(d_h_sum_j, D - j))
        # d_h = d_h_sum @ fc_h2h.weight.T
        if t > 0:
            multiply_row(w, d_h + t * D_padded, w, d_h_sum + t * D_padded, w, fc_h2h_weight_transposed, D_padded, D,
                D_padded, False)
    # d_fc_h2h_weight += h.T @ d_h_sum
    multiply(g, fc_h2h_weight, D_padded, w, h + 1 * D_padded, 1, D_padded, w, d_h_sum + 1 * D_padded, D_padded, D,
        steps - 1, D_padded, True)
    restore_mode(mode)
    return loss, score
