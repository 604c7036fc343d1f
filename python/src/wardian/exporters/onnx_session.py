"""Runs ONNX files with ONNX Runtime, where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tensors import NUMPY_TYPES, Tensor

Run = Callable[[Sequence[Tensor]], list[Tensor]]


def session(file: bytes) -> Run | None:
    """Opens a file; ``None`` if ONNX Runtime is not installed.

    Raises:
        Exception: if ONNX Runtime does not take the file; its exceptions have no common class.
    """
    try:
        import onnxruntime
    except ImportError:
        return None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    opened = _open(onnxruntime, file, options)
    names = [output.name for output in opened.get_outputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        values = opened.run(names, {tensor.name: tensor.numpy() for tensor in inputs})
        pairs = zip(names, values, strict=True)
        return [_tensor(name, value) for name, value in pairs if hasattr(value, "dtype")]

    return run


def _open(onnxruntime: Any, file: bytes, options: Any) -> Any:
    providers = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as error:
        if "locale" not in str(error):
            raise
    return onnxruntime.InferenceSession(_with_plain_locale(file), options, providers=providers)


def _with_plain_locale(file: bytes) -> bytes:
    """Names a locale that every Linux has: the file's may not be installed here.

    It only says which letters are large and small; all locales of UTF-8 agree in that.
    """
    import onnx

    document = onnx.load_from_string(file)
    for node in document.graph.node:
        if node.op_type == "StringNormalizer":
            others = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend([*others, onnx.helper.make_attribute("locale", "C.UTF-8")])
    return document.SerializeToString()


def _tensor(name: str, value: Any) -> Tensor:
    datatypes = [
        datatype for datatype, numpy_type in NUMPY_TYPES.items() if value.dtype == numpy_type
    ]
    return Tensor.of(name, datatypes[0] if datatypes else "BYTES", value.shape, value)
