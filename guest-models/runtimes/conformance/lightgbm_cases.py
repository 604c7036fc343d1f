"""Models of LightGBM: objectives, boosters, missing values, categories, early stopping."""

import lightgbm
import numpy as np

import data_sets
from case import case

PARAMETERS = {
    "num_leaves": 15, "learning_rate": 0.2, "min_child_samples": 5, "n_estimators": 25,
    "random_state": 0, "n_jobs": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
BOOSTER = {
    "num_leaves": 15, "learning_rate": 0.2, "min_data_in_leaf": 5, "seed": 0, "num_threads": 1,
    "deterministic": True, "verbose": -1,
}  # fmt: skip


def trained(rows, target, rounds=20, **parameters):
    """Trains a booster without the estimators' interface."""
    settings = {**BOOSTER, **parameters}
    return lightgbm.train(settings, lightgbm.Dataset(rows, target), rounds), rows


def regression(name, objective, scale=1.0, **parameters):
    """A regression with one of the objectives."""

    @case(f"lightgbm-{name}")
    def _():
        rows, target = data_sets.diabetes()
        model = lightgbm.LGBMRegressor(objective=objective, **{**PARAMETERS, **parameters})
        return model.fit(rows, target * scale), rows


regression("regression", "regression")
regression("square-root", "regression", reg_sqrt=True)
regression("absolute", "regression_l1")
regression("huber", "huber")
regression("fair", "fair")
regression("quantile", "quantile", alpha=0.7)
regression("percentage", "mape")
regression("poisson", "poisson")
regression("gamma", "gamma")
regression("tweedie", "tweedie", tweedie_variance_power=1.4)
regression("cross-entropy", "cross_entropy", scale=1 / 400)
regression("cross-entropy-lambda", "cross_entropy_lambda", scale=1 / 400)
regression("dart", "regression", boosting_type="dart")
regression("random-forest", "regression", boosting_type="rf", bagging_freq=1, bagging_fraction=0.6)
regression("random-forest-poisson", "poisson", boosting_type="rf", bagging_freq=1,
           bagging_fraction=0.6)  # fmt: skip
regression("linear-leaves", "regression", linear_tree=True)


@case("lightgbm-goss")
def _():
    rows, target = data_sets.cancer()
    model = lightgbm.LGBMClassifier(data_sample_strategy="goss", **PARAMETERS)
    return model.fit(rows, target), rows


@case("lightgbm-binary-booster")
def _():
    rows, target = data_sets.cancer()
    return trained(rows, target, objective="binary", sigmoid=2.5)


@case("lightgbm-binary-names", classes=["malignant", "benign"])
def _():
    rows, target = data_sets.cancer()
    return trained(rows, target, objective="binary")


@case("lightgbm-classes-missing-values")
def _():
    rows, species = data_sets.penguin_sizes()
    names = np.array(["Adelie", "Chinstrap", "Gentoo"], dtype=object)[species]
    return lightgbm.LGBMClassifier(**PARAMETERS).fit(rows, names), rows


@case("lightgbm-one-against-all")
def _():
    rows, digit = data_sets.digits()
    return trained(rows, digit, rounds=5, objective="multiclassova", num_class=10, sigmoid=1.7)


@case("lightgbm-classes-far-apart")
def _():
    rows, species = data_sets.iris()
    labels = np.array([-7, 12, 1 << 40])[species]
    return lightgbm.LGBMClassifier(**PARAMETERS).fit(rows, labels), rows


@case("lightgbm-zero-is-missing")
def _():
    rows, digit = data_sets.digits()
    return trained(rows, digit, zero_as_missing=True, objective="regression")


@case("lightgbm-missing-not-used")
def _():
    rows, species = data_sets.penguin_sizes()
    return trained(rows, species, use_missing=False, objective="multiclass", num_class=3)


@case("lightgbm-ranking")
def _():
    rows, target = data_sets.diabetes()
    model = lightgbm.LGBMRanker(**PARAMETERS)
    return model.fit(rows, (target // 100).astype(int), group=[42] + [20] * 20), rows


@case("lightgbm-early-stopping")
def _():
    rows, target = data_sets.diabetes()
    model = lightgbm.LGBMRegressor(**{**PARAMETERS, "n_estimators": 100})
    stop = lightgbm.early_stopping(2, verbose=False)
    model.fit(rows[:300], target[:300], eval_set=[(rows[300:], target[300:])], callbacks=[stop])
    return model, rows


@case("lightgbm-custom-objective")
def _():
    rows, target = data_sets.diabetes()

    def squared(predicted, data):
        return predicted - data.get_label(), np.ones_like(predicted)

    settings = {**BOOSTER, "objective": squared}
    return lightgbm.train(settings, lightgbm.Dataset(rows, target), 20), rows


@case("lightgbm-frame")
def _():
    rows, miles = data_sets.cars()
    rows = rows.drop(columns=["Origin"]).rename(columns={"Horsepower": "größe in m²"})
    return lightgbm.LGBMRegressor(**PARAMETERS).fit(rows, miles), rows


@case("lightgbm-categories")
def _():
    rows, miles = data_sets.categorical_cars()
    model = lightgbm.LGBMRegressor(min_data_per_group=5, cat_smooth=1.0, **PARAMETERS)
    return model.fit(rows, miles), rows


@case("lightgbm-category-codes")
def _():
    rows, miles = data_sets.cars()
    rows = rows.drop(columns=["Origin"]).to_numpy(np.float64)
    model = lightgbm.LGBMRegressor(min_data_per_group=5, cat_smooth=1.0, **PARAMETERS)
    return model.fit(rows, miles, categorical_feature=[0]), rows


@case("lightgbm-one-leaf")
def _():
    rows, target = data_sets.diabetes()
    return trained(rows, target, rounds=3, min_data_in_leaf=400, objective="regression")


@case("lightgbm-category-numbers")
def _():
    rows, miles = data_sets.cars()
    rows = rows.drop(columns=["Origin"])
    rows["Cylinders"] = rows["Cylinders"].astype("category")
    model = lightgbm.LGBMRegressor(min_data_per_group=5, cat_smooth=1.0, **PARAMETERS)
    return model.fit(rows, miles), rows
