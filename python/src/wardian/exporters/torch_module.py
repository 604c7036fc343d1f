"""Modules of PyTorch, as ONNX, by its own exporter."""

from __future__ import annotations

import io
import json
import warnings
from typing import Any

from ..comparison import first_difference
from ..errors import NotSaved
from ..exported import Exported, Tolerance, float_tensor
from ..sample import Sample
from ..tensors import Tensor
from . import onnx_graph, onnx_session

_OPSET = 18
# Networks compute in 32-bit floats, in another order than PyTorch.
_TOLERANCE = Tolerance(relative=1e-4, absolute=1e-5)


def export(model: Any, sample: Sample, tolerance: Tolerance | None = None) -> Exported:
    """Exports a module that takes one matrix of 32-bit floats and returns one tensor.

    Raises:
        NotSaved: if PyTorch cannot export the module, or the file does not answer as the module.
    """
    if not all(sample.is_numeric(number) for number in range(sample.width)):
        raise NotSaved("a module takes numbers, and the sample has other columns")

    content = _content(model, sample)
    graph = _graph(content)
    names = sample.names
    properties = {"feature_names": json.dumps(names)} if names is not None else {}
    exported = Exported(
        file_name="model.onnx",
        content=content,
        inputs=onnx_graph.specs(graph.input),
        answer=lambda rows: [_answer(model, rows)],
        tolerance=tolerance or _TOLERANCE,
        properties=properties,
        metadata={"properties": dict(properties)},
        run=onnx_session.session(content),
    )
    difference = first_difference(exported, sample)
    if difference is not None:
        raise NotSaved(f"the exported file does not answer as the module: {difference}")
    return exported


def _content(model: Any, sample: Sample) -> bytes:
    import torch

    buffer = io.BytesIO()
    axes = {"features": {0: "rows"}, "prediction": {0: "rows"}}
    model.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model, (_tensor(sample.slice(0, 2)),), buffer, input_names=["features"],
                output_names=["prediction"], dynamic_axes=axes, opset_version=_OPSET, dynamo=False,
            )  # fmt: skip
    except Exception as error:  # The exporter raises exceptions of many kinds.
        raise NotSaved(f"torch.onnx does not export this module: {error}") from error
    return buffer.getvalue()


def _graph(content: bytes) -> Any:
    import onnx

    return onnx.load_from_string(content).graph


def _answer(model: Any, sample: Sample) -> Tensor:
    import torch

    with torch.no_grad():
        return float_tensor("prediction", model(_tensor(sample)).numpy(), "FP32")


def _tensor(sample: Sample) -> Any:
    import numpy as np
    import torch

    rows = sample.rows.to_numpy() if sample.kind == "frame" else sample.rows
    return torch.as_tensor(np.ascontiguousarray(rows, dtype=np.float32))
