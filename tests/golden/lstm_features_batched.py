"""A recurrent model, compiled.

before the first step:
    c = 0
    h = 0
for every x:
    i = sigmoid(x @ fc_x2i.weight + fc_x2i.bias + h @ fc_h2i.weight)
    f = sigmoid(x @ fc_x2f.weight + fc_x2f.bias + h @ fc_h2f.weight)
    o = sigmoid(x @ fc_x2o.weight + fc_x2o.bias + h @ fc_h2o.weight)
    g = tanh(x @ fc_x2g.weight + fc_x2g.bias + h @ fc_h2g.weight)
    c' = f * c + i * g
    h' = o * tanh(c')
after the last step:
    logits = h @ fc_h2y.weight + fc_h2y.bias
"""

import numpy as np

from myrnn.compiler.runtime.elementary import sigmoid, tanh
from myrnn.compiler.runtime.functions import Floats, Integers, Tokens
from myrnn.compiler.runtime.lanes import keep, load, store
from myrnn.compiler.runtime.moves import copy, line_up
from myrnn.compiler.runtime.products import add_dots, cross_entropy, fill, multiply, transpose
from myrnn.compiler.runtime.threads import flush_subnormals, restore_mode


def run(
    features: Floats, offsets: Integers, labels: Integers, targets: Floats, weights: Floats, class_weights: Floats,
    streams: Integers, carried: Floats, batch: Integers, begin: int, end: int, keys: Integers, share: np.float32,
    learn: bool, p: Floats, g: Floats, w: Floats, sizes: Integers, tables: Tokens, start: Integers, lined: Tokens,
) -> tuple[float, float]:
    """Run a micro-batch, the longest sequence first; with `learn`, add the gradients to `g`, else only logits.

    `myrnn.compiler.runtime.training` calls this for all micro-batches of a batch, in order. Return two sums: of the
    weighted losses, and of the scores of what counts, such as 1 for a class that was right. Each loss counts for
    `share` in the gradients.
    """
    members, sequences = batch[begin:end], end - begin
    steps = line_up(start, lined, offsets, members)
    total = start[steps]
    # sizes
    C = sizes[0]
    K = sizes[1]
    D = sizes[2]
    D_padded = sizes[3]
    C_padded = sizes[4]
    K_padded = sizes[5]
    # offsets of the parameters in p, and of their gradients in g
    fc_x2i_weight = sizes[6]
    fc_x2i_bias = sizes[7]
    fc_h2i_weight = sizes[8]
    fc_x2f_weight = sizes[9]
    fc_x2f_bias = sizes[10]
    fc_h2f_weight = sizes[11]
    fc_x2o_weight = sizes[12]
    fc_x2o_bias = sizes[13]
    fc_h2o_weight = sizes[14]
    fc_x2g_weight = sizes[15]
    fc_x2g_bias = sizes[16]
    fc_h2g_weight = sizes[17]
    fc_h2y_weight = sizes[18]
    fc_h2y_bias = sizes[19]
    # offsets of everything else in w
    c = sizes[20]
    h = sizes[21]
    d_c = sizes[22]
    d_h = sizes[23]
    logits = sizes[24]
    d_logits = sizes[25]
    x_fc_x2f_weight = sizes[26]
    inputs = sizes[27]
    x_fc_x2i_weight = sizes[28]
    x_fc_x2g_weight = sizes[29]
    x_fc_x2o_weight = sizes[30]
    f_sum = sizes[31]
    i_sum = sizes[32]
    g_sum = sizes[33]
    o_sum = sizes[34]
    f = sizes[35]
    i = sizes[36]
    g_2 = sizes[37]
    o = sizes[38]
    tanh_c = sizes[39]
    d_o_sum = sizes[40]
    d_g_sum = sizes[41]
    d_i_sum = sizes[42]
    d_f_sum = sizes[43]
    fc_h2o_weight_transposed = sizes[44]
    fc_h2g_weight_transposed = sizes[45]
    fc_h2i_weight_transposed = sizes[46]
    fc_h2f_weight_transposed = sizes[47]
    is_first = begin == 0
    mode = flush_subnormals()

    # The states before the first step.
    # c = 0; h = 0
    for r in range(sequences):
        length = offsets[members[r] + 1] - offsets[members[r]]
        for j in range(0, D_padded, 16):
            store(w, c + (start[steps - length] + r) * D_padded + j, 0.0)
            store(w, h + (start[steps - length] + r) * D_padded + j, 0.0)

    # Values that only depend on the input, for all steps at once.
    for r in range(total):
        source = lined[r]
        copy(w, inputs + r * C_padded, features, source * C, C)
    # x @ fc_x2f.weight
    multiply(w, x_fc_x2f_weight, D_padded, w, inputs, C_padded, 1, p, fc_x2f_weight, D_padded, total, C, D_padded,
        False)
    # x @ fc_x2i.weight
    multiply(w, x_fc_x2i_weight, D_padded, w, inputs, C_padded, 1, p, fc_x2i_weight, D_padded, total, C, D_padded,
        False)
    # x @ fc_x2g.weight
    multiply(w, x_fc_x2g_weight, D_padded, w, inputs, C_padded, 1, p, fc_x2g_weight, D_padded, total, C, D_padded,
        False)
    # x @ fc_x2o.weight
    multiply(w, x_fc_x2o_weight, D_padded, w, inputs, C_padded, 1, p, fc_x2o_weight, D_padded, total, C, D_padded,
        False)

    # Forward, step by step.
    for t in range(steps):
        row = start[t]
        after = start[t + 1]
        active = start[t + 1] - row
        begun = row - start[t - 1] if t > 0 else 0
        # f_sum, i_sum, g_sum, o_sum
        for r in range(active):
            for j in range(0, D_padded, 16):
                f_sum_j = load(w, x_fc_x2f_weight + (row + r) * D_padded + j) + load(p, fc_x2f_bias + j)
                i_sum_j = load(w, x_fc_x2i_weight + (row + r) * D_padded + j) + load(p, fc_x2i_bias + j)
                g_sum_j = load(w, x_fc_x2g_weight + (row + r) * D_padded + j) + load(p, fc_x2g_bias + j)
                o_sum_j = load(w, x_fc_x2o_weight + (row + r) * D_padded + j) + load(p, fc_x2o_bias + j)
                store(w, f_sum + r * D_padded + j, f_sum_j)
                store(w, i_sum + r * D_padded + j, i_sum_j)
                store(w, g_sum + r * D_padded + j, g_sum_j)
                store(w, o_sum + r * D_padded + j, o_sum_j)
        # f_sum += h @ fc_h2f.weight
        multiply(w, f_sum, D_padded, w, h + row * D_padded, D_padded, 1, p, fc_h2f_weight, D_padded, begun, D, D_padded,
            True)
        # i_sum += h @ fc_h2i.weight
        multiply(w, i_sum, D_padded, w, h + row * D_padded, D_padded, 1, p, fc_h2i_weight, D_padded, begun, D, D_padded,
            True)
        # g_sum += h @ fc_h2g.weight
        multiply(w, g_sum, D_padded, w, h + row * D_padded, D_padded, 1, p, fc_h2g_weight, D_padded, begun, D, D_padded,
            True)
        # o_sum += h @ fc_h2o.weight
        multiply(w, o_sum, D_padded, w, h + row * D_padded, D_padded, 1, p, fc_h2o_weight, D_padded, begun, D, D_padded,
            True)
        # f, i, g, o, tanh_c, c, h
        for r in range(active):
            for j in range(0, D_padded, 16):
                f_j = sigmoid(load(w, f_sum + r * D_padded + j))
                i_j = sigmoid(load(w, i_sum + r * D_padded + j))
                g_j = tanh(load(w, g_sum + r * D_padded + j))
                c_j = f_j * load(w, c + (row + r) * D_padded + j) + i_j * g_j
                o_j = sigmoid(load(w, o_sum + r * D_padded + j))
                tanh_c_j = tanh(c_j)
                h_j = o_j * tanh_c_j
                store(w, f + (row + r) * D_padded + j, f_j)
                store(w, i + (row + r) * D_padded + j, i_j)
                store(w, g_2 + (row + r) * D_padded + j, g_j)
                store(w, o + (row + r) * D_padded + j, o_j)
                store(w, tanh_c + (row + r) * D_padded + j, tanh_c_j)
                store(w, c + (after + r) * D_padded + j, c_j)
                store(w, h + (after + r) * D_padded + j, keep(h_j, D - j))

    # The readout, the loss, and the gradient of the logits.
    # logits = fc_h2y.bias
    for r in range(sequences):
        for j in range(0, K_padded, 16):
            store(w, logits + r * K_padded + j, load(p, fc_h2y_bias + j))
    # logits += h @ fc_h2y.weight
    for r in range(sequences):
        add_dots(w, logits + r * K_padded, w, h + (total + r) * D_padded, p, fc_h2y_weight, D_padded, K, D_padded)
    loss, score = 0.0, 0.0
    if not learn:
        restore_mode(mode)
        return loss, score
    for r in range(sequences):
        place = members[r]
        label = labels[place]
        weight = class_weights[label] * weights[place]
        one_loss, best = cross_entropy(w, logits + r * K_padded, K, label, w, d_logits + r * K_padded, share * weight)
        score += int(best == label and weights[place] > 0)
        if weight > 0:
            loss += one_loss * weight
        else:
            fill(w, d_logits + r * K_padded, d_logits + r * K_padded + K_padded, 0.0)

    # Weights in the layout of the backward pass.
    if is_first:
        transpose(w, fc_h2o_weight_transposed, D_padded, p, fc_h2o_weight, D_padded, D, D_padded)
        transpose(w, fc_h2g_weight_transposed, D_padded, p, fc_h2g_weight, D_padded, D, D_padded)
        transpose(w, fc_h2i_weight_transposed, D_padded, p, fc_h2i_weight, D_padded, D, D_padded)
        transpose(w, fc_h2f_weight_transposed, D_padded, p, fc_h2f_weight, D_padded, D, D_padded)

    # Back through the readout.
    # d_h = d_logits @ fc_h2y.weight.T
    multiply(w, d_h + total * D_padded, D_padded, w, d_logits, K_padded, 1, p, fc_h2y_weight, D_padded, sequences, K,
        D_padded, False)
    # d_c = 0
    for r in range(sequences):
        for j in range(0, D_padded, 16):
            store(w, d_c + (total + r) * D_padded + j, 0.0)
    # d_fc_h2y_bias += d_logits
    for r in range(sequences):
        for j in range(0, K_padded, 16):
            store(g, fc_h2y_bias + j, load(g, fc_h2y_bias + j) + keep(load(w, d_logits + r * K_padded + j), K - j))
    # d_fc_h2y_weight += (h.T @ d_logits).T
    multiply(g, fc_h2y_weight, D_padded, w, d_logits, 1, K_padded, w, h + total * D_padded, D_padded, K, sequences,
        D_padded, True)

    # Back through time, the last step first.
    for t in range(steps - 1, -1, -1):
        row = start[t]
        after = start[t + 1]
        active = start[t + 1] - row
        begun = row - start[t - 1] if t > 0 else 0
        # d_o_sum, d_g_sum, d_i_sum, d_f_sum, d_c, d_fc_x2o_bias, d_fc_x2g_bias, d_fc_x2i_bias, ...
        for r in range(active):
            for j in range(0, D_padded, 16):
                multiply_d_h_j = load(w, d_h + (after + r) * D_padded + j) * load(w, o + (row + r) * D_padded + j)
                multiply_j = load(w, tanh_c + (row + r) * D_padded + j) * load(w, tanh_c + (row + r) * D_padded + j)
                d_c_j = load(w, d_c + (after + r) * D_padded + j) + multiply_d_h_j * (1.0 - multiply_j)
                d_c_j_2 = d_c_j * load(w, f + (row + r) * D_padded + j)
                d_o_j = load(w, d_h + (after + r) * D_padded + j) * load(w, tanh_c + (row + r) * D_padded + j)
                multiply_o_j = load(w, o + (row + r) * D_padded + j) * (1.0 - load(w, o + (row + r) * D_padded + j))
                d_o_sum_j = d_o_j * multiply_o_j
                d_g_j = d_c_j * load(w, i + (row + r) * D_padded + j)
                multiply_g_j = load(w, g_2 + (row + r) * D_padded + j) * load(w, g_2 + (row + r) * D_padded + j)
                d_g_sum_j = d_g_j * (1.0 - multiply_g_j)
                d_i_j = d_c_j * load(w, g_2 + (row + r) * D_padded + j)
                multiply_i_j = load(w, i + (row + r) * D_padded + j) * (1.0 - load(w, i + (row + r) * D_padded + j))
                d_i_sum_j = d_i_j * multiply_i_j
                d_f_j = d_c_j * load(w, c + (row + r) * D_padded + j)
                multiply_f_j = load(w, f + (row + r) * D_padded + j) * (1.0 - load(w, f + (row + r) * D_padded + j))
                d_f_sum_j = d_f_j * multiply_f_j
                store(w, d_o_sum + (row + r) * D_padded + j, keep(d_o_sum_j, D - j))
                store(w, d_g_sum + (row + r) * D_padded + j, keep(d_g_sum_j, D - j))
                store(w, d_i_sum + (row + r) * D_padded + j, keep(d_i_sum_j, D - j))
                store(w, d_f_sum + (row + r) * D_padded + j, keep(d_f_sum_j, D - j))
                store(w, d_c + (row + r) * D_padded + j, keep(d_c_j_2, D - j))
                store(g, fc_x2o_bias + j, load(g, fc_x2o_bias + j) + keep(d_o_sum_j, D - j))
                store(g, fc_x2g_bias + j, load(g, fc_x2g_bias + j) + keep(d_g_sum_j, D - j))
                store(g, fc_x2i_bias + j, load(g, fc_x2i_bias + j) + keep(d_i_sum_j, D - j))
                store(g, fc_x2f_bias + j, load(g, fc_x2f_bias + j) + keep(d_f_sum_j, D - j))
        # d_h = d_o_sum @ fc_h2o.weight.T
        multiply(w, d_h + row * D_padded, D_padded, w, d_o_sum + row * D_padded, D_padded, 1, w,
            fc_h2o_weight_transposed, D_padded, begun, D, D_padded, False)
        # d_h += d_g_sum @ fc_h2g.weight.T
        multiply(w, d_h + row * D_padded, D_padded, w, d_g_sum + row * D_padded, D_padded, 1, w,
            fc_h2g_weight_transposed, D_padded, begun, D, D_padded, True)
        # d_h += d_i_sum @ fc_h2i.weight.T
        multiply(w, d_h + row * D_padded, D_padded, w, d_i_sum + row * D_padded, D_padded, 1, w,
            fc_h2i_weight_transposed, D_padded, begun, D, D_padded, True)
        # d_h += d_f_sum @ fc_h2f.weight.T
        multiply(w, d_h + row * D_padded, D_padded, w, d_f_sum + row * D_padded, D_padded, 1, w,
            fc_h2f_weight_transposed, D_padded, begun, D, D_padded, True)
    # d_fc_h2o_weight += h.T @ d_o_sum
    multiply(g, fc_h2o_weight, D_padded, w, h + start[1] * D_padded, 1, D_padded, w, d_o_sum + start[1] * D_padded,
        D_padded, D, total - start[1], D_padded, True)
    # d_fc_x2o_weight += x.T @ d_o_sum
    multiply(g, fc_x2o_weight, D_padded, w, inputs, 1, C_padded, w, d_o_sum, D_padded, C, total, D_padded, True)
    # d_fc_h2g_weight += h.T @ d_g_sum
    multiply(g, fc_h2g_weight, D_padded, w, h + start[1] * D_padded, 1, D_padded, w, d_g_sum + start[1] * D_padded,
        D_padded, D, total - start[1], D_padded, True)
    # d_fc_x2g_weight += x.T @ d_g_sum
    multiply(g, fc_x2g_weight, D_padded, w, inputs, 1, C_padded, w, d_g_sum, D_padded, C, total, D_padded, True)
    # d_fc_h2i_weight += h.T @ d_i_sum
    multiply(g, fc_h2i_weight, D_padded, w, h + start[1] * D_padded, 1, D_padded, w, d_i_sum + start[1] * D_padded,
        D_padded, D, total - start[1], D_padded, True)
    # d_fc_x2i_weight += x.T @ d_i_sum
    multiply(g, fc_x2i_weight, D_padded, w, inputs, 1, C_padded, w, d_i_sum, D_padded, C, total, D_padded, True)
    # d_fc_h2f_weight += h.T @ d_f_sum
    multiply(g, fc_h2f_weight, D_padded, w, h + start[1] * D_padded, 1, D_padded, w, d_f_sum + start[1] * D_padded,
        D_padded, D, total - start[1], D_padded, True)
    # d_fc_x2f_weight += x.T @ d_f_sum
    multiply(g, fc_x2f_weight, D_padded, w, inputs, 1, C_padded, w, d_f_sum, D_padded, C, total, D_padded, True)
    restore_mode(mode)
    return loss, score
