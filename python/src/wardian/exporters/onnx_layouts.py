"""The inputs that an ONNX file may have for a sample: one matrix, or one input for each column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..sample import Sample


@dataclass(frozen=True)
class Layout:
    """The inputs of a converted file.

    Attributes:
        inputs: Name, kind (``double``, ``float``, ``int64`` or ``string``) and width of each.
        cast: True if numbers become 32-bit floats before the last step, as trees take them.
    """

    inputs: tuple[tuple[str, str, int], ...]
    cast: bool = False

    def initial_types(self) -> list[tuple[str, Any]]:
        """Returns the inputs as skl2onnx takes them."""
        from skl2onnx.common import data_types

        types = {
            "double": data_types.DoubleTensorType,
            "float": data_types.FloatTensorType,
            "int64": data_types.Int64TensorType,
            "string": data_types.StringTensorType,
        }
        return [(name, types[kind]([None, width])) for name, kind, width in self.inputs]

    @property
    def is_single(self) -> bool:
        """True if there is one double or wider input for all numbers."""
        return not any(kind == "float" for _, kind, _ in self.inputs)


def layouts(sample: Sample, floats: bool, cast: bool) -> Iterator[Layout]:
    """Yields the layouts to try, the most exact first.

    Args:
        sample: The rows.
        floats: True if the model itself turns its inputs into 32-bit floats at once, as trees do.
        cast: True if the model is a pipeline that does so before its last step.
    """
    if sample.kind == "texts":
        yield Layout((("text", "string", 1),))
        return

    for number in ("float",) if floats else ("double", "float"):
        casts = cast and number == "double"
        for integer in ("int64", number):
            yield from _layouts(sample, number, integer, casts)


def _layouts(sample: Sample, number: str, integer: str, cast: bool) -> Iterator[Layout]:
    kinds = [_kind(sample, column, number, integer) for column in range(sample.width)]
    # A matrix has one datatype. As whole numbers it would take no others.
    if integer == number or "int64" not in kinds:
        matrix = {number if kind == "int64" else kind for kind in kinds}
        if len(matrix) == 1:
            yield Layout((("features", matrix.pop(), sample.width),), cast)
    if sample.kind == "frame":
        names = sample.names or []
        yield Layout(tuple((name, kind, 1) for name, kind in zip(names, kinds, strict=True)), cast)
    elif integer == "int64" and set(kinds) == {"int64"}:
        yield Layout((("features", "int64", sample.width),), cast)


def _kind(sample: Sample, column: int, number: str, integer: str) -> str:
    values = sample.column(column)
    if sample.is_numeric(column) or _all_numbers(values):
        return integer if values.dtype.kind in "biu" else number
    return "string"


def _all_numbers(values: Any) -> bool:
    """True for a column of objects, such as categories, that are numbers."""
    if values.dtype.kind in "biuf":
        return True
    return values.dtype == object and all(
        isinstance(value, (int, float)) and value is not None for value in values
    )
