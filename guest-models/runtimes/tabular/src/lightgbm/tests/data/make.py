"""Makes the files of this folder: pip install lightgbm==4.7.0 pandas scikit-learn, then run it here."""

import lightgbm as lgb
import numpy as np
import pandas as pd

ONE = dict(
    objective="regression", num_leaves=2, min_data_in_leaf=1, min_data_in_bin=1,
    min_sum_hessian_in_leaf=0, learning_rate=1, boost_from_average=False, verbose=-1, num_threads=1,
)


def train(x, y, rounds=1, data={}, **params):
    x = np.asarray(x, float)
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    params = {**ONE, **params}
    return lgb.train(params, lgb.Dataset(x, y, params=params, **data), rounds)


def save(name, model):
    """Saves the model without its parameters, which are long and change no answer."""
    text = model.model_to_string()
    start, end = text.index("\nparameters:"), text.index("end of parameters")
    kept = [line for line in text[start:end].splitlines() if line.startswith("[categorical_feature:")]
    parameters = "\nparameters:\n" + "\n".join(kept) + "\n\n"
    open(name + ".txt", "w", newline="").write(text[:start] + parameters + text[end:])


x = np.arange(-19.5, 20)
save("missing_none", train(x, (x > 3).astype(float)))

x = np.repeat([-2.0, -1, 0, 1, 2], 8)
y = x + np.where((x == 0) | (x == 2), 5, 0)
save("missing_zero", train(x, y, zero_as_missing=True, num_leaves=3))

x = np.repeat([np.nan, 1.0, 2, 3], 8)
save("missing_nan", train(x, np.repeat([5.0, 0, 1, 5], 8), num_leaves=3))

x = 1000 + np.arange(40) * 1e-5
save("doubles", train(x, (np.arange(40) >= 20).astype(float)))

x = np.repeat(np.arange(70.0), 20)
y = x * 7919 % 13
save("categories", train(
    x, y, data=dict(categorical_feature=[0]), num_leaves=15, min_data_per_group=5, cat_smooth=1,
    max_cat_threshold=64,
))

words = ['ä"]]', "Tree=0", "end of trees", "a,b", ""]
frame = pd.DataFrame({
    "a=b": np.tile(np.arange(4.0), 25),
    "word": pd.Categorical(np.repeat(words, 20), categories=words),
    "grade": pd.Categorical(np.tile(["low", "high"], 50), categories=["low", "high"], ordered=True),
})
y = frame["word"].cat.codes * 10.0 + frame["grade"].cat.codes + (frame["a=b"] > 1) * 0.5
params = {**ONE, "num_leaves": 15, "min_data_per_group": 5, "cat_smooth": 0, "cat_l2": 0, "min_data_per_group": 1}
save("words", lgb.train(params, lgb.Dataset(frame, y, params=params), 1))

frame = pd.DataFrame({"number": pd.Categorical(np.repeat([9, 1, 5], 20), categories=[9, 1, 5])})
save("numbers", lgb.train(params, lgb.Dataset(frame, np.repeat([1.0, 2, 4], 20), params=params), 2))

x = np.arange(400.0)
save("one_leaf", train(x, x, 3, min_data_in_leaf=300, boost_from_average=True))

x = np.arange(100.0)
forest = dict(boosting="rf", bagging_freq=1, bagging_fraction=0.6)
save("forest_binary", train(
    x, (x > 50).astype(float), 4, objective="binary", sigmoid=1.7, boost_from_average=True, **forest,
))
save("forest_poisson", train(x, np.round(x / 20), 4, objective="poisson", **forest))

i = np.arange(200)
save("linear", train(
    np.c_[i, i % 7], 2 * i + i % 7, 2, linear_tree=True, num_leaves=3, min_data_in_leaf=20, learning_rate=0.5,
))

x = np.arange(100.0)
save("custom", lgb.train(
    {**ONE, "objective": lambda sums, data: (sums - data.get_label(), np.ones_like(sums))},
    lgb.Dataset(x.reshape(-1, 1), x / 10), 2,
))
save("entropy_lambda", train(x, np.clip(x / 100, 0.1, 0.9), 3, objective="cross_entropy_lambda"))
save("entropy", train(x, np.clip(x / 100, 0.1, 0.9), 3, objective="cross_entropy"))
save("square", train(x, x - 30, 3, objective="regression", reg_sqrt=True))
save("one_versus_all", train(x, x // 34, 3, objective="multiclassova", num_class=3, sigmoid=2.5, learning_rate=0.3))
save("multiclass", train(x, x // 34, 3, objective="multiclass", num_class=3, learning_rate=0.3))
save("ranking", train(x, x // 34, 2, dict(group=[50, 50]), objective="lambdarank"))
