"""Makes the files of this folder: pip install xgboost==3.2.0 pandas scikit-learn, then run it here."""

import json

import numpy as np
import pandas as pd
import scipy.sparse
import xgboost as xgb

ONE = dict(max_depth=1, eta=1, reg_lambda=0, min_child_weight=0, base_score=0, nthread=1)
X = np.arange(100, dtype=np.float32).reshape(-1, 1) / 100
Y = (X[:, 0] >= 0.41).astype(float)


def train(x, y, rounds=1, data={}, **params):
    return xgb.train({**ONE, **params}, xgb.DMatrix(x, y, **data), rounds)


def rewrite(name, document):
    json.dump(document, open(name + ".json", "w"), separators=(",", ":"), ensure_ascii=False)


def document(model):
    return json.loads(model.save_raw("json"))


def save(name, model):
    model.save_model(name + ".json")


save("threshold", train(X, Y))
train(X, Y).save_model("threshold.ubj")

rows = np.array([[0], [0], [1], [2]] * 5)
save("sparse_zero", train(scipy.sparse.csr_matrix(rows), [5, 5, 1, 2] * 5))

codes = np.repeat(np.arange(70.0), 10).reshape(-1, 1)
save("categories", train(
    codes, codes[:, 0] * 7919 % 13, data=dict(feature_types=["c"], enable_categorical=True),
    tree_method="hist", max_cat_to_onehot=1, max_depth=4,
))

old = document(train(X, Y, objective="binary:logistic", base_score=0.2))
old["version"] = [1, 5, 2]
learner = old["learner"]
learner["learner_model_param"]["base_score"] = "2E-1"
for field in ["num_target", "boost_from_average"]:
    del learner["learner_model_param"][field]
for field in ["cats", "iteration_indptr"]:
    del learner["gradient_booster"]["model"][field]
rewrite("version_1", old)

dart = train(X, 10 * X[:, 0], 6, booster="dart", rate_drop=0.5, one_drop=1, eta=0.3, max_depth=2, seed=3)
save("dart", dart)
moved = document(dart)
inner = moved["learner"]["gradient_booster"]
moved["learner"]["gradient_booster"] = {**inner["gbtree"], "weight_drop": inner["weight_drop"]}
rewrite("dart_as_gbtree", moved)

train_rows, check_rows = X[::2], X[1::2]
target = np.sin(6 * X[:, 0]) + np.random.default_rng(1).normal(0, 0.6, 100) > 0.2
estimator = xgb.XGBClassifier(
    n_estimators=30, max_depth=3, learning_rate=0.5, early_stopping_rounds=3, n_jobs=1
).fit(train_rows, target[::2], eval_set=[(check_rows, target[1::2])], verbose=False)
estimator.save_model("stopped_estimator.json")
save("stopped_booster", estimator.get_booster())
print("stopped", estimator.predict_proba(X[[10, 90]])[:, 1], estimator.get_booster().predict(xgb.DMatrix(X[[10, 90]])))

save("vector_leaves", train(
    X, np.stack([Y, -2 * Y, Y + 1], 1), multi_strategy="multi_output_tree", tree_method="hist",
))

one_leaf = xgb.train(
    dict(objective="count:poisson", base_score=2.5, gamma=1e9, nthread=1), xgb.DMatrix(X, np.full(100, 3.0)), 3
)
save("one_leaf", one_leaf)

save("hinge", train(X, Y, objective="binary:hinge"))
three = np.minimum(X[:, 0] * 3, 2).astype(int)
save("softmax", train(X, three, objective="multi:softmax", num_class=3))
softprob = train(X, three, objective="multi:softprob", num_class=3)
save("softprob", softprob)

survival = xgb.DMatrix(X)
survival.set_float_info("label_lower_bound", X[:, 0] + 1)
survival.set_float_info("label_upper_bound", X[:, 0] + 1)
aft = xgb.train({**ONE, "objective": "survival:aft", "base_score": 0.5, "eta": 0.3}, survival, 1)
save("aft", aft)
print("aft", aft.predict(survival, output_margin=True)[[10, 90]], aft.predict(survival)[[10, 90]])

names = ['größe "m²"', "back\\slash\n", "価格 😀"]
save("names", train(np.hstack([X, X, X]), Y, data=dict(feature_names=names)))

frame = pd.DataFrame({
    "city": pd.Categorical(np.tile(["Paris", "a,b", 'q"]]', "Bern"], 25), categories=["Paris", "a,b", 'q"]]', "Bern"]),
    "number": pd.Categorical(np.tile([9, 1, 5, 2**40 + 1, 7], 20), categories=[9, 1, 5, 2**40 + 1, 7]),
    "x": X[:, 0],
})
target = frame["city"].cat.codes * 10.0 + frame["number"].cat.codes
named = xgb.XGBRegressor(
    n_estimators=2, max_depth=6, learning_rate=1, reg_lambda=0, min_child_weight=0, enable_categorical=True, n_jobs=1
).fit(frame, target)
named.save_model("category_names.json")
print("category names", named.predict(frame.iloc[[0, 1, 2, 3, 7]]))
numbers = xgb.XGBRegressor(
    n_estimators=2, max_depth=6, learning_rate=1, reg_lambda=0, min_child_weight=0, enable_categorical=True, n_jobs=1
).fit(pd.DataFrame({"n": pd.Categorical(np.tile([9, 1, 5], 20), categories=[9, 1, 5])}), np.tile([1.0, 2, 4], 20))
numbers.save_model("category_numbers.json")
beyond = frame[["city"]].copy()
beyond["city"] = beyond["city"].cat.rename_categories(["Zürich", "価格 😀", "", "x"])
cut = xgb.XGBRegressor(
    n_estimators=1, max_depth=6, learning_rate=1, reg_lambda=0, min_child_weight=0, enable_categorical=True, n_jobs=1
).fit(beyond, frame["city"].cat.codes)
cut.save_model("category_names_cut.json")

linear = train(np.hstack([X, X * X]), 3 * X[:, 0] - X[:, 0] ** 2 + 1, 30, booster="gblinear", base_score=0.5)
save("linear", linear)
rows = np.array([[0.1, 0.2], [np.nan, 0.5], [-3, np.nan]])
print("linear", linear.predict(xgb.DMatrix(rows)))

quantiles = train(X, Y * 10, 3, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9], max_depth=2)
save("quantiles", quantiles)
print("quantiles", quantiles.predict(xgb.DMatrix(X[[10, 41, 90]])))

forest = xgb.XGBRFRegressor(n_estimators=3, max_depth=2, random_state=1, n_jobs=1).fit(X, Y)
forest.save_model("forest.json")
print("forest", forest.predict(X[[10, 41, 90]]))

save("no_tree", xgb.train(dict(objective="binary:logistic"), xgb.DMatrix(X, Y), 0))
labels = np.stack([Y, 1 - Y], 1)
several = xgb.XGBClassifier(n_estimators=1, max_depth=1, base_score=0.5, n_jobs=1).fit(X, labels)
several.save_model("several_labels.json")
print("several labels", several.predict_proba(X[[10, 90]]), several.predict(X[[10, 90]]))

for name, objective, scale in [
    ("poisson", "count:poisson", 3), ("gamma", "reg:gamma", 3), ("tweedie", "reg:tweedie", 3),
    ("cox", "survival:cox", 3), ("logistic", "reg:logistic", 1), ("ranking", "rank:pairwise", 1),
]:
    data = dict(group=[100]) if name == "ranking" else {}
    base = {} if name == "ranking" else dict(base_score=0.3)
    model = train(X, Y * scale + (0.1 if scale > 1 else 0), 2, data=data, objective=objective, eta=0.3, **base)
    save(name, model)
    print(name, model.predict(xgb.DMatrix(X[[10, 90]])))
