"""``golden.json``: requests with the original's own answers, which a version must give too."""

from __future__ import annotations

import json
from typing import Any

from .comparison import answers_of, requests
from .corner_rows import Corner, corners, typical_rows
from .exported import Exported
from .sample import Sample

# Rows that are asked one by one; the others go in one request.
_SINGLE_ROWS = 4


def golden_json(exported: Exported, sample: Sample, rows: int) -> str:
    """Writes the file.

    Args:
        exported: The model.
        sample: Rows to choose from.
        rows: How many rows of the sample to ask, beside the made-up ones.
    """
    return golden_of(exported, golden_rows(exported, sample, rows))


def golden_rows(exported: Exported, sample: Sample, rows: int) -> list[Sample]:
    """Returns rows that reach the model's corners, as far as the original answers them."""
    chosen = [typical_rows(sample, rows)]
    for corner in corners(sample):
        if is_asked(exported, corner):
            chosen.append(corner.rows)
    return chosen


def is_asked(exported: Exported, corner: Corner) -> bool:
    """True if the served model takes the rows, and the original answers them."""
    if not exported.takes_missing(corner.columns):
        return False
    try:
        requests(exported, corner.rows)
    except ValueError:  # A number out of the range of its input, or a missing whole one.
        return False
    return answers_of(exported, corner.rows) is not None


def golden_of(exported: Exported, chosen: list[Sample]) -> str:
    """Writes the file for these rows."""
    first = chosen[0]
    singles = [first.take([number]) for number in range(min(_SINGLE_ROWS, len(first)))]
    tolerance = {
        "relative": exported.tolerance.relative,
        "absolute": exported.tolerance.absolute,
    }
    cases = [_case(exported, rows) for rows in [*singles, *chosen]]
    return json.dumps({"tolerance": tolerance, "cases": cases}, ensure_ascii=False) + "\n"


def _case(exported: Exported, rows: Sample) -> dict[str, Any]:
    return {
        "request": {"inputs": [tensor.to_json() for tensor in requests(exported, rows)]},
        "response": {"outputs": [tensor.to_json() for tensor in exported.answer(rows)]},
    }
