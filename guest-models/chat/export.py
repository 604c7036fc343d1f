"""Reads the network out of the package textgenrnn and writes weights.bin and golden.json.

    pip install -r requirements.txt && pip download --no-deps --no-binary :all: -d package textgenrnn==2.0.0
    python export.py package/textgenrnn-2.0.0.tar.gz

weights.bin, little-endian and without padding:
    u32 codes, width, units: how many characters there are, the numbers that stand for one, an LSTM's size
    u32 [codes], the character that a code stands for; 0 for code 0, 1 for the end of a text
    f32 embeddings [codes, width]
    f32 first LSTM: kernel [4 units, width], recurrent kernel [4 units, units], bias [4 units]
    f32 second LSTM: both kernels side by side [4 units, 2 units], bias [4 units]
    f32 attention [width + 2 units]
    f32 output [codes, width + 2 units], bias [codes]
Of an LSTM's 4 units rows the first quarter are its input gates, then come its forget gates, its
candidates, its output gates.
"""

import io
import json
import struct
import sys
import tarfile
from itertools import cycle
from pathlib import Path

import h5py
import numpy as np

from reference import END, UNITS, Network, write_on

HERE = Path(__file__).parent
PROMPTS = ["", "Hello", "How do I", "What is the best", "My cat", "I just found out that", "日本 and “quotes”",
           "This is a much longer prompt, of which the network reads no more than the last forty characters"]
SETTINGS = [{"max_tokens": 40}, {"temperature": 0.0, "max_tokens": 40}, {"temperature": 1.0, "seed": 7, "max_tokens": 40}]


def read_package(path):
    with tarfile.open(path) as package:
        def member(name):
            return package.extractfile(f"textgenrnn-2.0.0/textgenrnn/textgenrnn_{name}").read()

        return Network(h5py.File(io.BytesIO(member("weights.hdf5"))), json.loads(member("vocab.json")))


def characters(network):
    for code in range(len(network.embeddings)):
        character = network.characters.get(code)
        yield 0 if character is None else 1 if character == END else ord(character)


def weights_bytes(network):
    codes, width = network.embeddings.shape
    (kernel, recurrent, bias), (second_kernel, second_recurrent, second_bias) = network.layers
    yield struct.pack("<III", codes, width, UNITS) + np.array([*characters(network)], "<u4").tobytes()
    for part in [network.embeddings, kernel.T, recurrent.T, bias,
                 np.vstack([second_kernel, second_recurrent]).T, second_bias,
                 network.attention, network.output.T, network.output_bias]:
        yield part.astype("<f4").tobytes()


def golden_case(network, prompt, settings):
    def text(name, value):
        return {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]}

    return {
        "request": {"inputs": [text("text_input", prompt)], "parameters": settings},
        "response": {"outputs": [text("text_output", write_on(network, prompt, **settings))]},
    }


def main(package):
    network = read_package(package)
    (HERE / "weights.bin").write_bytes(b"".join(weights_bytes(network)))
    # Few, because the host runs all of them before it publishes a version.
    cases = [golden_case(network, "I", {})]
    cases += [golden_case(network, prompt, settings) for prompt, settings in zip(PROMPTS, cycle(SETTINGS))]
    for case in cases:
        print(repr(case["request"]["inputs"][0]["data"][0]), repr(case["response"]["outputs"][0]["data"][0]))
    document = {"tolerance": {"relative": 0.0, "absolute": 0.0}, "cases": cases}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
