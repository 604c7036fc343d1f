"""The values that a model refuses, because its original does or its file answers them otherwise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .tables import Table, is_missing


@dataclass(frozen=True)
class RefusedValues:
    """What a model refuses.

    Attributes:
        missing: The numbers of the columns that must have a value in each row; ``None`` for all.
        is_infinite: True if no number may be infinite.
    """

    missing: frozenset[int] | None = frozenset()
    is_infinite: bool = False

    @staticmethod
    def of(properties: Mapping[str, str]) -> RefusedValues:
        """Reads the properties ``missing_values`` and ``infinite_values`` of a model.

        ``missing_values`` is ``no`` for all columns, ``yes`` for none, or the JSON list of the
        numbers of some, in the order in which the model takes them.
        """
        text = properties.get("missing_values", "")
        return RefusedValues(
            missing=None if text == "no" else _numbers(text),
            is_infinite=properties.get("infinite_values") == "no",
        )

    def check(self, rows: Table, order: Sequence[int]) -> None:
        """Refuses rows.

        Args:
            rows: The rows.
            order: The numbers of their columns, in the order in which the model takes them.

        Raises:
            ValueError: if a value is one that the model refuses; the text names its column.
        """
        for place, number in enumerate(order):
            if self.missing is None or place in self.missing:
                _refuse(rows, number, "fOM", is_missing, "missing values")
            if self.is_infinite:
                _refuse(rows, number, "fO", _is_infinite, "infinite values")


def _numbers(text: str) -> frozenset[int]:
    try:
        numbers = json.loads(text or "[]")
    except ValueError:  # A text for people, of another author.
        return frozenset()
    if not isinstance(numbers, list):
        return frozenset()
    return frozenset(number for number in numbers if isinstance(number, int))


def _is_infinite(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _refuse(
    rows: Table, number: int, kinds: str, is_refused: Callable[[Any], bool], what: str
) -> None:
    column = rows.column(number)
    if hasattr(column, "dtype") and column.dtype.kind not in kinds:
        return
    values = column.tolist() if hasattr(column, "tolist") else column
    if any(is_refused(value) for value in values):
        raise ValueError(
            f"column {rows.label(number)} has {what}, which this model does not answer as its "
            "original, or the original refuses; replace them before"
        )
