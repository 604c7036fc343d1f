"""Models of XGBoost: objectives, boosters, missing values, categories, early stopping."""

import numpy as np
import xgboost

import data_sets
from case import case

ESTIMATOR = {
    "n_estimators": 25,
    "max_depth": 4,
    "learning_rate": 0.2,
    "random_state": 0,
    "n_jobs": 1,
}
BOOSTER = {"max_depth": 4, "eta": 0.2, "seed": 0, "nthread": 1}


def trained(rows, target, rounds=20, **parameters):
    """Trains a booster without the estimators' interface."""
    matrix = xgboost.DMatrix(rows, target)
    return xgboost.train({**BOOSTER, **parameters}, matrix, rounds), rows


def positive():
    """Rows with a target above 0."""
    return data_sets.diabetes()


def regression(name, objective, scale=1.0, **parameters):
    """A regression with one of the objectives."""

    @case(f"xgboost-{name}")
    def _():
        rows, target = positive()
        model = xgboost.XGBRegressor(objective=objective, **ESTIMATOR, **parameters)
        return model.fit(rows, target * scale), rows


regression("squared-error", "reg:squarederror")
regression("squared-log-error", "reg:squaredlogerror")
regression("absolute-error", "reg:absoluteerror")
regression("pseudo-huber", "reg:pseudohubererror", scale=0.01)
regression("quantiles", "reg:quantileerror", quantile_alpha=np.array([0.1, 0.5, 0.9]))
regression("logistic-regression", "reg:logistic", scale=1 / 400)
regression("poisson", "count:poisson")
regression("gamma", "reg:gamma")
regression("tweedie", "reg:tweedie", tweedie_variance_power=1.3)
regression("base-score", "reg:squarederror", base_score=150.0)
regression("dart", "reg:squarederror", booster="dart", rate_drop=0.3)
regression("linear", "reg:squarederror", booster="gblinear")


@case("xgboost-binary", format="ubj")
def _():
    rows, target = data_sets.cancer()
    return xgboost.XGBClassifier(**ESTIMATOR).fit(rows, target), rows


@case("xgboost-binary-names", classes=["malignant", "benign"])
def _():
    rows, target = data_sets.cancer()
    return xgboost.XGBClassifier(**ESTIMATOR).fit(rows, target), rows


@case("xgboost-binary-booster")
def _():
    rows, target = data_sets.cancer()
    return trained(rows, target, objective="binary:logistic")


@case("xgboost-margins")
def _():
    rows, target = data_sets.cancer()
    return trained(rows, target, objective="binary:logitraw")


@case("xgboost-hinge")
def _():
    rows, target = data_sets.cancer()
    return trained(rows, target, objective="binary:hinge")


@case("xgboost-classes-missing-values")
def _():
    rows, species = data_sets.penguin_sizes()
    return xgboost.XGBClassifier(**ESTIMATOR).fit(rows, species), rows


@case("xgboost-missing-number")
def _():
    rows, species = data_sets.penguin_sizes()
    rows = np.where(np.isnan(rows), -999, rows)
    model = xgboost.XGBClassifier(missing=-999, **ESTIMATOR)
    return model.fit(rows, species), rows


@case("xgboost-softmax")
def _():
    rows, digit = data_sets.digits()
    return trained(rows, digit, rounds=5, objective="multi:softmax", num_class=10)


@case("xgboost-softprob", format="ubj")
def _():
    rows, digit = data_sets.digits()
    return trained(rows, digit, rounds=5, objective="multi:softprob", num_class=10)


@case("xgboost-random-forest")
def _():
    rows, cultivar = data_sets.wine()
    model = xgboost.XGBRFClassifier(n_estimators=20, max_depth=4, random_state=0, n_jobs=1)
    return model.fit(rows, cultivar), rows


@case("xgboost-survival")
def _():
    rows, target = positive()
    matrix = xgboost.DMatrix(rows)
    matrix.set_float_info("label_lower_bound", target)
    matrix.set_float_info("label_upper_bound", np.where(target > 200, np.inf, target))
    return xgboost.train({**BOOSTER, "objective": "survival:aft"}, matrix, 20), rows


@case("xgboost-cox")
def _():
    rows, target = positive()
    return trained(rows, target / 100, objective="survival:cox")


@case("xgboost-ranking")
def _():
    rows, target = positive()
    groups = np.sort(np.arange(len(rows)) % 20)
    model = xgboost.XGBRanker(objective="rank:ndcg", **ESTIMATOR)
    return model.fit(rows, (target // 100).astype(int), qid=groups), rows


@case("xgboost-several-outputs")
def _():
    rows, target = data_sets.exercises()
    return xgboost.XGBRegressor(**{**ESTIMATOR, "min_child_weight": 0}).fit(rows, target), rows


@case("xgboost-vector-leaves")
def _():
    rows, target = data_sets.exercises()
    model = xgboost.XGBRegressor(multi_strategy="multi_output_tree", **ESTIMATOR)
    return model.fit(rows, target), rows


@case("xgboost-early-stopping")
def _():
    rows, target = positive()
    model = xgboost.XGBRegressor(early_stopping_rounds=2, **{**ESTIMATOR, "n_estimators": 100})
    return model.fit(rows[:300], target[:300], eval_set=[(rows[300:], target[300:])]), rows


@case("xgboost-early-stopping-booster")
def _():
    rows, target = positive()
    matrix = xgboost.DMatrix(rows[:300], target[:300])
    check = xgboost.DMatrix(rows[300:], target[300:])
    model = xgboost.train(
        BOOSTER, matrix, 100, evals=[(check, "check")], early_stopping_rounds=2, verbose_eval=False
    )
    return model, rows


@case("xgboost-frame")
def _():
    rows, miles = data_sets.cars()
    rows = rows.drop(columns=["Origin"]).rename(columns={"Horsepower": 'größe "m²"'})
    return xgboost.XGBRegressor(**ESTIMATOR).fit(rows, miles), rows


@case("xgboost-categories")
def _():
    rows, miles = data_sets.categorical_cars()
    model = xgboost.XGBRegressor(enable_categorical=True, **ESTIMATOR)
    return model.fit(rows, miles), rows


@case("xgboost-categories-partitioned")
def _():
    rows, miles = data_sets.categorical_cars()
    model = xgboost.XGBRegressor(enable_categorical=True, max_cat_to_onehot=1, **ESTIMATOR)
    return model.fit(rows, miles), rows


@case("xgboost-one-leaf")
def _():
    rows, target = positive()
    return trained(rows, target // 100, rounds=3, objective="count:poisson", gamma=1e9)


@case("xgboost-several-labels")
def _():
    rows, species = data_sets.iris()
    labels = np.column_stack([species == 1, species == 2])
    return xgboost.XGBClassifier(**ESTIMATOR).fit(rows, labels), rows


@case("xgboost-category-numbers")
def _():
    rows, miles = data_sets.cars()
    rows = rows.drop(columns=["Origin"])
    rows["Cylinders"] = rows["Cylinders"].astype("category")
    model = xgboost.XGBRegressor(enable_categorical=True, **ESTIMATOR)
    return model.fit(rows, miles), rows


@case("xgboost-categories-beyond-ascii")
def _():
    rows, miles = data_sets.categorical_cars()
    rows = rows.copy()
    rows["Origin"] = rows["Origin"].cat.rename_categories(["США", "日本", "Österreich"])
    model = xgboost.XGBRegressor(enable_categorical=True, **ESTIMATOR)
    return model.fit(rows, miles), rows
