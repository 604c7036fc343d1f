"""HistGradientBoosting of scikit-learn: alone in a format of its own, in pipelines as ONNX."""

import numpy as np
from sklearn import compose, ensemble, impute, linear_model, preprocessing
from sklearn.pipeline import make_pipeline

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


@case("histogram-boosting-scaled")
def _():
    rows, species = data_sets.penguin_sizes()
    last = ensemble.HistGradientBoostingClassifier(**HISTOGRAM)
    return make_pipeline(preprocessing.StandardScaler(), last).fit(rows, species), rows


@case("histogram-boosting-imputed-binary")
def _():
    rows, target = data_sets.cancer()
    names = np.array(["malignant", "benign"], dtype=object)[target]
    steps = [impute.SimpleImputer(strategy="median"), preprocessing.MinMaxScaler()]
    last = ensemble.HistGradientBoostingClassifier(**HISTOGRAM)
    return make_pipeline(*steps, last).fit(rows, names), rows


@case("histogram-boosting-scaled-poisson")
def _():
    rows, target = data_sets.diabetes()
    last = ensemble.HistGradientBoostingRegressor(loss="poisson", **HISTOGRAM)
    return make_pipeline(preprocessing.StandardScaler(), last).fit(rows, target), rows


def car_columns(words):
    """The origin of a car by an encoder, and its numbers as they are, missing ones among them."""
    return compose.make_column_transformer((words, ["Origin"]), remainder="passthrough")


@case("histogram-boosting-columns")
def _():
    rows, miles = data_sets.cars()
    words = preprocessing.OneHotEncoder(handle_unknown="ignore")
    last = ensemble.HistGradientBoostingRegressor(**HISTOGRAM)
    return make_pipeline(car_columns(words), last).fit(rows, miles), rows


@case("histogram-boosting-encoded-categories")
def _():
    rows, miles = data_sets.cars()
    words = preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    # The codes of the origin, and the numbers of cylinders.
    last = ensemble.HistGradientBoostingRegressor(categorical_features=[0, 1], **HISTOGRAM)
    return make_pipeline(car_columns(words), last).fit(rows, miles), rows


@case("histogram-boosting-vote")
def _():
    rows, species = data_sets.iris()
    trees = ensemble.HistGradientBoostingClassifier(**HISTOGRAM)
    linear = linear_model.LogisticRegression(max_iter=1000)
    model = ensemble.VotingClassifier([("trees", trees), ("linear", linear)], voting="soft")
    return model.fit(rows, species), rows


@case("histogram-boosting-beside-forest", refused="is not converted beside RandomForestClassifier")
def _():
    rows, species = data_sets.iris()
    trees = ensemble.HistGradientBoostingClassifier(**HISTOGRAM)
    forest = ensemble.RandomForestClassifier(n_estimators=10, max_depth=4, random_state=0)
    model = ensemble.VotingClassifier([("trees", trees), ("forest", forest)], voting="soft")
    return model.fit(rows, species), rows


@case("histogram-boosting-texts-passed-on", refused="encode it in the pipeline with OrdinalEncoder")
def _():
    rows, miles = data_sets.categorical_cars()
    numbers = ["Displacement", "Horsepower", "Weight_in_lbs", "Acceleration"]
    columns = compose.make_column_transformer(
        (preprocessing.StandardScaler(), numbers),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    last = ensemble.HistGradientBoostingRegressor(categorical_features="from_dtype", **HISTOGRAM)
    return make_pipeline(columns, last).fit(rows, miles), rows
