"""The network of textgenrnn in NumPy, in 64 bits: the computation of src/, in the simplest form.

For every character that it writes, the original runs the network afresh over a window of the last 40.
"""

import numpy as np

WINDOW = 40
UNITS = 128
END = "<s>"


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def plain_order(kernel, recurrent, bias):
    """An LSTM layer as Keras computes it, from the weight order of the graphics library used in training."""
    gates = [gate.reshape(UNITS, len(kernel)).T for gate in np.split(kernel, 4, axis=1)]
    recurrent = [gate.T for gate in np.split(recurrent, 4, axis=1)]
    return np.hstack(gates), np.hstack(recurrent), bias[: 4 * UNITS] + bias[4 * UNITS :]


class Network:
    def __init__(self, file, vocabulary):
        def part(layer, name):
            return file[f"{layer}/{layer}/{name}:0"][()].astype(np.float64)

        def lstm(layer):
            return plain_order(*(part(layer, name) for name in ("kernel", "recurrent_kernel", "bias")))

        self.codes = vocabulary
        self.characters = {code: character for character, code in vocabulary.items()}
        self.embeddings = part("embedding", "embeddings")
        self.layers = [lstm("rnn_1"), lstm("rnn_2")]
        self.attention = part("attention", "attention_W")[:, 0]
        self.output, self.output_bias = part("output", "kernel"), part("output", "bias")

    def window(self, text):
        """The last 40 codes of the text; 0 stands for an unknown character, and for what is before it."""
        codes = [self.codes[END], *(self.codes.get(character, 0) for character in text)][-WINDOW:]
        return [0] * (WINDOW - len(codes)) + codes

    def probabilities(self, text):
        """The probability of each next code."""
        values = self.embeddings[self.window(text)]
        seen = [values]
        for layer in self.layers:
            values = run(layer, values)
            seen.append(values)
        seen = np.hstack(seen)
        return softmax(softmax(seen @ self.attention) @ seen @ self.output + self.output_bias)


def run(layer, inputs):
    kernel, recurrent, bias = layer
    hidden, cell, outputs = np.zeros(UNITS), np.zeros(UNITS), []
    for values in inputs:
        into, forget, candidate, out = np.split(values @ kernel + hidden @ recurrent + bias, 4)
        cell = sigmoid(forget) * cell + sigmoid(into) * np.tanh(candidate)
        hidden = sigmoid(out) * np.tanh(cell)
        outputs.append(hidden)
    return np.array(outputs)


# === Generation ===

class Dice:
    """SplitMix64 by S. Vigna, as numbers from 0 to 1."""

    MASK = 2**64 - 1

    def __init__(self, seed):
        self.state = seed & self.MASK

    def roll(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & self.MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / 2**53


def choose(probabilities, temperature, dice):
    """A code other than 0, which is no character."""
    if temperature == 0:
        return 1 + int(probabilities[1:].argmax())
    weights = np.exp(np.log(probabilities[1:] + 1e-7) / temperature)
    sums = np.cumsum(weights)
    return 1 + int(np.searchsorted(sums, dice.roll() * sums[-1], side="right"))


def write_on(network, prompt, max_tokens=100, temperature=0.5, seed=0):
    dice, text = Dice(seed), ""
    while len(text) < max_tokens:
        code = choose(network.probabilities(prompt + text), temperature, dice)
        if network.characters[code] == END:
            break
        text += network.characters[code]
    return text
