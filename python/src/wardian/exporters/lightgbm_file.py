"""Models of LightGBM, in its own text format."""

from __future__ import annotations

import json
from typing import Any

from ..errors import NotSaved
from ..exported import Exported, Tolerance, class_values, float_tensor, label_tensor
from ..sample import Sample
from ..tensors import Tensor, TensorSpec
from .categories import category_columns, category_inputs

# Everything is computed in doubles; exp and log may differ in their last bits.
_TOLERANCE = Tolerance(relative=1e-6, absolute=1e-12)


def export(model: Any, sample: Sample, classes: Any = None) -> Exported:
    """Exports a ``Booster`` or an estimator of LightGBM's scikit-learn interface.

    Args:
        model: The model. After early stopping, its best rounds are saved.
        sample: Rows for it.
        classes: The classes of a classifier that is a ``Booster``, if they have names.
    """
    if hasattr(model, "fit") and not hasattr(model, "booster_"):
        raise NotSaved("the model is not fitted; call fit(X, y) first")
    booster = model.booster_ if hasattr(model, "booster_") else model
    classes = getattr(model, "classes_", classes)
    names = booster.feature_name()
    columns = _renamed_columns(sample, names)
    categorical = category_inputs(sample, names, "FP64")

    metadata: dict[str, Any] = {}
    if classes is not None and class_values(classes) != list(range(len(classes))):
        metadata["classes"] = class_values(classes)
    if columns:
        metadata["columns"] = columns
        # The reader of this format does not give them to clients by itself.
        metadata["properties"] = {"columns": json.dumps(columns, ensure_ascii=False)}
    categories = category_columns(sample)
    if categories and len(categories) == len(booster.pandas_categorical or ()):
        metadata["categorical_columns"] = [names[number] for number in categories]
    properties = {} if categorical else {"feature_names": json.dumps(names)}
    if columns:
        properties["columns"] = json.dumps(columns)

    return Exported(
        file_name="model.txt",
        content=booster.model_to_string().encode(),
        inputs=categorical or [TensorSpec("features", "FP64", (-1, sample.width))],
        answer=_Answers(model, booster, classes),
        tolerance=_TOLERANCE,
        properties=properties,
        metadata=metadata,
    )


def _renamed_columns(sample: Sample, names: list[str]) -> dict[str, str]:
    """LightGBM writes ``_`` for spaces in the names of columns."""
    given = sample.names
    if given is None:
        return {}
    if len(given) != len(names):
        raise NotSaved(f"the sample has {len(given)} columns, and the model {len(names)}")
    return {column: name for column, name in zip(given, names, strict=True) if column != name}


class _Answers:
    """Asks the original."""

    def __init__(self, model: Any, booster: Any, classes: Any) -> None:
        self._model = model
        self._booster = booster
        self._classes = classes
        line = [line for line in booster.model_to_string().splitlines() if "objective=" in line]
        self._objective = line[0].partition("=")[2].split()[0] if line else ""

    def __call__(self, sample: Sample) -> list[Tensor]:
        import numpy as np

        predicted = self._predict(sample)
        if self._objective in ("binary", "multiclass", "multiclassova"):
            if predicted.ndim == 1:
                predicted = np.column_stack([1 - predicted, predicted])
            label = self._label(sample, predicted)
            return [label, float_tensor("probabilities", predicted, "FP64")]
        return [float_tensor("prediction", predicted, "FP64")]

    def _predict(self, sample: Sample) -> Any:
        if hasattr(self._model, "predict_proba") and self._objective:
            return self._model.predict_proba(sample.given())
        if self._model is not self._booster:
            return self._model.predict(sample.given())
        return self._booster.predict(sample.given())

    def _label(self, sample: Sample, probabilities: Any) -> Tensor:
        import numpy as np

        if hasattr(self._model, "predict_proba"):
            return label_tensor(self._model.predict(sample.given()))
        numbers = np.argmax(probabilities, axis=1)
        return label_tensor(numbers if self._classes is None else np.array(self._classes)[numbers])
