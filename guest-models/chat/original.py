"""Writes original.json: the probabilities of the package's own Keras model after some prompts.

    pip install -r requirements-original.txt
    pip download --no-deps --no-binary :all: -d package textgenrnn==2.0.0
    tar -x -f package/textgenrnn-2.0.0.tar.gz -C package
    TF_USE_LEGACY_KERAS=1 python original.py package/textgenrnn-2.0.0

Only the package's model.py is used, as it is; its other modules need a TensorFlow of 2020. The answers
are checked against reference.py and written down, so that TensorFlow is not needed again.
"""

import json
import sys
import types
from pathlib import Path

import h5py
import numpy as np

from reference import WINDOW, Network

HERE = Path(__file__).parent
PROMPTS = ["", "Hello", "How do I", "What is the best thing that ever happened", "日本 and “quotes” ☃", "x" * 39,
           "x" * 40, "a prompt of more than forty characters, of which only the last forty are seen"]


def original_model(package, codes):
    # A package without its __init__, which would import the rest.
    shell = types.ModuleType("textgenrnn")
    shell.__path__ = [str(package)]
    sys.modules["textgenrnn"] = shell
    from textgenrnn.model import textgenrnn_model

    settings = {"rnn_layers": 2, "rnn_size": 128, "rnn_bidirectional": False, "max_length": WINDOW,
                "dim_embeddings": 100}
    return textgenrnn_model(codes, settings, weights_path=str(package / "textgenrnn_weights.hdf5"))


def main(package):
    vocabulary = json.loads((package / "textgenrnn_vocab.json").read_text())
    network = Network(h5py.File(package / "textgenrnn_weights.hdf5"), vocabulary)
    model = original_model(package, len(vocabulary) + 1)
    answers = model.predict(np.array([network.window(prompt) for prompt in PROMPTS]), verbose=0)
    for prompt, answer in zip(PROMPTS, answers):
        difference = np.abs(network.probabilities(prompt) - answer).max()
        print(f"{difference:.1e} between the original and reference.py after {prompt!r}")
        assert difference < 1e-5
    document = {prompt: [round(float(number), 8) for number in answer] for prompt, answer in zip(PROMPTS, answers)}
    (HERE / "original.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "textgenrnn")
