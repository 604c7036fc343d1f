"""Finds the columns in which a converted file must refuse missing and infinite values.

An estimator that refuses them raises an exception; its file has no operator for that, and answers.
"""

from __future__ import annotations

import json

from ..comparison import answers_of, first_difference, requests
from ..corner_rows import missing
from ..exported import Exported
from ..sample import Sample
from ..tensors import FLOATS, Tensor

# Columns that are examined one by one; the others all at once.
_EACH = 32
_REFUSED = "the original refuses missing values, or answers NaN"


def examine(exported: Exported, sample: Sample, trees: bool) -> str | None:
    """Asks the original and the file, and notes what the served model must refuse.

    Args:
        exported: The model.
        sample: Rows of it.
        trees: True for trees alone, which lose the side of missing values they have not learned.

    Returns:
        The first difference in a column whose missing values the sample has; ``None`` if there is
        none.
    """
    if sample.kind == "texts":
        _examine_texts(exported)
        return None
    able = [number for number in range(sample.width) if _may_lack_values(exported, sample, number)]
    refused = []
    is_answered = False
    for columns in _groups(able):
        found = _missing_difference(exported, sample, columns)
        has_some = any(sample.lacks_values(number) for number in columns)
        if found is not None and has_some:
            return found
        if found is not None or (trees and not has_some):
            refused += columns
            is_answered = is_answered or found != _REFUSED

    if refused:
        _note(exported, "missing_values", "no" if refused == able else json.dumps(refused))
    elif any(spec.datatype == "BYTES" for spec in exported.inputs):
        # The server may then take `null` for a missing text.
        _note(exported, "missing_values", "yes")
    if is_answered:
        exported.notes.append("the file does not answer rows with missing values as the original")
    if any(not _takes_infinity(exported, sample, columns) for columns in _groups(able)):
        _note(exported, "infinite_values", "no")
    return None


def _examine_texts(exported: Exported) -> None:
    """An estimator of texts that takes no ``None`` must not be asked with an empty text for it."""
    import numpy as np

    if answers_of(exported, Sample(np.array([None], dtype=object), "texts")) is None:
        _note(exported, "missing_values", "no")


def _groups(columns: list[int]) -> list[tuple[int, ...]]:
    groups = [(number,) for number in columns[:_EACH]]
    return [*groups, tuple(columns[_EACH:])] if columns[_EACH:] else groups


def _may_lack_values(exported: Exported, sample: Sample, number: int) -> bool:
    """True if the input of a column has a value that stands for a missing one."""
    specs = exported.inputs
    spec = specs[0] if len(specs) == 1 else specs[number]
    return spec.datatype in FLOATS or spec.datatype == "BYTES"


def _missing_difference(
    exported: Exported, sample: Sample, columns: tuple[int, ...]
) -> str | None:
    for corner in missing(sample, columns):
        answers = answers_of(exported, corner.rows)
        if answers is None or any(_has_nan(tensor) for tensor in answers):
            return _REFUSED
        try:
            found = first_difference(exported, corner.rows)
        except Exception as error:  # ONNX Runtime refuses rows with exceptions of any kind.
            found = str(error)
        if found is not None:
            return found
    return None


def _takes_infinity(exported: Exported, sample: Sample, columns: tuple[int, ...]) -> bool:
    """True if original and file answer rows with infinite numbers alike."""
    import numpy as np

    if not all(sample.column(number).dtype.kind == "f" for number in columns):
        return True
    rows = next(missing(sample, columns)).rows
    for number in columns:
        if rows.kind == "array":
            rows.rows[:, number] = np.inf
        else:
            rows.rows[rows.rows.columns[number]] = np.inf
    if answers_of(exported, rows) is None:
        return False
    try:
        requests(exported, rows)
        return first_difference(exported, rows) is None
    except Exception:  # ONNX Runtime refuses rows with exceptions of any kind.
        return False


def _has_nan(tensor: Tensor) -> bool:
    import numpy as np

    return tensor.datatype in FLOATS and bool(np.isnan(tensor.numpy()).any())


def _note(exported: Exported, name: str, value: str) -> None:
    exported.properties[name] = value
    exported.metadata["properties"][name] = value
