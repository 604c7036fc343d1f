"""Reads and changes the outside of an ONNX file: its inputs and outputs."""

from __future__ import annotations

import re
from typing import Any

from ..tensors import TensorSpec

# The numbers of ONNX for datatypes.
_DATATYPES = {
    1: "FP32", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64",
    8: "BYTES", 9: "BOOL", 10: "FP16", 11: "FP64", 12: "UINT32", 13: "UINT64",
}  # fmt: skip


def specs(values: Any) -> list[TensorSpec]:
    """Returns the inputs or outputs of a graph that are tensors."""
    return [_spec(value) for value in values if value.type.HasField("tensor_type")]


def _spec(value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = [extent.dim_value or -1 for extent in tensor.shape.dim]
    return TensorSpec(value.name, _DATATYPES.get(tensor.elem_type, ""), tuple(shape))


def renamed_columns(columns: list[str], inputs: list[str]) -> dict[str, str]:
    """Returns the inputs that have other names than the columns of the frame."""
    plain = {re.sub(r"\W", "_", column): column for column in columns}
    renamed = {}
    for number, name in enumerate(inputs):
        if name in columns:
            continue
        column = plain.get(name)
        if column is None and len(columns) == len(inputs):
            column = columns[number]
        if column is not None:
            renamed[column] = name
    return renamed


def sort_opsets(document: Any) -> None:
    """Sorts the versions of the operators, whose order is another one each time."""
    opsets = sorted(document.opset_import, key=lambda opset: opset.domain)
    copies = [(opset.domain, opset.version) for opset in opsets]
    del document.opset_import[:]
    for domain, version in copies:
        document.opset_import.add(domain=domain, version=version)


def rename_outputs(graph: Any, names: dict[str, str]) -> None:
    """Gives outputs of a graph other names, if those are free."""
    taken = {value.name for value in [*graph.input, *graph.output, *graph.initializer]}
    taken |= {name for node in graph.node for name in node.output}
    names = {old: new for old, new in names.items() if old != new and new not in taken}

    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        _add_identities(graph, names)
    else:
        _rename_edges(graph, names)
    for value in graph.output:
        value.name = names.get(value.name, value.name)


def _rename_edges(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        for edges in (node.input, node.output):
            for index, name in enumerate(edges):
                edges[index] = names.get(name, name)


def _add_identities(graph: Any, names: dict[str, str]) -> None:
    """Copies the outputs: a graph within a node may use them by their old names."""
    from onnx import helper

    for old, new in names.items():
        graph.node.append(helper.make_node("Identity", [old], [new]))
