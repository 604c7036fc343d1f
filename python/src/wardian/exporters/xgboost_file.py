"""Models of XGBoost, in its own JSON or UBJSON."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from ..exported import Exported, Tolerance, class_values, float_tensor
from ..sample import Sample
from ..tensors import Tensor, TensorSpec
from .categories import category_columns, category_inputs

# The sums are those of the library; the last steps (exp, division) may differ in the last bit of a
# 32-bit number, which counts most where a probability is subtracted from 1.
_TOLERANCE = Tolerance(relative=1e-6, absolute=2e-7)


def export(model: Any, sample: Sample, format: str = "json", classes: Any = None) -> Exported:
    """Exports a ``Booster`` or an estimator of XGBoost's scikit-learn interface.

    Args:
        model: The model.
        sample: Rows for it.
        format: ``json`` or ``ubj``, which is smaller.
        classes: The classes of a classifier, if they have names.

    Raises:
        NotSaved: if the model's answers cannot be told from its file.
    """
    if format not in ("json", "ubj"):
        raise ValueError(f"format is 'json' or 'ubj', not {format!r}")

    booster = model.get_booster() if hasattr(model, "get_booster") else model
    names = booster.feature_names
    categorical = category_inputs(sample, names, "FP32")
    inputs = categorical or [TensorSpec("features", "FP32", (-1, sample.width))]
    metadata: dict[str, Any] = {}
    if classes is not None:
        metadata["classes"] = class_values(classes)
    missing = getattr(model, "missing", None)
    if missing is not None and not math.isnan(missing):
        metadata["missing"] = float(missing)
    metadata["categories"] = _cut_categories(sample)

    return Exported(
        file_name=f"model.{format}",
        content=_content(model, format),
        inputs=inputs,
        answer=_Answers(model, booster, classes),
        tolerance=_TOLERANCE,
        properties={"feature_names": json.dumps(names)} if names and not categorical else {},
        metadata=metadata,
    )


def _cut_categories(sample: Sample) -> dict[str, list[str]]:
    """Returns the categories beyond ASCII, whose names XGBoost before 3.4 cuts in its file."""
    found = {}
    for number in category_columns(sample):
        categories = sample.rows.dtypes.iloc[number].categories.tolist()
        if any(isinstance(value, str) and not value.isascii() for value in categories):
            found[str(sample.rows.columns[number])] = categories
    return found


def _content(model: Any, format: str) -> bytes:
    """Returns the file as ``save_model`` writes it: an estimator notes there that it is one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"model.{format}"
        model.save_model(file)
        return file.read_bytes()


class _Answers:
    """Asks the original."""

    def __init__(self, model: Any, booster: Any, classes: Any) -> None:
        self._model = model
        self._booster = booster
        self._classes = classes
        learner = json.loads(booster.save_config())["learner"]
        self._objective = learner["objective"]["name"]
        self._targets = int(learner["learner_model_param"].get("num_target", 1))

    def __call__(self, sample: Sample) -> list[Tensor]:
        import numpy as np

        if self._objective == "binary:logistic" or self._objective.startswith("multi:soft"):
            probabilities = self._probabilities(sample)
            if probabilities is None:
                return [self._label(self._predict(sample))]
            several = self._objective == "binary:logistic" and self._targets > 1
            labels = probabilities > 0.5 if several else np.argmax(probabilities, axis=1)
            label = self._label(labels)
            return [label, float_tensor("probabilities", probabilities, "FP32")]

        predicted = self._predict(sample)
        if self._objective == "binary:hinge":
            return [self._label(predicted)]
        return [float_tensor("prediction", predicted, "FP32")]

    def _label(self, numbers: Any) -> Tensor:
        import numpy as np

        from ..exported import label_tensor

        numbers = np.asarray(numbers).astype(np.int64)
        if self._classes is None:
            return label_tensor(numbers)
        return label_tensor(np.asarray(self._classes)[numbers])

    def _predict(self, sample: Sample) -> Any:
        if self._model is not self._booster:
            return self._model.predict(sample.given())
        return self._booster.predict(self._rows(sample))

    def _probabilities(self, sample: Sample) -> Any:
        import numpy as np

        if hasattr(self._model, "predict_proba"):
            return self._model.predict_proba(sample.given())
        if self._objective == "multi:softmax":
            return None
        probabilities = self._predict(sample)
        if probabilities.ndim == 2:
            return probabilities
        return np.column_stack([np.float32(1) - probabilities, probabilities])

    def _rows(self, sample: Sample) -> Any:
        import xgboost

        return xgboost.DMatrix(
            sample.given(),
            feature_names=None if sample.kind == "frame" else self._booster.feature_names,
            enable_categorical=True,
        )
