"""What a served model declares, and which of its outputs answers which question."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .tensors import FLOATS, TensorSpec

_LABELS = ("label", "output_label", "class", "labels")
_PROBABILITIES = ("probabilities", "output_probability", "probability")


@dataclass(frozen=True)
class ModelInfo:
    """What a served model declares.

    Attributes:
        name: Its name.
        versions: The versions that serve.
        inputs: The inputs.
        outputs: The outputs.
        properties: The properties, as texts; some contain JSON.
        max_rows: The most rows in one request.
        max_bytes: The most bytes in one request.
    """

    name: str
    versions: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    properties: dict[str, str]
    max_rows: int | None
    max_bytes: int

    @staticmethod
    def from_json(metadata: dict[str, Any], config: dict[str, Any]) -> ModelInfo:
        """Reads the answers of the routes for a model's metadata and its configuration."""
        limits = config.get("wardian", {}).get("limits", {})
        limit = limits.get("request_bytes")
        return ModelInfo(
            name=metadata["name"],
            versions=tuple(metadata.get("versions", ())),
            inputs=tuple(TensorSpec.from_json(spec) for spec in metadata["inputs"]),
            outputs=tuple(TensorSpec.from_json(spec) for spec in metadata["outputs"]),
            properties={name: str(value) for name, value in metadata.get("properties", {}).items()},
            max_rows=config.get("max_batch_size") or None,
            max_bytes=limit if isinstance(limit, int) else 16 << 20,
        )

    @property
    def classes(self) -> list[Any] | None:
        """The classes of a classifier, in the order of its probabilities; ``None`` if unknown."""
        try:
            classes = json.loads(self.properties["classes"])
        except (KeyError, ValueError):
            return None
        return classes if isinstance(classes, list) else None

    def prediction(self) -> str | None:
        """Returns the output that is the answer: labels, or the only one; ``None`` if unclear."""
        names = [spec.name for spec in self.outputs]
        for name in (*_LABELS, "prediction"):
            if name in names:
                return name
        return names[0] if len(names) == 1 else None

    def probabilities(self) -> str | None:
        """Returns the output with a probability for each class; ``None`` if there is none."""
        names = [spec.name for spec in self.outputs if spec.datatype in FLOATS]
        return next((name for name in _PROBABILITIES if name in names), None)

    def rows_in_one_request(self, bytes_of_row: float) -> int:
        """Returns how many rows may go in one request."""
        by_size = max(1, int(self.max_bytes * 0.9 / max(1.0, bytes_of_row)))
        return by_size if self.max_rows is None else min(self.max_rows, by_size)


def row_bytes(sizes: Sequence[int], rows: int) -> float:
    """Returns the mean size of a row in tensors of these sizes."""
    return math.fsum(sizes) / max(1, rows)
