"""Writes the files of the crate: scaler.txt, and golden.json with scikit-learn's own answers.

    pip install -r requirements.txt && python train.py

scaler.txt has two lines of 30 numbers: what is taken from each measurement, and what that is divided by.
golden.json lets the model learn from tumours one by one, and expects the probability that scikit-learn's
SGDClassifier gave each of them just before it learned from it.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
RATE = 0.05
LEARNED = 120


def tensor(name, shape, datatype, data):
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def learner():
    return SGDClassifier(loss="log_loss", penalty=None, learning_rate="constant", eta0=RATE, shuffle=False)


def learn(model, rows, labels):
    """Returns the probability of each row before the step of that row."""
    for row, label in zip(rows, labels):
        known = hasattr(model, "coef_")
        yield float(model.predict_proba([row])[0, 1]) if known else 0.5
        model.partial_fit([row], [label], classes=[0, 1])


def main():
    data = load_breast_cancer()
    malignant = (data.target == 0).astype(int)
    order = np.random.default_rng(0).permutation(len(malignant))
    rows, labels = data.data[order], malignant[order]
    scaler = StandardScaler().fit(rows[:LEARNED])
    scaled = scaler.transform(rows)
    lines = [" ".join(repr(float(number)) for number in numbers) for numbers in (scaler.mean_, scaler.scale_)]
    (HERE / "scaler.txt").write_text("\n".join(lines) + "\n")

    model = learner()
    known_before = list(learn(model, scaled[:LEARNED], labels[:LEARNED]))
    accuracy = model.score(scaled[LEARNED:], labels[LEARNED:])
    print(f"accuracy on {len(labels) - LEARNED} unseen tumours after {LEARNED}: {accuracy:.3f}")
    before = np.array(known_before)
    print(f"accuracy while learning: {np.mean((before >= 0.5) == labels[:LEARNED]):.3f}")

    measurements = tensor("measurements", [LEARNED, 30], "FP64", rows[:LEARNED].ravel().tolist())
    outcome = tensor("malignant", [LEARNED], "BOOL", [bool(label) for label in labels[:LEARNED]])
    cases = [{
        "request": {"inputs": [measurements, outcome]},
        "response": {"outputs": [
            tensor("probability", [LEARNED], "FP64", known_before),
            tensor("learned", [1], "INT64", [LEARNED]),
        ]},
    }, {
        "request": {"inputs": [tensor("measurements", [1, 30], "FP64", rows[0].tolist())]},
        "response": {"outputs": [tensor("probability", [1], "FP64", [0.5]), tensor("learned", [1], "INT64", [0])]},
    }]
    document = {"tolerance": {"relative": 1e-9, "absolute": 1e-12}, "cases": cases}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
