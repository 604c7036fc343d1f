"""Predictions of served models, compared with those of the libraries.

usage: predictions.py URL CASES NAME…

CASES is the folder of the cases that the models were saved from. Each is trained again, and both
are asked 500 rows in the form in which it was trained: frames, arrays or texts.
"""

import sys
import warnings

import numpy as np
import pandas as pd
import wardian
from threadpoolctl import threadpool_limits

URL, CASES, *NAMES = sys.argv[1:]
sys.path.insert(0, CASES)

from case import all_cases  # noqa: E402
import column_cases  # noqa: E402, F401  (adds its cases)
import histogram_cases  # noqa: E402, F401
import lightgbm_cases  # noqa: E402, F401
import scikit_learn_cases  # noqa: E402, F401
import xgboost_cases  # noqa: E402, F401

ROWS = 500


def main():
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    cases = {case.name: case for case in all_cases()}
    with wardian.Client(URL) as client:
        for name in NAMES:
            check(client, name, *cases[name].fit())
            print(f"{name}: ok", flush=True)


def check(client, name, model, rows):
    asked = taken(rows, np.arange(ROWS) % len(rows))
    predicted = client.predict(name, asked)
    assert len(predicted) == ROWS, f"{name}: {len(predicted)} predictions"
    if isinstance(asked, pd.DataFrame):
        assert predicted.index.equals(asked.index), f"{name}: {predicted.index}"
    same(name, predicted, model.predict(asked))

    if hasattr(model, "predict_proba"):
        same(name, client.predict_proba(name, asked), model.predict_proba(asked))


def taken(rows, numbers):
    if isinstance(rows, pd.DataFrame):
        return rows.iloc[numbers].set_index(pd.Index([f"row {n}" for n in range(ROWS)]))
    if isinstance(rows, list):
        return [rows[number] for number in numbers]
    return rows[numbers]


def same(name, answered, expected):
    answered, expected = np.asarray(answered), np.asarray(expected)
    assert answered.shape == expected.shape, f"{name}: {answered.shape}, not {expected.shape}"
    if expected.dtype.kind != "f":
        assert (answered == expected).all(), f"{name}: {answered[answered != expected]}"
        return
    # As the golden requests: of a number's size, or of the greatest one's.
    bound = 1e-5 * np.maximum(np.abs(expected), np.abs(expected).max())
    difference = np.abs(answered - expected)
    assert (difference <= bound).all(), f"{name}: {difference.max()} apart"


main()
