"""Models that are trained here, pushed to a server, and asked with frames.

usage: pushing.py URL
"""

import sys

import numpy as np
import pandas as pd
import wardian
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

URL = sys.argv[1]


def flats():
    """300 flats, and what each costs."""
    random = np.random.default_rng(7)
    rows = pd.DataFrame({
        "district": random.choice(["north", "harbour", "old town"], 300),
        "rooms": random.integers(1, 6, 300),
        "size": random.uniform(25, 140, 300).round(1),
    })
    rent = 200 + 11 * rows["size"] + 150 * (rows["district"] == "harbour")
    return rows, rent + random.normal(0, 20, 300)


def pipeline(regressor):
    words = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((words, ["district"]), remainder="passthrough")
    return make_pipeline(columns, regressor)


def expect(client, name, model, rows, version):
    asked = rows.sample(50, random_state=version)
    predicted = client.predict(name, asked, version=version)
    assert isinstance(predicted, pd.Series) and predicted.index.equals(asked.index), predicted
    expected = model.predict(asked)
    if expected.dtype.kind == "f":
        assert np.allclose(predicted, expected, rtol=1e-5), (predicted, expected)
    else:
        assert list(predicted) == list(expected), (predicted, expected)


def main():
    rows, rents = flats()
    with wardian.Client(URL) as client:
        first = pipeline(GradientBoostingRegressor(random_state=0)).fit(rows, rents)
        pushed = wardian.push(first, "rent", sample=rows, url=URL)
        assert (pushed.version, pushed.state) == ("1", "READY"), pushed
        expect(client, "rent", first, rows, 1)
        print("a pipeline: ok")

        second = pipeline(LinearRegression()).fit(rows, rents)
        pushed = wardian.push(second, "rent", sample=rows, url=URL)
        assert (pushed.version, pushed.state) == ("2", "READY"), pushed
        expect(client, "rent", second, rows, 2)
        latest = client.predict("rent", rows.head(20))
        assert np.allclose(latest, second.predict(rows.head(20)), rtol=1e-5), latest
        print("its next version: ok")

        dear = np.where(rents > 1000, "dear", "cheap").astype(object)
        numbers = rows[["rooms", "size"]]
        third = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(numbers, dear)
        pushed = wardian.push(third, "dear", sample=numbers, url=URL)
        assert (pushed.version, pushed.state) == ("1", "READY"), pushed
        expect(client, "dear", third, numbers, 1)
        probabilities = client.predict_proba("dear", numbers)
        assert list(probabilities.columns) == ["cheap", "dear"], probabilities
        assert np.allclose(probabilities, third.predict_proba(numbers), atol=1e-6), probabilities
        print("a classifier: ok")


main()
