"""What a scikit-learn estimator answers, under the names of a converted file's outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..exported import float_tensor, label_tensor
from ..sample import Sample
from ..tensors import FLOATS, Tensor, TensorSpec


@dataclass(frozen=True)
class Output:
    """An output: its name in the saved file, and the method of the original that gives it."""

    name: str
    ask: Callable[[Any], Any]


def outputs_of(model: Any) -> list[Output]:
    """Returns the outputs that skl2onnx writes for an estimator, in their order."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    if is_classifier(model):
        return [Output("label", model.predict), *_confidence(model)]
    if is_outlier_detector(model):
        return [Output("label", model.predict), Output("scores", model.decision_function)]
    if is_regressor(model) or (hasattr(model, "predict") and not _gives_labels(model)):
        return [Output("prediction", model.predict)]
    if is_clusterer(model):
        scores = [Output("scores", model.transform)] if hasattr(model, "transform") else []
        return [Output("label", model.predict), *scores]
    if hasattr(model, "predict_proba"):
        return [Output("label", model.predict), Output("probabilities", model.predict_proba)]
    if hasattr(model, "transform"):
        return [Output("transformed", model.transform)]
    return []


def _confidence(model: Any) -> list[Output]:
    """Probabilities, or scores, which are not called so."""
    if hasattr(model, "predict_proba"):
        return [Output("probabilities", model.predict_proba)]
    if hasattr(model, "decision_function"):
        return [Output("scores", model.decision_function)]
    return []


def _gives_labels(model: Any) -> bool:
    from sklearn.base import is_clusterer

    return is_clusterer(model) or hasattr(model, "predict_proba")


def answer(output: Output, spec: TensorSpec, sample: Sample) -> Tensor | None:
    """Asks the original for one output of the file.

    Args:
        output: The output.
        spec: The datatype and the shape that the file gives it.
        sample: The rows.

    Returns:
        The tensor; ``None`` if the file's output is of another form than the original's answer,
        such as the two scores that a converted support vector machine has for its one.
    """
    import numpy as np

    values = output.ask(sample.given())
    if isinstance(values, list):  # An array for each of several labels.
        return None
    values = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if len(spec.shape) == 2 and values.ndim == 1:
        values = values.reshape(-1, 1)
    if len(spec.shape) == 1 and values.ndim == 2 and values.shape[1] == 1:
        values = values.ravel()
    if len(spec.shape) != values.ndim or _differs(spec.shape[1:], values.shape[1:]):
        return None

    if spec.datatype in FLOATS:
        return float_tensor(output.name, values, spec.datatype)
    tensor = label_tensor(values)
    return Tensor(output.name, tensor.datatype, tensor.shape, tensor.raw)


def _differs(declared: tuple[int, ...], actual: tuple[int, ...]) -> bool:
    pairs = zip(declared, actual, strict=True)
    return any(extent not in (-1, found) for extent, found in pairs)
