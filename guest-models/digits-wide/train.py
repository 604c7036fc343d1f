"""Trains the network and writes weights.bin and golden.json.

    pip install -r requirements.txt && python train.py

weights.bin, little-endian and without padding, for each layer in turn:
    u32 inputs, u32 outputs
    f32 weights, [outputs, inputs] row by row
    f32 biases, [outputs]
The first layer's weights include the division of pixels by 16, so the network takes pixels as they are.
"""

import json
import struct
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
DARKEST = 16.0


def weights_bytes(model):
    for layer, (weights, biases) in enumerate(zip(model.coefs_, model.intercepts_)):
        scaled = weights / DARKEST if layer == 0 else weights
        yield struct.pack("<II", *weights.shape)
        yield scaled.T.astype("<f4").tobytes() + biases.astype("<f4").tobytes()


def tensor(name, datatype, values):
    return {"name": name, "shape": list(values.shape), "datatype": datatype, "data": values.ravel().tolist()}


def golden_case(model, images):
    probabilities = model.predict_proba(images / DARKEST).round(9)
    return {
        "request": {"inputs": [tensor("image", "FP32", images)]},
        "response": {"outputs": [
            tensor("digit", "INT64", model.predict(images / DARKEST)),
            tensor("probabilities", "FP32", probabilities),
        ]},
    }


def main():
    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.data, digits.target, test_size=0.2, random_state=0, stratify=digits.target)
    model = MLPClassifier(hidden_layer_sizes=(512, 512), random_state=0, max_iter=400)
    model.fit(train_images / DARKEST, train_labels)
    print(f"accuracy on unseen digits: {model.score(test_images / DARKEST, test_labels):.3f}")

    (HERE / "weights.bin").write_bytes(b"".join(weights_bytes(model)))
    batches = [test_images[:count] for count in (1, 2, 3, 8, 9, 23, 64)]
    cases = [golden_case(model, images) for images in batches]
    # The library computes in 64 bits, this model in 32.
    document = {"tolerance": {"relative": 1e-4, "absolute": 1e-6}, "cases": cases}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
