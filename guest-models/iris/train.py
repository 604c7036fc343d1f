"""Trains the model and writes the files of the crate: weights.txt and golden.json.

    pip install -r requirements.txt && python train.py

weights.txt has one line per class: its name, its intercept, its four coefficients.
"""

import json
from pathlib import Path

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def format_weights(model, names):
    for name, intercept, coefficients in zip(names, model.intercept_, model.coef_):
        yield " ".join([str(name), *(repr(float(number)) for number in [intercept, *coefficients])])


def tensor(name, shape, datatype, data):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def golden_case(model, names, rows):
    labels = [str(names[label]) for label in model.predict(rows)]
    probabilities = model.predict_proba(rows)
    return {
        "request": {"inputs": [tensor("measurements", rows.shape, "FP64", rows.ravel().tolist())]},
        "response": {"outputs": [
            tensor("label", [len(labels)], "BYTES", labels),
            tensor("probabilities", probabilities.shape, "FP64", probabilities.ravel().tolist()),
        ]},
    }


def main():
    iris = load_iris()
    train_rows, test_rows, train_labels, test_labels = train_test_split(
        iris.data, iris.target, test_size=0.2, random_state=0, stratify=iris.target)
    model = LogisticRegression(max_iter=1000).fit(train_rows, train_labels)
    print(f"accuracy on unseen flowers: {model.score(test_rows, test_labels):.3f}")

    (HERE / "weights.txt").write_text("\n".join(format_weights(model, iris.target_names)) + "\n")
    batches = [test_rows[i : i + 1] for i in range(12)] + [test_rows]
    cases = [golden_case(model, iris.target_names, rows) for rows in batches]
    document = {"tolerance": {"relative": 1e-9, "absolute": 1e-12}, "cases": cases}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
