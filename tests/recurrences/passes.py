"""Pass after pass: encoder and decoder, second readings, layers and hierarchies."""

import mygrad as mg
import numpy as np
from mygrad.nnet.activations import relu, softmax

from .layers import GatedLayer, Layer, joined
from .registry import C, D, K, recurrence, weight, weights, zeros
from .steps import tagger


@recurrence(source="Xia et al., Deliberation networks: sequence generation beyond one-pass decoding, 2017")
class SecondPass:
    """A second pass over the sequence starts with the result of the first, and reads it at every step."""

    def __init__(self, rng):
        self.first, self.second, self.v = Layer(rng), GatedLayer(rng, C + D), weight(rng, D, K)
        self.parameters = joined(self.first, self.second, self.v)

    def __call__(self, x):
        summary = self.first.states(x)[-1][0]
        h = summary
        for x_t in x:
            h = self.second.step(mg.concatenate([x_t, summary]), h)
        return (h @ self.v)[None]


@recurrence(source="Arora et al., Just read twice: closing the recall gap for recurrent language models, 2024")
class TwiceThrough:
    """Reads the sequence twice in a row, without a break."""

    def __init__(self, rng):
        self.w, self.u, self.v = weights(rng, (C, D), (D, D), (D, K))
        self.parameters = self.w, self.u, self.v

    def __call__(self, x):
        h = zeros(D)
        for _ in range(2):
            for x_t in x:
                h = mg.tanh(x_t @ self.w + h @ self.u)
        return (h @ self.v)[None]


@recurrence(source="Sutskever, Vinyals and Le, Sequence to sequence learning with neural networks, 2014")
class TeacherForcing:
    """An encoder, then a decoder of the same length that reads the previous row; its last state is read out."""

    def __init__(self, rng):
        self.encoder, self.decoder = GatedLayer(rng), GatedLayer(rng)
        self.go, self.v = weights(rng, C, (D, K))
        self.parameters = joined(self.encoder, self.decoder, self.go, self.v)

    def __call__(self, x):
        h = self.encoder.run(x)[-1]
        given = [self.go, *(x[t] for t in range(len(x) - 1))]
        for row in given:
            h = self.decoder.step(row, h)
        return (h @ self.v)[None]


@recurrence(
    source="Srivastava, Mansimov and Salakhutdinov, Unsupervised learning of video representations, 2015",
)
class AutoEncoder:
    """Decodes its encoding backwards; the error is part of the logits."""

    def __init__(self, rng):
        self.encoder, self.w, self.u, self.back, self.v = (
            GatedLayer(rng), *weights(rng, (C, D), (D, D), (D, C), (D + C, K))
        )  # fmt: skip
        self.parameters = joined(self.encoder, self.w, self.u, self.back, self.v)

    def __call__(self, x):
        code = h = self.encoder.run(x)[-1]
        guess, error = zeros(C), zeros(C)
        for x_t in x[::-1]:
            h = mg.tanh(guess @ self.w + h @ self.u)
            guess = h @ self.back
            error = error + (guess - x_t) ** 2
        return (mg.concatenate([code, error / len(x)]) @ self.v)[None]


@recurrence(
    source="Chan et al., Listen, attend and spell, 2016 (a pyramid: pairs of states are joined)",
    complete=2,
    compiles=False,
)
class Pyramid:
    """The second layer reads pairs; an odd last state is padded with zeros."""

    def __init__(self, rng):
        self.low, self.high, self.v = Layer(rng), Layer(rng, 2 * D), weight(rng, D, K)
        self.parameters = joined(self.low, self.high, self.v)

    def __call__(self, x):
        states = self.low.states(x)
        if len(states) % 2:
            states.append(zeros(1, D))
        pairs = [mg.concatenate([a, b], axis=1) for a, b in zip(states[::2], states[1::2], strict=True)]
        return self.high.states(pairs)[-1] @ self.v


@recurrence(
    source="El Hihi and Bengio, Hierarchical recurrent neural networks for long-term dependencies, 1995", compiles=False
)
class Hierarchical:
    """A slow layer reads the last state of every window of four rows."""

    def __init__(self, rng):
        self.words, self.sentences, self.v = Layer(rng), GatedLayer(rng, D), weight(rng, D, K)
        self.parameters = joined(self.words, self.sentences, self.v)

    def __call__(self, x):
        vectors = [self.words.states(x[i : i + 4])[-1][0] for i in range(0, len(x), 4)]
        return (self.sentences.run(vectors)[-1] @ self.v)[None]


@recurrence(source="Schmidhuber, Learning complex, extended sequences using the principle of history compression, 1992")
class LayerAfterLayer:
    """Three layers, each over the whole sequence of the one before, with the input again at each."""

    def __init__(self, rng):
        self.layers = [Layer(rng), Layer(rng, C + D), Layer(rng, C + D)]
        self.v = weight(rng, D, K)

    @property
    def parameters(self):
        return joined(*self.layers, self.v)

    def __call__(self, x):
        H = self.layers[0](x)
        for layer in self.layers[1:]:
            H = layer(mg.concatenate([x, H], axis=1))
        return H[-1:] @ self.v


@recurrence(source="Zhou et al., A C-LSTM neural network for text classification, 2015")
class ConvolutionFirst:
    """A causal convolution as a sum of shifted products, with padding by NumPy's zeros."""

    def __init__(self, rng):
        self.kernel, self.layer, self.v = weight(rng, 3, C, D), GatedLayer(rng, D), weight(rng, D, K)
        self.parameters = joined(self.kernel, self.layer, self.v)

    def __call__(self, x):
        T = len(x)
        padded = mg.concatenate([np.zeros((2, C), np.float32), x])
        features = relu(sum(padded[k : k + T] @ self.kernel[k] for k in range(3)))
        return (self.layer.run(features)[-1] @ self.v)[None]


@recurrence(
    source="Merity, Keskar and Socher, Regularizing and optimizing LSTM language models, 2018 (tied, two layers)"
)
class TiedLayers:
    """The readout is the transpose of a part of the embedding."""

    def __init__(self, rng):
        self.embed, self.a, self.b = weight(rng, C, D), GatedLayer(rng, D), GatedLayer(rng, D)
        self.parameters = joined(self.embed, self.a, self.b)

    def __call__(self, x):
        h = self.b.run(self.a.run(x @ self.embed))[-1]
        return h[None] @ self.embed.T[:, :K]


@recurrence(
    source="Iyyer et al., Deep unordered composition rivals syntactic methods, 2015 (the mean next to every row)",
)
class GlobalContext:
    """Every step sees the mean of all rows."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng, 2 * C), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        mean = mg.mean(x, axis=0)
        return self.layer.states([mg.concatenate([row, mean]) for row in x])[-1] @ self.v


@recurrence(
    source="LeCun et al., Efficient backprop, 1998 (inputs are centred and scaled, here within the sequence)",
)
class CentredInputs:
    """Subtracts the mean over time from the rows and divides by their deviation, before the loop."""

    def __init__(self, rng):
        self.layer, self.v = Layer(rng), weight(rng, D, K)
        self.parameters = joined(self.layer, self.v)

    def __call__(self, x):
        x = (x - x.mean(axis=0)) / np.float32(2)
        return self.layer.states(x)[-1] @ self.v


class Decoder:
    """An encoder, and the weights of a decoder."""

    def __init__(self, rng):
        self.encoder, self.u, self.v = Layer(rng), weight(rng, D, D), weight(rng, D, K)
        self.parameters = joined(self.encoder, self.u, self.v)

    def decoded(self, x):
        """The states of a decoder that runs by itself, from the last state of the encoder."""
        h, found = self.encoder.states(x)[-1], []
        for _ in range(len(x)):
            h = mg.tanh(h @ self.u)
            found.append(h)
        return found


@recurrence(source="Srivastava, Mansimov and Salakhutdinov, Unsupervised learning of video representations, 2015")
class RunsOn(Decoder):
    """A decoder without an input makes as many steps as the sequence has; its last state is read out."""

    def __call__(self, x):
        return self.decoded(x)[-1] @ self.v


@recurrence(source="Venkatraman, Hebert and Bagnell, Improving multi-step prediction of learned time series, 2015")
class MeanOfThePrediction(Decoder):
    """The mean of what such a decoder computes."""

    def __call__(self, x):
        return mg.mean(mg.concatenate(self.decoded(x)), axis=0)[None] @ self.v


@tagger(source="Srivastava, Mansimov and Salakhutdinov, Unsupervised learning of video representations, 2015")
class Reconstructs(Decoder):
    """Its output at every step."""

    def __call__(self, x):
        return mg.concatenate(self.decoded(x)) @ self.v


@tagger(source="Cho et al., Learning phrase representations using RNN encoder-decoder, 2014")
class ContextAtEveryStep:
    """A decoder that reads the encoder's last state at every step, and its own last output."""

    def __init__(self, rng):
        self.encoder = Layer(rng)
        self.u, self.c, self.e, self.v = weights(rng, (D, D), (D, D), (K, D), (D, K))
        self.parameters = joined(self.encoder, self.u, self.c, self.e, self.v)

    def __call__(self, x):
        context = self.encoder.states(x)[-1] @ self.c
        h, y, out = zeros(1, D), zeros(1, K), []
        for _ in x:
            h = mg.tanh(h @ self.u + context + y @ self.e)
            y = softmax(h @ self.v)
            out.append(y)
        return mg.concatenate(out)


@recurrence(source="Xia et al., Deliberation networks: sequence generation beyond one-pass decoding, 2017 (a draft)")
class ReadsItsDraft(Decoder):
    """A third pass reads what the decoder has computed, beside the sequence."""

    def __init__(self, rng):
        super().__init__(rng)
        self.last = Layer(rng, C + D)
        self.parameters = joined(self.encoder, self.u, self.v, self.last)

    def __call__(self, x):
        rows = mg.concatenate([x, mg.concatenate(self.decoded(x))], axis=1)
        return self.last.states(rows)[-1] @ self.v


@tagger(source="Gehring et al., Convolutional sequence to sequence learning, 2017 (positions)", compiles=False)
class CountsItsOutputs(Decoder):
    """A decoder that runs by itself, with a number of the step."""

    def __call__(self, x):
        h, out = self.encoder.states(x)[-1], []
        for t in range(len(x)):
            h = mg.tanh(h @ self.u + np.float32(0.1 * t))
            out.append(h @ self.v)
        return mg.concatenate(out)
