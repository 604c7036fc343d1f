"""Tensors of the protocol: their binary form, and their form in JSON."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# The code of `array` and the datatype of numpy (little-endian) for each datatype of fixed size.
_ARRAY_CODES = {
    "BOOL": "B", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "FP32": "f", "FP64": "d",
}  # fmt: skip
NUMPY_TYPES = {
    "BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
FLOATS = frozenset({"FP16", "FP32", "FP64"})

# How `golden.json` writes what JSON has no number for.
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


@dataclass(frozen=True)
class TensorSpec:
    """What a model declares of an input or output; -1 is a dimension of any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @staticmethod
    def from_json(json: dict[str, Any]) -> TensorSpec:
        """Reads an element of ``inputs`` or ``outputs`` of a model's metadata."""
        return TensorSpec(json["name"], json["datatype"], tuple(json["shape"]))


@dataclass(frozen=True)
class Tensor:
    """A named tensor with its data in the protocol's binary form."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: bytes

    @staticmethod
    def of(name: str, datatype: str, shape: Iterable[int], values: Any) -> Tensor:
        """Makes a tensor of a numpy array or a flat sequence of values."""
        return Tensor(
            name, datatype, tuple(int(extent) for extent in shape), pack(values, datatype)
        )

    def values(self) -> list[Any]:
        """Returns the elements, flat: numbers, booleans or texts."""
        return unpack(self.raw, self.datatype)

    def numpy(self) -> Any:
        """Returns a numpy array; texts are in an array of objects."""
        import numpy as np

        if self.datatype == "BYTES":
            values = np.empty(math.prod(self.shape), dtype=object)
            values[:] = unpack(self.raw, self.datatype)
        else:
            values = np.frombuffer(self.raw, dtype=NUMPY_TYPES[self.datatype]).copy()
        return values.reshape(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Returns the tensor as it is written in ``golden.json``."""
        data = [_NOT_FINITE.get(value, value) for value in self.values()]
        data = ["NaN" if value != value else value for value in data]
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.shape),
            "data": data,
        }


def check_range(values: Any, datatype: str, place: str) -> None:
    """Checks that numbers do not become infinite or others in a datatype of fewer bits.

    Raises:
        ValueError: if one does; the text begins with ``place``.
    """
    if hasattr(values, "astype"):
        wrong = _array_out_of_range(values, datatype)
    else:
        least, greatest = _range(datatype)
        finite = (value for value in values if abs(value) != math.inf)
        wrong = next((value for value in finite if not _is_in(value, least, greatest)), None)
    if wrong is not None:
        text = f"has the value {wrong!r}, which is out of the range of {datatype}"
        raise ValueError(f"{place} {text}")


def _is_in(value: Any, least: float, greatest: float) -> bool:
    return value != value or least <= value <= greatest


def _array_out_of_range(values: Any, datatype: str) -> Any:
    import numpy as np

    if values.dtype.kind == "b" or values.dtype == np.dtype(NUMPY_TYPES.get(datatype, "?")):
        return None
    if values.dtype == object:
        least, greatest = _range(datatype)
        return next((value for value in values.flat if not _is_in(value, least, greatest)), None)
    least, greatest = _range(datatype)
    with np.errstate(all="ignore"):
        is_out = (values < least) | (values > greatest)
        if values.dtype.kind == "f":
            is_out &= np.isfinite(values)
    return values[is_out].flat[0].item() if is_out.any() else None


def _range(datatype: str) -> tuple[float, float]:
    """Returns the least and the greatest finite number of a datatype."""
    if datatype in FLOATS:
        greatest = {"FP16": 65519.0, "FP32": 3.4028235677973362e38}.get(datatype, math.inf)
        return -greatest, greatest
    if datatype == "BOOL":
        return 0, 1
    bits = int(datatype.lstrip("UINT"))
    half = 2 ** (bits - 1)
    return (0, 2 * half - 1) if datatype.startswith("U") else (-half, half - 1)


def pack(values: Any, datatype: str) -> bytes:
    """Returns the binary form of a numpy array or of a flat sequence."""
    if datatype == "BYTES":
        return b"".join(_pack_text(value) for value in _flat(values))
    if hasattr(values, "astype"):
        return values.astype(NUMPY_TYPES[datatype]).tobytes()
    if datatype == "FP16":
        return struct.pack(f"<{len(values)}e", *values)
    if datatype == "BF16":
        raise ValueError("tensors of datatype BF16 are not supported by this client")
    return _little_endian(array(_ARRAY_CODES[datatype], _numbers(values, datatype))).tobytes()


def unpack(raw: bytes, datatype: str) -> list[Any]:
    """Returns the elements of a tensor's binary form."""
    if datatype == "BYTES":
        return list(_unpack_texts(raw))
    if datatype == "FP16":
        return list(struct.unpack(f"<{len(raw) // 2}e", raw))
    numbers = array(_ARRAY_CODES[datatype])
    numbers.frombytes(raw)
    numbers = _little_endian(numbers)
    return [bool(value) for value in numbers] if datatype == "BOOL" else numbers.tolist()


def _numbers(values: Sequence[Any], datatype: str) -> list[Any]:
    """Checks that whole numbers are given where the datatype holds those only."""
    if datatype in FLOATS:
        return [math.nan if value is None else float(value) for value in values]
    for value in values:
        if value != int(value):
            raise ValueError(f"{value!r} is not a whole number, which datatype {datatype} holds")
    return [int(value) for value in values]


def _little_endian(numbers: array) -> array:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _flat(values: Any) -> Iterable[Any]:
    return values.ravel().tolist() if hasattr(values, "ravel") else values


def _pack_text(value: Any) -> bytes:
    encoded = value if isinstance(value, bytes) else str(value).encode()
    return struct.pack("<I", len(encoded)) + encoded


def _unpack_texts(raw: bytes) -> Iterable[str | bytes]:
    at = 0
    while at < len(raw):
        (length,) = struct.unpack_from("<I", raw, at)
        encoded = raw[at + 4 : at + 4 + length]
        at += 4 + length
        try:
            yield encoded.decode()
        except UnicodeDecodeError:
            yield encoded
