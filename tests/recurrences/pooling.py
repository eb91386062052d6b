"""Readouts of all states: pooling and attention."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, softmax

from .layers import GatedLayer, Layer, joined
from .registry import C, D, K, recurrence, weight, weights, zeros


@recurrence(source="Wieting and Gimpel, Revisiting recurrent networks for paraphrastic sentence embeddings, 2017")
class MeanPooling:
    """The mean of all states."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        return mg.mean(self.layer(x), axis=0, keepdims=True) @ self.v


@recurrence(source="Collobert and Weston, A unified architecture for natural language processing, 2008 (max over time)")
class MaxPooling:
    """The largest value of every unit over time."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        return mg.max(self.layer(x), axis=0)[None, :] @ self.v


@recurrence(source="Howard and Ruder, Universal language model fine-tuning (ULMFiT, concat pooling), 2018")
class ConcatPooling:
    """The last state, the mean and the maximum, joined."""

    def __init__(self, rng):
        self.layer, self.v, self.b = GatedLayer(rng), weight(rng, 3 * D, K), weight(rng, K)
        self.parameters = joined(self.layer, self.v, self.b)

    def __call__(self, x):
        H = mg.stack(self.layer.run(x))
        pooled = mg.concatenate([H[-1], H.mean(axis=0), H.max(axis=0)])
        return (pooled @ self.v + self.b).reshape(1, -1)


@recurrence(source="Zaheer et al., Deep sets, 2017 (a sum over what a recurrent layer saw)")
def sum_pooling(rng):
    """Adds up the states in the loop, in place."""
    w, u, v = weights(rng, (C, D), (D, D), (D, K))

    def model(x):
        h, total = zeros(1, D), mg.zeros((1, D))
        for x_t in x:
            h = mg.tanh(x_t[None] @ w + h @ u)
            total += relu(h)
        return total @ v

    model.parameters = w, u, v
    return model


@recurrence(
    source="Ng et al., Beyond short snippets: deep networks for video classification, 2015 (the last k states)",
    complete=2,
)
class LastK:
    """The mean of the last three states, or of all if there are fewer."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        return mg.mean(mg.concatenate(self.layer.states(x)[-3:]), axis=0, keepdims=True) @ self.v


@recurrence(
    source="Waibel et al., Phoneme recognition using time-delay neural networks, 1989 (a readout over three steps)",
    complete=2,
)
class LastThreeJoined:
    """The last three states, with zeros before the first."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (3 * D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        states = [zeros(D)] * 3
        for x_t in x:
            states.append(mg.tanh(x_t @ self.w + states[-1] @ self.u))
        return (mg.concatenate(states[-3:]) @ self.v)[None]


@recurrence(source="Ng et al., Beyond short snippets, 2015 (weights that grow linearly with time)")
class LinearlyWeighted:
    """Later states have larger weights, (t + 1) / T."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        share = (np.arange(1, len(x) + 1, dtype=np.float32) / len(x))[:, None]
        return mg.sum(share * self.layer(x), axis=0, keepdims=True) @ self.v


@recurrence(
    source="Snyder et al., X-vectors: robust DNN embeddings for speaker recognition, 2018 (statistics pooling)",
)
class StatisticsPooling:
    """Mean and standard deviation over time."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, 2 * D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        H = self.layer(x)
        spread = mg.sqrt(H.var(axis=0) + 0.01)
        return (mg.concatenate([H.mean(axis=0), spread]) @ self.v)[None]


@recurrence(
    source="Boureau, Ponce and LeCun, A theoretical analysis of feature pooling, 2010 (log of mean of exponentials)"
)
class SmoothMax:
    """A smooth maximum over time."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        total = zeros(1, D)
        for h in self.layer.states(x):
            total = total + mg.exp(2 * h)
        return mg.log(total / len(x)) @ self.v / 2


@recurrence(
    source="Yang et al., Hierarchical attention networks for document classification, 2016 (a learned query)",
)
class LearnedQuery:
    """Attention over all states, with a context vector that is learned."""

    def __init__(self, rng):
        self.layer = Layer(rng)
        self.w, self.b, self.query, self.v = weights(rng, (D, D), D, (D, 1), (D, K))
        self.parameters = joined(self.layer, self.w, self.b, self.query, self.v)

    def __call__(self, x):
        H = self.layer(x)
        scores = mg.tanh(H @ self.w + self.b) @ self.query
        return mg.sum(softmax(scores, axis=0) * H, axis=0, keepdims=True) @ self.v


@recurrence(
    source="Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate, 2015",
)
class AdditiveAttention:
    """The last state is the query for all states, with a tanh layer."""

    def __init__(self, rng):
        self.layer = GatedLayer(rng)
        self.W, self.U, self.va, self.v = weights(rng, (D, D), (D, D), D, (2 * D, K))
        self.parameters = joined(self.layer, self.W, self.U, self.va, self.v)

    def __call__(self, x):
        hs = self.layer.run(x)
        s = hs[-1]
        energies = mg.stack([mg.sum(self.va * mg.tanh(s @ self.W + h @ self.U)) for h in hs])
        alpha = softmax(energies)
        context = sum(alpha[j] * hs[j] for j in range(len(hs)))
        return (mg.concatenate([context, s]) @ self.v).reshape(1, K)


@recurrence(source="Luong, Pham and Manning, Effective approaches to attention-based neural machine translation, 2015")
class LuongAttention:
    """The general score, and an attentional vector before the output."""

    def __init__(self, rng):
        self.layer, self.Wa, self.Wc, self.Ws = Layer(rng), *weights(rng, (D, D), (2 * D, D), (D, K))
        self.parameters = joined(self.layer, self.Wa, self.Wc, self.Ws)

    def __call__(self, x):
        H = self.layer(x)
        h = H[-1:]
        align = softmax(h @ self.Wa @ H.T)
        return mg.tanh(mg.concatenate([align @ H, h], axis=1) @ self.Wc) @ self.Ws


@recurrence(source="Lin et al., A structured self-attentive sentence embedding, 2017")
class StructuredAttention:
    """Two heads of attention, joined."""

    def __init__(self, rng, heads=2):
        self.layer, self.w1, self.w2, self.v = Layer(rng), *weights(rng, (D, D), (D, heads), (heads * D, K))
        self.parameters = joined(self.layer, self.w1, self.w2, self.v)

    def __call__(self, x):
        H = self.layer(x)
        A = softmax((mg.tanh(H @ self.w1) @ self.w2).T)
        return (A @ H).reshape(1, -1) @ self.v


@recurrence(
    source="Raffel and Ellis, Feed-forward networks with attention can solve some long-term memory problems, 2015"
)
class OnlineSoftmax:
    """Attention with a learned query as two running sums."""

    def __init__(self, rng):
        self.layer, self.a, self.v = Layer(rng), *weights(rng, (D, 1), (D, K))
        self.parameters = joined(self.layer, self.a, self.v)

    def __call__(self, x):
        top, bottom = zeros(1, D), zeros(1, 1)
        for h in self.layer.states(x):
            e = mg.exp(mg.tanh(h @ self.a))
            top, bottom = top + e * h, bottom + e
        return top / bottom @ self.v


@recurrence(source="Vaswani et al., Attention is all you need, 2017 (multi-head attention of the last state)")
class MultiHead:
    """Two heads by reshape and swapaxes; the query is the last state."""

    def __init__(self, rng, heads=2):
        self.heads = heads
        self.layer = GatedLayer(rng)
        self.wq, self.wk, self.wv, self.wo = weights(rng, (D, D), (D, D), (D, D), (D, K))
        self.parameters = joined(self.layer, self.wq, self.wk, self.wv, self.wo)

    def split(self, z):
        return mg.swapaxes(z.reshape(len(z), self.heads, -1), 0, 1)

    def __call__(self, x):
        H = mg.stack(self.layer.run(x))
        q, k, v = self.split(H[-1:] @ self.wq), self.split(H @ self.wk), self.split(H @ self.wv)
        scores = mg.matmul(q, mg.swapaxes(k, 1, 2)) / np.sqrt(D / self.heads)
        out = mg.swapaxes(mg.matmul(softmax(scores, axis=-1), v), 0, 1)
        return out.reshape(1, D) @ self.wo


@recurrence(
    source="Vaswani et al., Attention is all you need, 2017 (a block of self-attention over recurrent states)",
    compiles=False,
)
class SelfAttentionBlock:
    """All states attend to all; averaged."""

    def __init__(self, rng):
        self.layer, self.q, self.k, self.v, self.out = Layer(rng), *weights(rng, (D, D), (D, D), (D, D), (D, K))
        self.parameters = joined(self.layer, self.q, self.k, self.v, self.out)

    def __call__(self, x):
        H = self.layer(x)
        A = softmax(H @ self.q @ (H @ self.k).T / D**0.5, axis=-1)
        return (H + A @ H @ self.v).mean(axis=0)[None] @ self.out


@recurrence(source="Qin et al., A dual-stage attention-based recurrent neural network (DA-RNN), 2017 (input attention)")
class InputAttention:
    """At every step, the state weighs the features of the input."""

    def __init__(self, rng):
        self.we, self.ue, self.w, self.u, self.v = weights(rng, (D, C), (C, C), (C, D), (D, D), (D, K))
        self.parameters = self.we, self.ue, self.w, self.u, self.v

    def __call__(self, x):
        h = zeros(1, D)
        for x_t in x:
            x_t = x_t[None]
            alpha = softmax(mg.tanh(h @ self.we + x_t @ self.ue))
            h = mg.tanh((C * alpha * x_t) @ self.w + h @ self.u)
        return h @ self.v


@recurrence(
    source="Mnih et al., Recurrent models of visual attention, 2014 (soft attention over all rows, at every step)",
    compiles=False,
)
class AttentionOverInputs:
    """Every step looks at the whole sequence with the state as its query."""

    def __init__(self, rng):
        self.q, self.w, self.u, self.v = weights(rng, (D, C), (2 * C, D), (D, D), (D, K))
        self.parameters = self.q, self.w, self.u, self.v

    def __call__(self, x):
        h = np.full((1, D), 0.2, np.float32)
        for t in range(len(x)):
            look = softmax(h @ self.q @ x.T) @ x
            h = mg.tanh(mg.concatenate([x[t : t + 1], look], axis=1) @ self.w + h @ self.u)
        return h @ self.v


@recurrence(
    source="Vinyals, Bengio and Kudlur, Order matters: sequence to sequence for sets, 2016 (read, process)",
)
class ProcessBlock:
    """Three steps without input, each of which attends to the states of the sequence."""

    def __init__(self, rng):
        self.layer, self.u, self.v = Layer(rng), *weights(rng, (2 * D, D), (D, K))
        self.parameters = joined(self.layer, self.u, self.v)

    def __call__(self, x):
        M = self.layer(x)
        q = np.full((1, D), 0.5, np.float32)
        for _ in range(3):
            r = softmax(q @ M.T) @ M
            q = mg.tanh(mg.concatenate([q, r], axis=1) @ self.u)
        return q @ self.v
