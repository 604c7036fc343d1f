"""What an exporter makes of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import NotSaved
from .refused_values import RefusedValues
from .sample import Sample
from .tensors import Tensor, TensorSpec


@dataclass(frozen=True)
class Tolerance:
    """The allowed difference from an expected number: ``absolute`` plus ``relative`` times it."""

    relative: float = 0.0
    absolute: float = 0.0

    def allows(self, expected: float, found: float) -> bool:
        """True if ``found`` is near enough."""
        if expected == found or (math.isnan(expected) and math.isnan(found)):
            return True
        return abs(expected - found) <= self.absolute + self.relative * abs(expected) < math.inf


@dataclass
class Exported:
    """A model file with what is known of it.

    Attributes:
        file_name: The name of the model file, which begins with ``model.``.
        content: The model file.
        inputs: The inputs that the served model will declare.
        answer: Returns the original's own answers for rows, as the outputs of the served model. An
            output that the original has no answer for is left out.
        tolerance: How far the served model may be from the original.
        properties: Those properties of the served model that say how rows become inputs:
            ``feature_names``, ``columns``, ``missing_values`` and ``infinite_values``.
        metadata: The content of ``metadata.json``.
        run: Answers a request by running the model file here, to compare it with the original;
            ``None`` where the file is the original's own format.
        notes: What the caller should know.
    """

    file_name: str
    content: bytes
    inputs: list[TensorSpec]
    answer: Callable[[Sample], list[Tensor]]
    tolerance: Tolerance
    properties: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    run: Callable[[Sequence[Tensor]], list[Tensor]] | None = None
    notes: list[str] = field(default_factory=list)

    def takes_missing(self, columns: Sequence[int]) -> bool:
        """True if these columns may all have missing values."""
        missing = RefusedValues.of(self.properties).missing
        return not columns or (missing is not None and missing.isdisjoint(columns))


def label_tensor(labels: Any) -> Tensor:
    """Makes the output ``label`` of whole numbers or texts.

    Raises:
        NotSaved: for any other labels.
    """
    import numpy as np

    labels = np.asarray(labels)
    shape = labels.shape
    classes = class_values(labels.ravel())
    datatype = "BYTES" if classes and isinstance(classes[0], str) else "INT64"
    values = classes if datatype == "BYTES" else np.array(classes, dtype=np.int64)
    return Tensor.of("label", datatype, shape, values)


def class_values(classes: Any) -> list[int] | list[str]:
    """Returns classes as whole numbers or as texts.

    Raises:
        NotSaved: for any other classes.
    """
    import numpy as np

    values = np.asarray(classes).tolist()
    if all(isinstance(value, str) for value in values):
        return values
    if all(isinstance(value, (bool, int, float)) and value == int(value) for value in values):
        return [int(value) for value in values]
    raise NotSaved(f"the classes are neither whole numbers nor texts: {values[:5]}")


def float_tensor(name: str, values: Any, datatype: str) -> Tensor:
    """Makes an output of numbers."""
    import numpy as np

    values = np.asarray(values)
    return Tensor.of(name, datatype, values.shape, values)
