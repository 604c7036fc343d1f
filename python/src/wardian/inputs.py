"""From rows to the input tensors of a model, by the names of the columns where there are any."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .refused_values import RefusedValues
from .tables import Table, numeric_column, text_column
from .tensors import Tensor, TensorSpec, check_range


def input_tensors(
    rows: Table, specs: Sequence[TensorSpec], properties: Mapping[str, str]
) -> list[Tensor]:
    """Makes the tensors of a request.

    Args:
        rows: The rows.
        specs: The inputs that the model declares.
        properties: The model's properties; ``feature_names`` names the columns of its matrix,
            ``columns`` the inputs of a frame's columns, where they have other names, and
            ``missing_values`` and ``infinite_values`` say which values the model refuses.

    Raises:
        ValueError: if a column is missing, or has values that the model does not take.
    """
    refused = RefusedValues.of(properties)
    if len(specs) == 1:
        return [_single_input(rows, specs[0], properties, refused)]
    order = _columns_of(rows, specs, properties)
    refused.check(rows, order)
    return [
        _column_input(rows, number, spec) for number, spec in zip(order, specs, strict=True)
    ]


def _single_input(
    rows: Table, spec: TensorSpec, properties: Mapping[str, str], refused: RefusedValues
) -> Tensor:
    names = _names(properties.get("feature_names"))
    width = _width(spec)
    if width == 1 and names is None:
        [number] = [0] if rows.width == 1 else _columns_of(rows, [spec], properties)
        refused.check(rows, [number])
        return _column_input(rows, number, spec)

    order = _order(rows, names, width, properties)
    refused.check(rows, order)
    shape = (len(rows), len(order))
    if spec.datatype == "BYTES":
        columns = [text_column(rows, number) for number in order]
        flat = [value for row in zip(*columns, strict=True) for value in row]
        return Tensor.of(spec.name, "BYTES", shape, flat)
    return Tensor(spec.name, spec.datatype, shape, rows.matrix(order, spec.datatype))


def _column_input(rows: Table, number: int, spec: TensorSpec) -> Tensor:
    shape = (len(rows),) if len(spec.shape) == 1 else (len(rows), 1)
    if spec.datatype == "BYTES":
        return Tensor.of(spec.name, "BYTES", shape, text_column(rows, number))
    values = numeric_column(rows, number, spec.datatype)
    check_range(values, spec.datatype, f"column {rows.label(number)}")
    return Tensor.of(spec.name, spec.datatype, shape, values)


def _width(spec: TensorSpec) -> int:
    """The columns that an input takes; -1 if any number."""
    return spec.shape[1] if len(spec.shape) == 2 else 1


def _order(
    rows: Table, names: list[str] | None, width: int, properties: Mapping[str, str]
) -> list[int]:
    """Returns the numbers of the columns in the order in which the model takes them."""
    if names is not None and rows.names is not None and not _is_unnamed(rows.names):
        return _by_name(rows, names, properties)
    wanted = len(names) if names is not None else width
    if wanted not in (-1, rows.width):
        raise ValueError(f"the rows have {rows.width} columns, and the model takes {wanted}")
    return list(range(rows.width))


def _columns_of(
    rows: Table, specs: Sequence[TensorSpec], properties: Mapping[str, str]
) -> list[int]:
    """Returns the number of the column for each input."""
    if rows.names is not None:
        return _by_name(rows, [spec.name for spec in specs], properties)
    if rows.width != len(specs):
        names = ", ".join(spec.name for spec in specs)
        raise ValueError(f"the rows have {rows.width} columns, and the model takes {names}")
    return list(range(rows.width))


def _by_name(rows: Table, wanted: Sequence[str], properties: Mapping[str, str]) -> list[int]:
    renamed = _renamed(properties.get("columns"))
    positions: dict[str, int] = {}
    for number, name in enumerate(rows.names or ()):
        if name in positions and (name in wanted or name in renamed):
            raise ValueError(f"the rows have several columns called {name!r}; rename them")
        positions.setdefault(name, number)
    for column, name in renamed.items():
        if column in positions:
            positions[name] = positions[column]

    missing = [name for name in wanted if name not in positions]
    if missing:
        raise ValueError(
            f"the rows lack the columns {missing}; they have {rows.names}, the model takes "
            f"{list(wanted)}"
        )
    return [positions[name] for name in wanted]


def _is_unnamed(names: Sequence[str]) -> bool:
    """True for the names 0, 1, 2 … that pandas gives to columns without names."""
    return all(name == str(number) for number, name in enumerate(names))


def _names(text: str | None) -> list[str] | None:
    names = _json(text)
    return [str(name) for name in names] if isinstance(names, list) and names else None


def _renamed(text: str | None) -> dict[str, str]:
    columns = _json(text)
    return columns if isinstance(columns, dict) else {}


def _json(text: str | None) -> Any:
    """Reads a property; ``None`` if it has text for people, as models of other authors may."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return None

