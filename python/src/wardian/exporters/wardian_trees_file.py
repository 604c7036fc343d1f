"""HistGradientBoosting of scikit-learn, whose ONNX converter fails, as ``wardian-trees``."""

from __future__ import annotations

import json
from typing import Any

from ..exported import Exported, Tolerance, float_tensor, label_tensor
from ..sample import Sample
from ..tensors import Tensor, TensorSpec

# Everything is computed in doubles; exp and log may differ in their last bits.
_TOLERANCE = Tolerance(relative=1e-6, absolute=1e-12)


def export(model: Any, sample: Sample) -> Exported:
    """Exports a ``HistGradientBoostingClassifier`` or ``HistGradientBoostingRegressor``."""
    from . import hist_gradient_boosting

    content = hist_gradient_boosting.export(model)
    columns = json.loads(content)["columns"]
    inputs = _inputs(columns)
    is_matrix = len(inputs) == 1 and inputs[0].name == "features"
    names = json.dumps([column["name"] for column in columns])

    return Exported(
        file_name="model.trees.json",
        content=content,
        inputs=inputs,
        answer=lambda rows: _answers(model, rows),
        tolerance=_TOLERANCE,
        properties={"feature_names": names} if is_matrix else {},
    )


def _inputs(columns: list[dict[str, Any]]) -> list[TensorSpec]:
    """Returns a matrix, or an input for each column if one has categories that are texts."""
    texts = [
        any(isinstance(category, str) for category in column.get("categories", ()))
        for column in columns
    ]
    if not any(texts):
        return [TensorSpec("features", "FP64", (-1, len(columns)))]
    return [
        TensorSpec(column["name"], "BYTES" if is_text else "FP64", (-1, 1))
        for column, is_text in zip(columns, texts, strict=True)
    ]


def _answers(model: Any, sample: Sample) -> list[Tensor]:
    if not hasattr(model, "predict_proba"):
        return [float_tensor("prediction", model.predict(sample.given()), "FP64")]
    probabilities = model.predict_proba(sample.given())
    label = label_tensor(model.predict(sample.given()))
    return [label, float_tensor("probabilities", probabilities, "FP64")]
