"""Trains the models of the benchmark and saves them, with requests and expected answers.

`train.py FOLDER` writes for each model:

    models/NAME/1/         the folder that `wardian.save` writes
    originals/NAME.joblib  the model itself, for servers of Python
    cases/NAME.json        by number of rows: a request, and the first number of each answer
    rows/NAME.npy          the rows of the largest request
"""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import wardian
from lightgbm import LGBMClassifier
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from xgboost import XGBRegressor

ROWS = (1, 32, 1000)


def models():
    """Names, untrained models and what they are trained on. Each uses one thread."""
    progression = load_diabetes(return_X_y=True)
    digits = load_digits(return_X_y=True)
    boosting = GradientBoostingRegressor(n_estimators=100, random_state=0)
    yield "gradient-boosting", boosting, progression
    yield "random-forest", RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=1), digits
    yield "xgboost", XGBRegressor(n_estimators=300, max_depth=6, n_jobs=1), progression
    yield "lightgbm", LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1), digits


def main(folder):
    for part in ("models", "originals", "cases", "rows"):
        (folder / part).mkdir(parents=True, exist_ok=True)

    for name, model, (rows, target) in models():
        rows = rows.astype(np.float32).astype(np.float64)
        model.fit(rows, target)
        joblib.dump(model, folder / "originals" / f"{name}.joblib")

        version = folder / "models" / name / "1"
        wardian.save(model, version, sample=rows[:50])
        drawn = rows[np.random.default_rng(0).integers(0, len(rows), max(ROWS))]
        np.save(folder / "rows" / f"{name}.npy", drawn)
        cases = {count: case(model, version, drawn[:count]) for count in ROWS}
        (folder / "cases" / f"{name}.json").write_text(json.dumps(cases))


def case(model, version, rows):
    """A request in the form of the saved model's golden requests, which name its input."""
    golden = json.loads((version / "golden.json").read_text())["cases"][0]
    [given] = golden["request"]["inputs"]
    given = {**given, "shape": list(rows.shape), "data": rows.ravel().tolist()}
    request = {"id": "1", "inputs": [given]}
    return {"request": request, "answer": float(model.predict(rows)[0])}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
