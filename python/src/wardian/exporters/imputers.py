"""A converter of ``SimpleImputer`` for doubles and for texts.

That of skl2onnx writes the operator ``Imputer``, which keeps its values as 32-bit floats, and which
ONNX Runtime does not have for doubles. It takes no texts without a text for a missing one; here
that is the empty text, as which a client gives it.
"""

from __future__ import annotations

from typing import Any


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Writes which elements are missing, and ``Where``; leaves other cases to skl2onnx."""
    from onnx import TensorProto
    from skl2onnx.common._registration import get_converter
    from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

    model = operator.raw_operator
    [rows] = operator.inputs[:1]
    if isinstance(rows.type, StringTensorType) and _imputes_texts(model, operator.inputs):
        _convert_texts(scope, operator, container)
        return
    if len(operator.inputs) != 1 or not isinstance(rows.type, DoubleTensorType) or _drops(model):
        get_converter("SklearnSimpleImputer")(scope, operator, container)
        return

    values = scope.get_unique_variable_name("imputed")
    numbers = [float(value) for value in model.statistics_]
    container.add_initializer(values, TensorProto.DOUBLE, [1, len(numbers)], numbers)
    missing = _missing(scope, container, rows.full_name, model.missing_values)
    container.add_node(
        "Where",
        [missing, values, rows.full_name],
        operator.outputs[0].full_name,
        op_version=16,
        name=scope.get_unique_operator_name("Where"),
    )


def _imputes_texts(model: Any, inputs: Any) -> bool:
    """True if the imputer puts a text in place of each missing one, and no more."""
    is_marked = model.missing_values is None or model.missing_values != model.missing_values
    are_texts = all(isinstance(value, str) for value in model.statistics_)
    return len(inputs) == 1 and is_marked and are_texts and not model.add_indicator


def _convert_texts(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    [rows] = operator.inputs
    texts = [value.encode() for value in operator.raw_operator.statistics_]
    values = scope.get_unique_variable_name("imputed")
    container.add_initializer(values, TensorProto.STRING, [1, len(texts)], texts)
    found = scope.get_unique_variable_name("is_empty")
    container.add_node(
        "LabelEncoder",
        [rows.full_name],
        found,
        op_domain="ai.onnx.ml",
        op_version=2,
        name=scope.get_unique_operator_name("LabelEncoder"),
        keys_strings=[""],
        values_int64s=[1],
        default_int64=0,
    )
    missing = scope.get_unique_variable_name("missing")
    container.add_node(
        "Cast",
        [found],
        missing,
        op_version=13,
        name=scope.get_unique_operator_name("Cast"),
        to=TensorProto.BOOL,
    )
    container.add_node(
        "Where",
        [missing, values, rows.full_name],
        operator.outputs[0].full_name,
        op_version=16,
        name=scope.get_unique_operator_name("Where"),
    )


def _drops(model: Any) -> bool:
    """True if the imputer changes the number of columns, or imputes no numbers."""
    import numpy as np

    statistics = np.asarray(model.statistics_)
    return (
        statistics.dtype.kind not in "fiu"
        or bool(np.isnan(statistics.astype(np.float64)).any())
        or bool(getattr(model, "add_indicator", False))
    )


def _missing(scope: Any, container: Any, rows: str, missing_values: Any) -> str:
    """Writes which elements are missing."""
    from onnx import TensorProto

    missing = scope.get_unique_variable_name("missing")
    if missing_values is None or missing_values != missing_values:
        container.add_node(
            "IsNaN", [rows], missing, op_version=13, name=scope.get_unique_operator_name("IsNaN")
        )
        return missing

    wanted = scope.get_unique_variable_name("missing_value")
    container.add_initializer(wanted, TensorProto.DOUBLE, [1, 1], [float(missing_values)])
    container.add_node(
        "Equal",
        [rows, wanted],
        missing,
        op_version=13,
        name=scope.get_unique_operator_name("Equal"),
    )
    return missing
