"""Models with logits for every step, (T, K): taggers, language models and transducers."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, sigmoid, softmax

from .layers import GatedLayer, Layer, joined
from .registry import C, D, K, recurrence, weight, weights, zeros


def tagger(source, **expected):
    """Register a model whose logits are (T, K)."""
    return recurrence(source, outputs="steps", **expected)


@tagger(source="Elman, Finding structure in time, 1990 (prediction of the next word)")
class NextWord:
    """Logits of every step, joined."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        return mg.concatenate([h @ self.v for h in self.layer.states(x)])


@tagger(source="Karpathy, min-char-rnn, 2015")
class CharacterModel:
    """Outputs are stacked in the loop."""

    def __init__(self, rng):
        self.w, self.u, self.b, self.v, self.c = weights(rng, (C, D), (D, D), D, (D, K), K)
        self.parameters = self.w, self.u, self.b, self.v, self.c

    def __call__(self, x):
        h, ys = zeros(D), []
        for t in range(len(x)):
            h = mg.tanh(x[t] @ self.w + h @ self.u + self.b)
            ys.append(h @ self.v + self.c)
        return mg.stack(ys)


@tagger(source="Huang, Xu and Yu, Bidirectional LSTM-CRF models for sequence tagging, 2015 (without the CRF)")
class BidirectionalTagger:
    """Both directions at every step."""

    def __init__(self, rng):
        self.there, self.back, self.v = GatedLayer(rng), GatedLayer(rng), weight(rng, 2 * D, K)
        self.parameters = joined(self.there, self.back, self.v)

    def __call__(self, x):
        H = mg.concatenate([mg.stack(self.there.run(x)), mg.stack(self.back.run(x, backwards=True))], axis=1)
        return H @ self.v


@tagger(source="Mikolov et al., Recurrent neural network based language model, 2010 (one product for all outputs)")
class OneReadout:
    """The states are stacked, then read out at once."""

    def __init__(self, rng):
        self.layer, self.hidden, self.v = Layer(rng), weight(rng, D, D), weight(rng, D, K)
        self.parameters = joined(self.layer, self.hidden, self.v)

    def __call__(self, x):
        return relu(self.layer(x) @ self.hidden) @ self.v


@tagger(source="Graves, Sequence transduction with recurrent neural networks, 2012 (its own output comes back)")
class Transducer:
    """Each step reads the probabilities of the one before; logits are written to a buffer."""

    def __init__(self, rng):
        self.w, self.u, self.f, self.v = weights(rng, (C, D), (D, D), (K, D), (D, K))
        self.parameters = self.w, self.u, self.f, self.v

    def __call__(self, x):
        logits = mg.zeros((len(x), K), dtype=np.float32)
        h, p = zeros(D), np.full(K, 1 / K, np.float32)
        for t, x_t in enumerate(x):
            h = mg.tanh(x_t @ self.w + h @ self.u + p @ self.f)
            out = h @ self.v
            logits[t] = out
            p = softmax(out)
        return logits


@tagger(source="Press and Wolf, Using the output embedding to improve language models, 2017 (tied weights, two layers)")
class TiedLanguageModel:
    """Two layers, and a readout by a part of the embedding."""

    def __init__(self, rng):
        self.embed, self.a, self.b = weight(rng, C, D), GatedLayer(rng, D), GatedLayer(rng, D)
        self.parameters = joined(self.embed, self.a, self.b)

    def __call__(self, x):
        H = mg.stack(self.b.run(self.a.run(x @ self.embed)))
        return H @ self.embed[:K].T


@tagger(source="Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, 2014")
class Translator:
    """An encoder, and a decoder of the same length with teacher forcing."""

    def __init__(self, rng):
        self.encoder, self.decoder, self.v = GatedLayer(rng), GatedLayer(rng), weight(rng, D, K)
        self.parameters = joined(self.encoder, self.decoder, self.v)

    def __call__(self, x):
        h = self.encoder.run(x)[-1]
        shifted = mg.concatenate([np.zeros((1, C), np.float32), x[:-1]])
        return mg.stack([s @ self.v for s in self.decoder.run(shifted, h)])


@tagger(
    source="Merity et al., Pointer sentinel mixture models, 2017 (attention over all earlier states, at every step)",
    compiles=False,
)
class AttentiveTagger:
    """Every step attends to the states up to it."""

    def __init__(self, rng):
        self.layer, self.q, self.v = Layer(rng), weight(rng, D, D), weight(rng, 2 * D, K)
        self.parameters = joined(self.layer, self.q, self.v)

    def __call__(self, x):
        H, out = self.layer(x), []
        for t in range(len(x)):
            past = H[: t + 1]
            context = softmax(past @ (H[t] @ self.q)) @ past
            out.append(mg.concatenate([H[t], context]) @ self.v)
        return mg.stack(out)


@tagger(
    source="Lample et al., Neural architectures for named entity recognition, 2016 (a window over states)",
)
class WindowTagger:
    """The logits of a step see the states before and after it."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, 3, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        edge = np.zeros((1, D), np.float32)
        H = mg.concatenate([edge, self.layer(x), edge])
        return sum(H[k : len(H) - 2 + k] @ self.v[k] for k in range(3))


@tagger(source="Fan et al., TTS synthesis with bidirectional LSTM, 2014 (differences of outputs are smoothed)")
class SmoothedOutputs:
    """Logits are a running average of the step's own."""

    def __init__(self, rng):
        self.layer, self.rate, self.v = Layer(rng), weight(rng, K), weight(rng, D, K)
        self.parameters = joined(self.layer, self.rate, self.v)

    def __call__(self, x):
        a, y, ys = sigmoid(self.rate), zeros(1, K), []
        for h in self.layer.states(x):
            y = a * y + (1 - a) * (h @ self.v)
            ys.append(y)
        return mg.concatenate(ys, axis=0)


@tagger(source="Sussillo and Abbott, Generating coherent patterns of activity from chaotic networks, 2009")
class FiringRates:
    """The rates, a function of the state, go into the next step and into the output of this one."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        v, out = zeros(D), []
        for x_t in x:
            v = 0.8 * v + x_t @ self.w + mg.tanh(v) @ self.u
            out.append(mg.tanh(v) @ self.v)
        return mg.stack(out)


@tagger(source="Elman, Finding structure in time, 1990; the output reads what the state sends on")
class ReadsWhatIsSentOn:
    """The product of a state with its recurrent matrix is computed for the next step, and for the output."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h, out = zeros(D), []
        for x_t in x:
            h = mg.tanh(x_t @ self.w + h @ self.u)
            out.append((h @ self.u) @ self.v)
        return mg.stack(out)
