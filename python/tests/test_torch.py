"""Modules of PyTorch. They are saved where `torch` is installed, which no list of packages asks for
because of its size; CONTRIBUTING.md says how to run this."""

import json
import os
import subprocess

import pytest

from wardian import save

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

nn = torch.nn


class Encoder(nn.Module):
    """Reads a row as a sequence of eight vectors."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.embedding = nn.Linear(8, 16)
        self.position = nn.Parameter(torch.randn(8, 16) / 10)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, rows):
        embedded = self.embedding(rows.reshape(-1, 8, 8)) + self.position
        return self.head(self.encoder(embedded).mean(dim=1))


def perceptron():
    return nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.LayerNorm(32), nn.Linear(32, 1))


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(16, 10),
        nn.Softmax(-1),
    )


@pytest.mark.parametrize("network", [perceptron, convolutions, Encoder])
@pytest.mark.filterwarnings("ignore")
def test_a_module_is_saved_and_answers_the_same_in_the_server(network, tmp_path):
    torch.manual_seed(0)
    rows = np.random.default_rng(0).normal(size=(40, 64))
    folder = save(network(), tmp_path / "network" / "1", rows)
    assert sorted(path.name for path in folder.iterdir()) == ["golden.json", "model.onnx"]

    case = json.loads((folder / "golden.json").read_text())["cases"][0]
    [given], [answer] = case["request"]["inputs"], case["response"]["outputs"]
    assert (given["name"], given["datatype"]) == ("features", "FP32")
    assert (answer["name"], answer["datatype"]) == ("prediction", "FP32")

    program = os.environ.get("WARDIAN_PROGRAM")
    if program is not None:
        checked = subprocess.run([program, "check", folder], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
