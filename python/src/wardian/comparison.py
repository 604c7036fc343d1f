"""Comparison of a converted file with the original, when a model is saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import shortened
from .exported import Exported, Tolerance
from .inputs import input_tensors
from .sample import Sample
from .tensors import FLOATS, Tensor

# Rows in one call: enough to be fast, few enough for files that compare all pairs of rows.
_ROWS = 500


def requests(exported: Exported, rows: Sample) -> list[Tensor]:
    """Makes the inputs of a request, as a client makes them for these rows."""
    return input_tensors(rows.table(), exported.inputs, exported.properties)


def answers_of(exported: Exported, rows: Sample) -> list[Tensor] | None:
    """Asks the original; ``None`` if it refuses the rows, as made-up rows may be."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return exported.answer(rows)
        except Exception:  # Libraries refuse rows with exceptions of any kind.
            return None


def first_difference(exported: Exported, rows: Sample) -> str | None:
    """Runs the file on rows and compares its answers with the original's.

    Returns:
        A text with the first row that is answered differently; ``None`` if there is none.
    """
    if exported.run is None:
        return None
    for start in range(0, len(rows), _ROWS):
        part = rows.slice(start, start + _ROWS)
        difference = _difference(exported, part)
        if difference is not None:
            return difference
    return None


def _difference(exported: Exported, rows: Sample) -> str | None:
    assert exported.run is not None
    expected = exported.answer(rows)
    found = {tensor.name: tensor for tensor in exported.run(requests(exported, rows))}
    ties = _ties(expected, exported.tolerance)
    for wanted in expected:
        got = found.get(wanted.name)
        if got is None or got.shape != wanted.shape:
            shape = None if got is None else list(got.shape)
            return f"output '{wanted.name}' has shape {shape}, the original {list(wanted.shape)}"
        row = _differing_row(wanted, got, exported.tolerance, ties)
        if row is not None:
            return (
                f"for the row {shortened(rows.describe(row))} the original answers "
                f"{shortened(_at(wanted, row))}, and the file {shortened(_at(got, row))} "
                f"(output '{wanted.name}')"
            )
    return None


def _differing_row(wanted: Tensor, got: Tensor, tolerance: Tolerance, ties: Any) -> int | None:
    import numpy as np

    if wanted.datatype in FLOATS and got.datatype in FLOATS:
        differs = differing(wanted.numpy(), got.numpy(), tolerance)
        differs = differs.reshape(len(differs), -1).any(axis=1)
    else:
        differs = np.array(wanted.numpy() != got.numpy())
        differs = differs.reshape(len(differs), -1).any(axis=1)
        if ties is not None and wanted.name == "label":
            differs &= ~ties
    return int(np.argmax(differs)) if differs.any() else None


def differing(wanted: Any, found: Any, tolerance: Tolerance) -> Any:
    """Returns where two arrays differ by more than the tolerance."""
    import numpy as np

    wanted, found = wanted.astype(np.float64), found.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.abs(wanted - found) <= tolerance.absolute + tolerance.relative * np.abs(wanted)
    same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
    return ~(same | (near & np.isfinite(wanted)))


def _ties(expected: Sequence[Tensor], tolerance: Tolerance) -> Any:
    """Returns the rows whose two best probabilities are equal but for the tolerance."""
    import numpy as np

    for tensor in expected:
        if tensor.name == "probabilities" and len(tensor.shape) == 2 and tensor.shape[1] > 1:
            best = np.sort(tensor.numpy().astype(np.float64), axis=1)
            return best[:, -1] - best[:, -2] <= 2 * (tolerance.absolute + tolerance.relative)
    return None


def _at(tensor: Tensor, row: int) -> str:
    value = tensor.numpy()[row]
    return str(value.tolist() if hasattr(value, "tolist") else value)
