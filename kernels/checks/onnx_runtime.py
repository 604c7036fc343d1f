"""Measures ONNX Runtime on one thread with the layers of the example `speed`, and prints both.

    cargo build --release --package kernel-checks --example speed
    python kernels/checks/onnx_runtime.py target/release/examples/speed [NAME]

It needs the packages `numpy`, `onnx` and `onnxruntime`. Both programs measure a layer in turn, so that
other programs disturb both alike.
"""

import re
import subprocess
import sys
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROUNDS = 30


def session(nodes, weights, input_shape):
    """Returns a session of a graph with one input `x`, and the input."""
    graph = helper.make_graph(
        nodes, "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    made = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return made, numpy.random.rand(*input_shape).astype("f4")


def matmul(rows, inner, columns):
    weights = {"w": numpy.random.rand(inner, columns).astype("f4")}
    return session([helper.make_node("MatMul", ["x", "w"], ["y"])], weights, [rows, inner])


def convolution(inputs, outputs, image, kernel, stride):
    weights = {"w": numpy.random.rand(outputs, inputs, kernel, kernel).astype("f4"),
               "b": numpy.random.rand(outputs).astype("f4")}
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[stride] * 2, pads=[kernel // 2] * 4),
             helper.make_node("Relu", ["c"], ["y"])]
    return session(nodes, weights, [1, inputs, image, image])


def least(name):
    """Returns the least time of a layer in microseconds; `None` if its name says nothing."""
    numbers = [int(number) for number in re.findall(r"\d+", name.split(":")[-1])]
    if name.startswith("matmul") and len(numbers) == 3:
        made, x = matmul(*numbers)
    elif ":" in name and len(numbers) == 5:
        made, x = convolution(*numbers)
    else:
        return None

    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        made.run(None, {"x": x})
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def main():
    program = sys.argv[1]
    name = sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"{'':34} {'kernel':>9} {'ONNX Runtime':>13}  microseconds")

    listed = subprocess.run([program, "best", name], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines()[1:]:
        layer = line[:34].strip()
        theirs = least(layer)
        if theirs is None:
            continue
        again = subprocess.run([program, "best", layer], check=True, capture_output=True, text=True).stdout
        ours = float(re.search(r"([\d.]+) us", again.splitlines()[1])[1])
        print(f"{layer:34} {ours:9.1f} {theirs:13.1f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
