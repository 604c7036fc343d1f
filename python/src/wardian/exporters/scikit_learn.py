"""Estimators and pipelines of scikit-learn, as ONNX, by skl2onnx.

A file is made for one layout of the inputs after the other, the most exact first, until one answers
the sample as the original does. If none does, the model is refused with the row that differs.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..comparison import answers_of, first_difference
from ..corner_rows import corners
from ..errors import NotSaved, shortened
from ..exported import Exported, Tolerance, class_values
from ..inputs import input_tensors
from ..sample import Sample
from ..tensors import Tensor, TensorSpec
from . import (
    hist_gradient_boosting_nodes,
    imputers,
    onnx_graph,
    onnx_session,
    unanswered_values,
)
from .estimator_answers import Output, answer, outputs_of
from .onnx_layouts import Layout, layouts
from .words import word_expression

# Versions of the operators that ONNX Runtime and Wardian have had for years.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
# Rows of the sample that are compared. More cost time, and rarely find more.
_COMPARED = 2000
# Estimators within another that are looked at for the text of an error.
_ASKED_ESTIMATORS = 16
# Estimators that turn their rows into 32-bit floats before anything else.
_FLOAT32 = (
    "DecisionTree", "ExtraTree", "RandomForest", "RandomTreesEmbedding", "GradientBoosting",
    "IsolationForest",
)  # fmt: skip


def export(
    model: Any, sample: Sample, tolerance: Tolerance | None = None, opsets: Any = None
) -> Exported:
    """Exports an estimator or a pipeline.

    Args:
        model: The fitted model.
        sample: Rows for it.
        tolerance: How far the file may be from the original; by default 1e-5 of an expected number
            and 1e-5 of the largest one.
        opsets: The versions of the operators by domain, as skl2onnx takes them.

    Raises:
        NotSaved: if skl2onnx does not convert the model, or no file answers as the original.
    """
    _need("skl2onnx")
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    _check_histogram_steps(model)
    tolerance = tolerance or _tolerance(model, sample)
    difference = failure = None
    for layout in _layouts(model, sample):
        try:
            exported = convert(model, sample, layout, tolerance, opsets)
        except NotSaved:
            raise
        except Exception as error:  # skl2onnx and ONNX Runtime raise exceptions of any kind.
            failure = failure or shortened(f"{type(error).__name__}: {error}")
            continue
        found = _examine(exported, sample, _is_tree(model))
        if found is None:
            return exported
        difference = difference or found

    if difference is not None:
        raise NotSaved(f"the converted file does not answer as the original: {difference}")
    raise NotSaved(
        f"skl2onnx does not convert this {type(model).__name__}: {failure}; models of XGBoost, "
        "LightGBM and HistGradientBoosting alone need no conversion"
    )


def _histogram_steps(model: Any) -> list[Any]:
    """Returns the fitted HistGradientBoosting estimators within a model."""
    return [
        step
        for step in _steps(model)
        if type(step).__name__.startswith("HistGradientBoosting") and hasattr(step, "_predictors")
    ]


def _check_histogram_steps(model: Any) -> None:
    steps = _histogram_steps(model)
    for step in steps:
        hist_gradient_boosting_nodes.check(step)
    others = [type(step).__name__ for step in _steps(model) if _is_tree(step)]
    if steps and others:
        raise NotSaved(
            f"{type(steps[0]).__name__} is not converted beside {others[0]}, whose operator is of "
            "another version; use HistGradientBoosting alone, or forests alone"
        )


def _need(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise NotSaved(
            f"{package} is not installed, which converts the model: pip install {package}"
        )


def _tolerance(model: Any, sample: Sample) -> Tolerance:
    """1e-5 of a number, and of the largest probability, score or prediction of the sample."""
    import numpy as np

    largest = 1.0
    rows = sample.slice(0, 200)
    for output in outputs_of(model):
        if output.name in ("label", "probabilities"):
            continue
        values = output.ask(rows.given())
        values = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
        if values.dtype.kind == "f" and values.size:
            largest = float(np.nanmax(np.abs(values))) or 1.0
    return Tolerance(relative=1e-5, absolute=1e-5 * largest)


def _layouts(model: Any, sample: Sample) -> Sequence[Layout]:
    steps = getattr(model, "steps", None)
    last = steps[-1][1] if steps else model
    trees = _is_tree(last)
    found = layouts(sample, floats=trees and not steps, cast=trees and bool(steps))
    return list(dict.fromkeys(found))


def _is_tree(model: Any) -> bool:
    """True for an estimator of trees, alone: a pipeline may fill missing values before them."""
    base = getattr(model, "estimator_", None)
    return type(model).__name__.startswith(_FLOAT32) or (base is not None and _is_tree(base))


def convert(
    model: Any, sample: Sample, layout: Layout, tolerance: Tolerance, opsets: Any = None
) -> Exported:
    """Converts a model for one layout of its inputs, without a comparison.

    Raises:
        Exception: those of skl2onnx and ONNX Runtime, which have no common class.
    """
    outputs = outputs_of(model)
    document = _convert(_with_cast(model) if layout.cast else model, layout, opsets or _OPSETS)
    hist_gradient_boosting_nodes.raise_opset(document)
    graph = document.graph
    names = [output.name for output in graph.output]
    onnx_graph.rename_outputs(
        graph, {old: output.name for old, output in zip(names, outputs, strict=False)}
    )
    onnx_graph.sort_opsets(document)
    content = document.SerializeToString()
    run = onnx_session.session(content)
    inputs = onnx_graph.specs(graph.input)
    properties, metadata = _properties(model, sample, inputs)
    specs = onnx_graph.specs(graph.output)
    if run is not None:
        specs = _observed(specs, run, input_tensors(sample.slice(0, 3).table(), inputs, properties))

    return Exported(
        file_name="model.onnx",
        content=content,
        inputs=inputs,
        answer=_Answers(outputs, specs),
        tolerance=tolerance,
        properties=properties,
        metadata=metadata,
        run=run,
        notes=[] if run else ["onnxruntime is not installed, so the file was not compared"],
    )


def _observed(
    specs: Sequence[TensorSpec], run: onnx_session.Run, inputs: Sequence[Tensor]
) -> list[TensorSpec]:
    """Corrects the declared shapes of outputs, which converters know by half, by an answer."""
    found = {tensor.name: tensor for tensor in run(inputs)}
    rows = inputs[0].shape[0]
    corrected = []
    for spec in specs:
        tensor = found.get(spec.name)
        if tensor is not None and tensor.shape[:1] == (rows,):
            spec = TensorSpec(spec.name, tensor.datatype, (-1, *tensor.shape[1:]))
        corrected.append(spec)
    return corrected


def _convert(model: Any, layout: Layout, opsets: Any) -> Any:
    from skl2onnx import convert_sklearn
    from sklearn.impute import SimpleImputer

    _register_boosters()
    types = layout.initial_types()
    converters = {SimpleImputer: imputers.convert, **hist_gradient_boosting_nodes.converters()}
    failure: Exception | None = None
    for options in ({"zipmap": False}, None):
        try:
            with warnings.catch_warnings(), _votes_unflattened(model):
                warnings.simplefilter("ignore")
                return convert_sklearn(
                    model,
                    name=type(model).__name__,  # By default, it is a random one.
                    initial_types=types,
                    options={**_text_options(model), **({id(model): options} if options else {})},
                    target_opset=opsets,
                    custom_conversion_functions=converters,
                )
        except NameError as error:  # The option is not one of this estimator.
            failure = error
    raise failure or RuntimeError("no conversion")


@contextmanager
def _votes_unflattened(model: Any) -> Iterator[None]:
    """Changes a setting of voting classifiers that the converter insists on, for a while.

    It concerns ``transform`` only, which no file is asked for.
    """
    voters = [step for step in _steps(model) if type(step).__name__ == "VotingClassifier"]
    settings = [step.flatten_transform for step in voters]
    for step in voters:
        step.flatten_transform = False
    try:
        yield
    finally:
        for step, setting in zip(voters, settings, strict=True):
            step.flatten_transform = setting


def _text_options(model: Any) -> dict[Any, dict[str, str]]:
    """Names the words of text vectorizers as scikit-learn does by default.

    The converter would take ASCII letters and words of one letter.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    default = CountVectorizer().token_pattern
    found = {}
    for step in _steps(model):
        is_text = isinstance(step, (CountVectorizer, TfidfVectorizer))
        if is_text and step.analyzer == "word" and step.token_pattern == default:
            found[id(step)] = {"tokenexp": word_expression()}
    return found


def _steps(model: Any) -> list[Any]:
    """Returns a model and the estimators within it."""
    found = [model]
    for _, step in getattr(model, "steps", None) or getattr(model, "transformer_list", None) or []:
        found += _steps(step)
    for _, step, _ in getattr(model, "transformers_", None) or []:
        found += _steps(step)
    last = getattr(model, "final_estimator_", None)
    found += _steps(last) if last is not None else []
    fitted = getattr(model, "estimators_", None)
    if isinstance(fitted, list):  # Those of votes and stacks; a forest's are many, and alike.
        found += [step for step in fitted if hasattr(step, "predict")][:_ASKED_ESTIMATORS]
    return found


def _register_boosters() -> None:
    """Lets pipelines end in estimators of XGBoost or LightGBM, where those are installed."""
    import sys

    from . import boosters_in_pipelines

    if "xgboost" in sys.modules or "lightgbm" in sys.modules:
        boosters_in_pipelines.register()


def _with_cast(model: Any) -> Any:
    """A pipeline that turns numbers into 32-bit floats before its trees, as they do themselves."""
    import numpy as np
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    *steps, last = model.steps
    cast = CastTransformer(dtype=np.float32)
    return Pipeline([*steps, ("cast_to_float32", cast), last])


def _properties(
    model: Any, sample: Sample, inputs: Sequence[TensorSpec]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Returns what clients need to know, and the content of ``metadata.json``."""
    properties: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    names = sample.names
    if names is not None and len(inputs) == 1 and sample.width > 1:
        properties["feature_names"] = json.dumps(names)
    elif names is not None:
        columns = onnx_graph.renamed_columns(names, [spec.name for spec in inputs])
        if columns:
            properties["columns"] = json.dumps(columns)
            metadata["columns"] = columns
    classes = getattr(model, "classes_", None)
    if classes is not None and getattr(classes, "ndim", 0) == 1:
        properties["classes"] = json.dumps(class_values(classes))
    metadata["properties"] = {
        name: value for name, value in properties.items() if name != "columns"
    }
    return properties, metadata


class _Answers:
    """Asks the original for the outputs that the file has."""

    def __init__(self, outputs: Sequence[Output], specs: Sequence[TensorSpec]) -> None:
        by_name = {spec.name: spec for spec in specs}
        self._pairs = [
            (output, by_name[output.name]) for output in outputs if output.name in by_name
        ]

    def __call__(self, sample: Sample) -> list[Tensor]:
        found = [answer(output, spec, sample) for output, spec in self._pairs]
        answers = [tensor for tensor in found if tensor is not None]
        if not answers:
            raise NotSaved("the original has no answer that can be compared with the file's")
        return answers


def _examine(exported: Exported, sample: Sample, trees: bool) -> str | None:
    """Compares the file on the sample and on made-up rows; returns the first difference.

    Rows with missing values that the sample has none of may be answered otherwise: converters lose
    the side that a tree learned for them, and the refusal of an estimator that takes none. Then
    the served model is told to refuse such rows.
    """
    import numpy as np

    numbers = np.linspace(0, len(sample) - 1, num=min(_COMPARED, len(sample)), dtype=int)
    found = _difference(exported, sample.take(np.unique(numbers)))
    if found is not None:
        return found

    for corner in corners(sample):
        if corner.kind == "missing" or answers_of(exported, corner.rows) is None:
            continue
        found = _difference(exported, corner.rows)
        if found is not None:
            return found
    return unanswered_values.examine(exported, sample, trees)


def _difference(exported: Exported, rows: Sample) -> str | None:
    try:
        return first_difference(exported, rows)
    except NotSaved:
        raise
    except Exception as error:  # ONNX Runtime refuses rows with exceptions of any kind.
        row = shortened(rows.describe(0))
        return f"ONNX Runtime does not answer rows like {row}: {shortened(str(error))}"
