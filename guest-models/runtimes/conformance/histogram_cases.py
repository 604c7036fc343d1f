"""HistGradientBoosting of scikit-learn, which has a format of its own."""

import numpy as np
from sklearn import ensemble

import data_sets
from case import case

HISTOGRAM = {"max_iter": 20, "max_leaf_nodes": 15, "random_state": 0}


@case("histogram-boosting")
def _():
    rows, species = data_sets.penguin_sizes()
    return ensemble.HistGradientBoostingClassifier(**HISTOGRAM).fit(rows, species), rows


@case("histogram-boosting-binary")
def _():
    rows, target = data_sets.cancer()
    names = np.array(["malignant", "benign"], dtype=object)[target]
    return ensemble.HistGradientBoostingClassifier(**HISTOGRAM).fit(rows, names), rows


@case("histogram-boosting-regression")
def _():
    rows, target = data_sets.diabetes()
    return ensemble.HistGradientBoostingRegressor(**HISTOGRAM).fit(rows, target), rows


@case("histogram-boosting-poisson")
def _():
    rows, target = data_sets.diabetes()
    model = ensemble.HistGradientBoostingRegressor(loss="poisson", **HISTOGRAM)
    return model.fit(rows, target), rows


@case("histogram-boosting-categories")
def _():
    rows, miles = data_sets.categorical_cars()
    model = ensemble.HistGradientBoostingRegressor(categorical_features="from_dtype", **HISTOGRAM)
    return model.fit(rows, miles), rows
