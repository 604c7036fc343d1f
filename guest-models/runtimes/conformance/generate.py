"""Trains the models and writes a folder of a version for each, with 500 golden rows.

    pip install -r requirements.txt
    PYTHONPATH=../../../python/src python generate.py FOLDER [TEXT]

Writes ``FOLDER/NAME/1`` for each case (those whose name contains TEXT): the folder is a repository
of models. Ends with 1 if a model that should be saved is refused, if one that should be refused is
saved, or if a file is not as near to its original as its case says.
"""

import hashlib
import json
import sys
import time
import warnings
from pathlib import Path

import wardian
from threadpoolctl import threadpool_limits
from wardian.comparison import first_difference, requests
from wardian.exporters import export
from wardian.exporters.scikit_learn import convert
from wardian.golden import golden_of
from wardian.sample import sample_of
from wardian.saving import folder_of

import column_cases  # noqa: F401  (adds its cases)
import histogram_cases  # noqa: F401
import lightgbm_cases  # noqa: F401
import scikit_learn_cases  # noqa: F401
import xgboost_cases  # noqa: F401
from case import all_cases
from rows import rows_of


def main():
    folder = Path(sys.argv[1])
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    warnings.simplefilter("ignore")
    cases = [case for case in all_cases() if wanted in case.name]
    # The libraries' own threads would wait for each other on a busy machine.
    threadpool_limits(1)
    faults = []
    for case in cases:
        started = time.perf_counter()
        fault = generate(case, folder)
        taken = time.perf_counter() - started
        print(f"{case.name}: {fault or case.float32 or case.refused or 'ok'} ({taken:.2f} s)")
        if fault is not None:
            faults.append(case.name)
    print(f"{len(cases) - len(faults)} passed, {len(faults)} failed", *faults)
    return 1 if faults else 0


def generate(case, folder):
    """Writes the folder of a case; returns what is wrong with it, if anything is."""
    seed = int(hashlib.sha256(case.name.encode()).hexdigest()[:8], 16)
    model, rows = case.fit()
    sample = sample_of(rows)
    try:
        exported = export(model, sample, case.options)
    except wardian.NotSaved as error:
        if case.float32 is not None:
            return generate_as_onnx_runtime(case, model, sample, seed, folder)
        if case.refused is not None and case.refused in str(error):
            return None
        return f"refused: {error}"
    if case.refused is not None:
        return "is saved, but should be refused"

    batches = rows_of(exported, sample, seed)
    differences = [first_difference(exported, batch) for batch in batches]
    difference = next((text for text in differences if text is not None), None)
    if case.float32 is None:
        if difference is not None:
            return f"the file differs from its original: {difference}"
    elif difference is None:
        return "is as near as all others; take out its reason"
    else:
        expect_onnx_runtime(exported)
    write(case, exported, batches, folder)
    return None


def generate_as_onnx_runtime(case, model, sample, seed, folder):
    """Writes the folder with ONNX Runtime's answers for those of the library."""
    from wardian.exporters.scikit_learn import _layouts, _tolerance

    tolerance = _tolerance(model, sample)
    for layout in _layouts(model, sample):
        try:
            exported = convert(model, sample, layout, tolerance)
            exported.run(requests(exported, sample.take([0])))
        except Exception:
            continue
        expect_onnx_runtime(exported)
        write(case, exported, rows_of(exported, sample, seed), folder)
        return None
    return "no layout can be converted and run"


def expect_onnx_runtime(exported):
    """Puts ONNX Runtime's answers in place of the library's."""
    exported.answer = lambda rows: exported.run(requests(exported, rows))


def write(case, exported, batches, folder):
    """Writes the folder of the version, with a tenth of the rows one by one."""
    golden = golden_of(exported, batches)
    version = folder_of(exported, golden).write(folder / case.name / "1")
    size = sum(file.stat().st_size for file in version.iterdir())
    assert size < 16 << 20, f"{case.name}: {size} bytes"
    json.loads(golden)


if __name__ == "__main__":
    sys.exit(main())
