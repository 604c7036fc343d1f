"""Requests and responses on the wire: JSON, with the tensors' data behind it in binary form.

Binary data hold every number exactly, NaN and infinities included, which JSON cannot write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Error
from .tensors import Tensor, pack
from .transport import Answer

_LENGTH = "Inference-Header-Content-Length"


def request(
    inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any] | None
) -> tuple[bytes, dict[str, str]]:
    """Returns the body and the headers of a request."""
    document: dict[str, Any] = {
        "inputs": [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(tensor.shape),
                "parameters": {"binary_data_size": len(tensor.raw)},
            }
            for tensor in inputs
        ],
        "parameters": {**(parameters or {}), "binary_data_output": True},
    }
    if outputs:
        document["outputs"] = [{"name": name} for name in outputs]
    head = json.dumps(document).encode()
    headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}
    return b"".join([head, *(tensor.raw for tensor in inputs)]), headers


def response(answer: Answer) -> tuple[str, dict[str, Tensor]]:
    """Returns the version that answered, and its outputs by name.

    Raises:
        Error: if the answer does not follow the protocol.
    """
    length = int(answer.headers.get(_LENGTH) or len(answer.body))
    at = length
    try:
        document = json.loads(answer.body[:length])
        tensors = {}
        for output in document["outputs"]:
            size = output.get("parameters", {}).get("binary_data_size")
            name, datatype = output["name"], output["datatype"]
            shape = tuple(output["shape"])
            raw = pack(output["data"], datatype) if size is None else answer.body[at : at + size]
            tensors[name] = Tensor(name, datatype, shape, raw)
            at += size or 0
    except (ValueError, KeyError, TypeError) as error:
        raise Error(answer.status, f"the answer is not one of the protocol: {error!r}") from error
    return str(document.get("model_version", "")), tensors


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Joins answers along the first dimension of their outputs."""
    first = parts[0]
    if len(parts) == 1:
        return dict(first)
    tensors = {}
    for name, tensor in first.items():
        pieces = [part[name] for part in parts]
        rows = sum(piece.shape[0] for piece in pieces)
        raw = b"".join(piece.raw for piece in pieces)
        tensors[name] = Tensor(name, tensor.datatype, (rows, *tensor.shape[1:]), raw)
    return tensors
