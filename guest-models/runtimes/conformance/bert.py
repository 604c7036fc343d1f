"""Encoders in the manner of BERT as ONNX graphs, of given or of random weights."""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-12


def random_weights(tokens, width=32, layers=2, positions=128, types=2, seed=1):
    """Returns random weights under the names of transformers."""
    random = np.random.default_rng(seed)

    def matrix(*shape, size=0.3):
        return random.normal(0, size, shape).astype(np.float32)

    weights = {
        "embeddings.word_embeddings.weight": matrix(tokens, width, size=1),
        "embeddings.position_embeddings.weight": matrix(positions, width),
        "embeddings.token_type_embeddings.weight": matrix(types, width),
        "embeddings.LayerNorm.weight": 1 + matrix(width),
        "embeddings.LayerNorm.bias": matrix(width),
    }
    for layer in range(layers):
        for part, (rows, columns) in {
            "attention.self.query": (width, width),
            "attention.self.key": (width, width),
            "attention.self.value": (width, width),
            "attention.output.dense": (width, width),
            "intermediate.dense": (4 * width, width),
            "output.dense": (width, 4 * width),
        }.items():
            weights[f"encoder.layer.{layer}.{part}.weight"] = matrix(rows, columns)
            weights[f"encoder.layer.{layer}.{part}.bias"] = matrix(rows)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{layer}.{part}.weight"] = 1 + matrix(width)
            weights[f"encoder.layer.{layer}.{part}.bias"] = matrix(width)
    return weights


def read_safetensors(path):
    """Reads a file of safetensors with numbers of 32 bits."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header.pop("__metadata__", None)

    def read(entry):
        start, stop = entry["data_offsets"]
        kind = {"F32": np.float32, "I64": np.int64}[entry["dtype"]]
        return np.frombuffer(content[end + start : end + stop], kind).reshape(entry["shape"])

    return {name: read(entry) for name, entry in header.items()}


class Encoder:
    """A graph in the making.

    Args:
        weights: The weights, under the names of transformers.
        heads: The heads of attention.
        first_position: The position of the first token.
        types: Whether the graph has the input ``token_type_ids``.
    """

    def __init__(self, weights, heads, first_position=0, types=True):
        self.weights, self.heads, self.types = weights, heads, types
        self.nodes, self.constants = [], {}
        self.width = weights["embeddings.LayerNorm.weight"].shape[0]
        layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}

        mask = self.embed_mask()
        value = self.embed(first_position)
        for layer in range(len(layers)):
            value = self.layer(f"encoder.layer.{layer}", value, mask)
        self.output = value

    def add(self, operator, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, name, value):
        self.constants[name] = np.asarray(value)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def embed_mask(self):
        kept = self.add("Cast", "attention_mask", to=TensorProto.FLOAT)
        kept = self.add("Unsqueeze", kept, self.constant("axes12", np.array([1, 2])))
        lost = self.add("Sub", self.constant("one", np.float32(1)), kept)
        return self.add("Mul", lost, self.constant("least", np.finfo(np.float32).min))

    def embed(self, first_position):
        shape = self.add("Shape", "input_ids", start=1, end=2)
        length = self.add("Squeeze", shape)
        zero, step = self.constant("zero", np.int64(0)), self.constant("step", np.int64(1))
        positions = self.add("Range", zero, length, step)
        offset = self.constant("first_position", np.int64(first_position))
        positions = self.add("Add", positions, offset)

        value = self.add("Gather", self.weight("embeddings.word_embeddings.weight"), "input_ids")
        table = self.weight("embeddings.position_embeddings.weight")
        value = self.add("Add", value, self.add("Gather", table, positions))
        if self.types:
            table = self.weight("embeddings.token_type_embeddings.weight")
            value = self.add("Add", value, self.add("Gather", table, "token_type_ids"))
        return self.normalize("embeddings.LayerNorm", value)

    def normalize(self, name, value):
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", value, weight, bias, axis=-1, epsilon=EPSILON)

    def dense(self, name, value):
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T.copy())
        return self.add("Add", self.add("MatMul", value, weight), self.weight(f"{name}.bias"))

    def split(self, name, value, order):
        size = self.width // self.heads
        shape = self.constant("split", np.array([0, 0, self.heads, size]))
        parts = self.add("Reshape", self.dense(name, value), shape)
        return self.add("Transpose", parts, perm=order)

    def layer(self, name, value, mask):
        attention = f"{name}.attention.self"
        query = self.split(f"{attention}.query", value, [0, 2, 1, 3])
        key = self.split(f"{attention}.key", value, [0, 2, 3, 1])
        values = self.split(f"{attention}.value", value, [0, 2, 1, 3])
        scale = self.constant("scale", np.float32(np.sqrt(self.width // self.heads)))
        scores = self.add("Div", self.add("MatMul", query, key), scale)
        shares = self.add("Softmax", self.add("Add", scores, mask), axis=-1)
        context = self.add("Transpose", self.add("MatMul", shares, values), perm=[0, 2, 1, 3])
        joined = self.constant("joined", np.array([0, 0, self.width]))
        context = self.add("Reshape", context, joined)

        context = self.dense(f"{name}.attention.output.dense", context)
        value = self.normalize(
            f"{name}.attention.output.LayerNorm", self.add("Add", context, value)
        )
        wide = self.add("Gelu", self.dense(f"{name}.intermediate.dense", value))
        wide = self.dense(f"{name}.output.dense", wide)
        return self.normalize(f"{name}.output.LayerNorm", self.add("Add", wide, value))

    def classify(self, labels, by_token, seed=2):
        """Adds a layer of random weights with scores for labels."""
        if not by_token:
            zero = self.constant("zero", np.int64(0))
            self.output = self.add("Gather", self.output, zero, axis=1)
        random = np.random.default_rng(seed)
        self.weights["classifier.weight"] = random.normal(0, 0.5, (labels, self.width)).astype(
            np.float32
        )
        self.weights["classifier.bias"] = random.normal(0, 0.5, labels).astype(np.float32)
        self.output = self.dense("classifier", self.output)

    def save(self, path, output, dimensions):
        """Writes the file."""
        self.nodes.append(helper.make_node("Identity", [self.output], [output]))
        names = ["input_ids", "attention_mask"] + ["token_type_ids"] * self.types
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in names
        ]
        outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, dimensions)]
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "encoder", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", 20)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        path.write_bytes(model.SerializeToString())
