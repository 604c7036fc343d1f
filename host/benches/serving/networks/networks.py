"""Writes the networks that the benchmark measures, with requests and ONNX Runtime's answers.

``networks.py FOLDER TEXT_MODELS`` writes ``models/NAME/1/model.onnx`` and, for each case,
``cases/NAME-CASE.npz`` with the inputs, ``.request`` with the body of a request with binary
data, and ``.json`` with the size of the body's head and the expected numbers of the first output.

The weights of MiniLM, magika and both networks of RapidOCR are those of their packages. No
package has those of ResNet-50 and SqueezeNet: the graphs are those of the package ``onnx``, with
random weights.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

KINDS = {"int32": "INT32", "int64": "INT64", "float32": "FP32"}


def package(name):
    return Path(importlib.util.find_spec(name).origin).parent


def write_network(folder, name, source):
    """Writes a file, or copies it from where it lies."""
    version = folder / "models" / name / "1"
    version.mkdir(parents=True)
    if isinstance(source, Path):
        shutil.copyfile(source, version / "model.onnx")
    else:
        onnx.save(source, version / "model.onnx")


def write_case(folder, name, case, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    file = folder / "models" / name / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    first = session.get_outputs()[0].name
    [answer] = session.run([first], inputs)

    described = [
        {
            "name": key,
            "shape": list(value.shape),
            "datatype": KINDS[value.dtype.name],
            "parameters": {"binary_data_size": value.nbytes},
        }
        for key, value in inputs.items()
    ]
    wanted = [{"name": first, "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": described, "outputs": wanted}).encode()
    body = head + b"".join(value.tobytes() for value in inputs.values())

    cases = folder / "cases"
    cases.mkdir(exist_ok=True)
    np.savez(cases / f"{name}-{case}.npz", **inputs)
    (cases / f"{name}-{case}.request").write_bytes(body)
    expected = {"head": len(head), "answer": answer.astype(float).ravel().tolist()}
    (cases / f"{name}-{case}.json").write_text(json.dumps(expected))


# === Transformers ===


def tokens(generator, rows, length):
    ids = generator.integers(1000, 30000, (rows, length))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def transformers(folder, text_models, generator):
    for name in ["minilm", "minilm-int8"]:
        write_network(folder, name, text_models / name / "1" / "model.onnx")
        for rows, length in [(1, 16), (1, 128), (8, 16), (8, 128)]:
            write_case(folder, name, f"{rows}x{length}", tokens(generator, rows, length))


# === Images ===


def shapes_of_constants(graph):
    """The shapes of the values that nodes `ConstantOfShape` make."""
    values = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    makers = [node for node in graph.node if node.op_type == "ConstantOfShape"]
    return {node.output[0]: values[node.input[0]].tolist() for node in makers}


def random_weight(generator, name, shape):
    """Weights with which numbers keep their size from layer to layer."""
    if len(shape) > 1:
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        return generator.normal(0, deviation, shape)
    if name.endswith("_riv_0"):
        return generator.uniform(0.5, 1.5, shape)
    if name.endswith("_s_0"):
        return generator.uniform(0.2, 0.6, shape)
    return generator.normal(0, 0.1, shape)


def with_weights(name, generator):
    """Returns a graph of the package `onnx`, whose weights are left out there."""
    model = onnx.load(package("onnx") / f"backend/test/data/light/light_{name}.onnx")
    graph = model.graph
    shapes = shapes_of_constants(graph)
    used = {value for node in graph.node for value in node.input}
    kept = [value for value in graph.initializer if value.data_type == onnx.TensorProto.INT64]
    shapes |= {
        value.name: list(value.dims)
        for value in graph.initializer
        if value.data_type == onnx.TensorProto.FLOAT and value.name in used
    }
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    weights = [
        numpy_helper.from_array(
            random_weight(generator, key, shape).astype(np.float32), key
        )
        for key, shape in sorted(shapes.items())
    ]

    for node in nodes:
        if node.op_type == "Reshape":
            rows = numpy_helper.from_array(np.array([0, -1]), node.input[1])
            kept = [rows if value.name == rows.name else value for value in kept]
    images = next(value for value in graph.input if value.name == nodes[0].input[0])
    for value in [images, graph.output[0]]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    remaining = {name for node in nodes for name in node.input}
    kept = [value for value in kept if value.name in remaining]

    del graph.node[:], graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights + kept)
    graph.input.append(images)
    model.ir_version = max(model.ir_version, 4)
    return model


def images(generator, rows, height, width):
    return generator.normal(0, 1, (rows, 3, height, width)).astype(np.float32)


def image_networks(folder, generator):
    for name in ["resnet50", "squeezenet"]:
        model = with_weights(name, generator)
        write_network(folder, name, model)
        given = model.graph.input[0].name
        for rows in [1, 8]:
            write_case(folder, name, f"{rows}", {given: images(generator, rows, 224, 224)})

    models = package("rapidocr_onnxruntime") / "models"
    for name, file, height, width in [
        ("text-direction", "ch_ppocr_mobile_v2.0_cls_infer.onnx", 48, 192),
        ("text-detector", "ch_PP-OCRv4_det_infer.onnx", 320, 320),
    ]:
        write_network(folder, name, models / file)
        for rows in [1, 8]:
            write_case(folder, name, f"{rows}", {"x": images(generator, rows, height, width)})


# === Kinds of files ===


def magika(folder, generator):
    write_network(folder, "magika", package("magika") / "models/standard_v3_3/model.onnx")
    for rows in [1, 8]:
        content = generator.integers(0, 257, (rows, 2048), dtype=np.int32)
        write_case(folder, "magika", f"{rows}", {"bytes": content})


def main():
    folder, text_models = map(Path, sys.argv[1:])
    generator = np.random.default_rng(7)
    transformers(folder, text_models, generator)
    image_networks(folder, generator)
    magika(folder, generator)


if __name__ == "__main__":
    main()
