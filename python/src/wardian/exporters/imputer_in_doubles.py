"""A converter of ``SimpleImputer`` for doubles.

That of skl2onnx writes the operator ``Imputer``, which keeps its values as 32-bit floats, and which
ONNX Runtime does not have for doubles.
"""

from __future__ import annotations

from typing import Any


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Writes ``IsNaN`` or ``Equal``, and ``Where``; leaves all other cases to skl2onnx."""
    from onnx import TensorProto
    from skl2onnx.common._registration import get_converter
    from skl2onnx.common.data_types import DoubleTensorType

    model = operator.raw_operator
    [rows] = operator.inputs[:1]
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
