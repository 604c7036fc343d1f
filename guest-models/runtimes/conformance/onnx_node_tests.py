"""Writes the node tests of the package ``onnx`` in ONNX's own layout.

    python onnx_node_tests.py FOLDER

``FOLDER/NAME`` has ``model.onnx``, ``test_data_set_0/input_0.pb`` and ``output_0.pb``, numbered, and
``tolerance.txt`` with the relative and the absolute tolerance. Tests whose values are no tensors
are left out.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def main():
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    written = sum(write(case, folder / case.name) for case in collect_testcases(None))
    print(f"{written} node tests written")


def write(case, folder):
    """Writes a test; returns False if it is left out."""
    if case.model is None or not case.data_sets:
        return False
    inputs, outputs = case.data_sets[0]
    if not all(is_tensor(value) for value in [*inputs, *outputs]):
        return False
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    (folder / "tolerance.txt").write_text(f"{case.rtol} {case.atol}\n")
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, value in enumerate(values):
            tensor = numpy_helper.from_array(np.asarray(value))
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())
    return True


def is_tensor(value):
    if isinstance(value, (list, dict)) or value is None:
        return False
    try:
        numpy_helper.from_array(np.asarray(value))
    except Exception:
        return False
    return True


if __name__ == "__main__":
    main()
