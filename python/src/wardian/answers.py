"""Answers in the kind in which the rows were given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .tables import Table
from .tensors import Tensor


def give_back(tensor: Tensor, rows: Table, name: str) -> Any:
    """Returns an output: a series or frame for a frame, an array for an array, else a list.

    A matrix of one column becomes one value for each row.
    """
    if len(tensor.shape) == 2 and tensor.shape[1] == 1:
        tensor = Tensor(tensor.name, tensor.datatype, tensor.shape[:1], tensor.raw)
    if rows.kind == "list":
        return _nested(tensor.values(), tensor.shape)

    values = tensor.numpy()
    if rows.kind == "array" or len(values) != len(rows) or values.ndim > 2:
        return values

    import pandas as pd

    if values.ndim == 1:
        return pd.Series(values, index=rows.index, name=name)
    return pd.DataFrame(values, index=rows.index)


def give_back_probabilities(tensor: Tensor, rows: Table, classes: list[Any] | None) -> Any:
    """Returns probabilities: a frame with the classes as columns, an array, or a list of lists."""
    if rows.kind == "list":
        return _nested(tensor.values(), tensor.shape)
    if rows.kind == "array":
        return tensor.numpy()

    import pandas as pd

    columns = classes if classes is not None and len(classes) == tensor.shape[1] else None
    return pd.DataFrame(tensor.numpy(), index=rows.index, columns=columns)


def _nested(values: list[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) <= 1:
        return values
    step = math.prod(shape[1:])
    rows = range(shape[0])
    return [_nested(values[row * step : (row + 1) * step], shape[1:]) for row in rows]
