"""``wardian.save``: from a trained model to the folder of a version."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from .exported import Exported
from .exporters import export
from .golden import golden_json
from .sample import sample_of
from .version_folder import VersionFolder

# Rows of the sample in `golden.json`.
_GOLDEN_ROWS = 32
# A model file takes a multiple of its size in memory while it is read. Up to this size, the
# server's default for a model's memory is enough.
_SMALL = 16 << 20
_MEMORY_FACTOR = 12


def save(
    model: Any,
    folder: str | os.PathLike[str],
    sample: Any,
    *,
    description: str | None = None,
    golden_rows: int = _GOLDEN_ROWS,
    **options: Any,
) -> Path:
    """Saves a model as the folder of a version, such as ``models/rent/1``.

    The folder gets the model file by the library's own exporter, ``golden.json`` with the model's
    own answers to rows of the sample and to made-up ones, and ``metadata.json`` with what the file
    does not hold. A large model gets a ``model.toml`` in its own folder, if there is none.

    Args:
        model: An estimator or pipeline of scikit-learn, a model of XGBoost or LightGBM, or a module
            of PyTorch.
        folder: The folder. It appears, or is replaced, in one step.
        sample: Rows as the model was trained on: a frame, an array, or a list of texts. The more
            there are, and the more of their corners, the better the file is checked.
        description: A sentence about the model, for people.
        golden_rows: The number of rows of the sample in ``golden.json``.
        **options: Options of the exporter: ``format`` (XGBoost), ``classes`` (boosters without
            class names), ``tolerance`` and ``opsets`` (ONNX).

    Returns:
        The folder.

    Raises:
        NotSaved: if the model cannot be saved so that it answers as the original does.
        FileExistsError: if the folder has other files.
    """
    prepared = prepare(model, sample, description, golden_rows, **options)
    return prepared.write(folder)


def prepare(
    model: Any,
    sample: Any,
    description: str | None = None,
    golden_rows: int = _GOLDEN_ROWS,
    **options: Any,
) -> VersionFolder:
    """Makes the files that :func:`save` writes."""
    rows = sample_of(sample)
    exported = export(model, rows, options)
    for note in exported.notes:
        warnings.warn(note, stacklevel=3)
    return folder_of(exported, golden_json(exported, rows, golden_rows), description)


def folder_of(exported: Exported, golden: str, description: str | None = None) -> VersionFolder:
    """Puts the files of a version together."""
    files = {exported.file_name: exported.content, "golden.json": golden.encode()}
    metadata = {name: value for name, value in exported.metadata.items() if value}
    if "missing" in exported.metadata:
        metadata["missing"] = exported.metadata["missing"]
    if description:
        metadata["description"] = description
    if metadata:
        files["metadata.json"] = (
            json.dumps(metadata, ensure_ascii=False, indent=1) + "\n"
        ).encode()
    return VersionFolder(files, _settings(len(exported.content)))


def _settings(size: int) -> str | None:
    """Returns a ``model.toml`` for a large model; ``None`` if the defaults are enough."""
    if size <= _SMALL:
        return None
    mebibytes = min(4096, (size * _MEMORY_FACTOR >> 20) + 64)
    return f'[limits]\nmemory = "{mebibytes}MiB"  # for a model file of {size >> 20} MiB\n'
