"""HistGradientBoosting estimators of scikit-learn, in the format ``wardian-trees``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..errors import NotSaved
from .categories import check_no_empty_category

# The last step of the format for each link of scikit-learn's losses.
_LAST_STEPS = {
    "IdentityLink": "none",
    "LogLink": "exponential",
    "LogitLink": "logistic",
    "MultinomialLogit": "softmax",
}


def export(estimator: Any) -> bytes:
    """Exports a fitted classifier or regressor.

    Args:
        estimator: A ``HistGradientBoostingClassifier`` or ``HistGradientBoostingRegressor``.

    Returns:
        The content of ``model.trees.json``.

    Raises:
        NotSaved: if the estimator is not fitted, or was fitted by a scikit-learn before 1.4, or has
            categories or a loss that the format has no place for.
    """
    import sklearn

    if not hasattr(estimator, "_predictors"):
        raise NotSaved("the estimator is not fitted; call fit(X, y) first")

    order = _order(estimator)
    document = {
        "format": "wardian-trees",
        "version": 1,
        "library": f"scikit-learn {sklearn.__version__} {type(estimator).__name__}",
        "objective": str(estimator.loss),
        "columns": _columns(estimator, order),
        **_classes(estimator),
        "last_step": last_step(estimator),
        "baseline": _numbers(estimator._baseline_prediction.ravel()),
        "trees": [
            _tree(predictor, order) for round_ in estimator._predictors for predictor in round_
        ],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def numbered_columns(estimator: Any) -> list[dict[str, Any]]:
    """Returns the columns in the order in which the trees number them.

    Each has its ``name``, its ``number`` in a row and, if it is categorical, its ``categories`` in
    the order of their codes.

    Raises:
        NotSaved: if the estimator was fitted by a scikit-learn before 1.4 and has categories, or
            has categories that are neither all texts nor all numbers.
    """
    order = _order(estimator)
    columns = _columns(estimator, order)
    return [{**columns[index], "number": index} for index in order]


def _order(estimator: Any) -> list[int]:
    """Returns the columns in the order in which the trees number them.

    Categorical columns stand first there, because a ``ColumnTransformer`` encodes them.
    """
    categorical = getattr(estimator, "is_categorical_", None)
    if categorical is None:
        return list(range(estimator._n_features))
    if getattr(estimator, "_preprocessor", None) is None:
        raise NotSaved(
            "the estimator has categorical features and was fitted by a scikit-learn before 1.4; "
            "fit it again with a newer one"
        )

    first = [index for index, is_in in enumerate(categorical) if is_in]
    return first + [index for index, is_in in enumerate(categorical) if not is_in]


def _columns(estimator: Any, order: list[int]) -> list[dict[str, Any]]:
    count = len(order)
    names = getattr(estimator, "feature_names_in_", None)
    columns: list[dict[str, Any]] = [
        {"name": str(names[index]) if names is not None else f"x{index}"} for index in range(count)
    ]
    if getattr(estimator, "_preprocessor", None) is not None:
        lists = estimator._preprocessor.named_transformers_["encoder"].categories_
        for index, categories in zip(order, lists, strict=False):
            columns[index]["categories"] = _categories(columns[index]["name"], categories)
    return columns


def _categories(name: str, categories: Any) -> list[Any]:
    """Returns categories in the order of their codes, without NaN, which is encoded as missing."""
    values = [value.item() if hasattr(value, "item") else value for value in categories]
    values = [value for value in values if not (isinstance(value, float) and value != value)]
    is_text = {isinstance(value, str) for value in values}
    is_known = all(isinstance(value, (str, bool, int, float)) for value in values)
    if not is_known or len(is_text) > 1:
        raise NotSaved(
            f"the categories of column {name!r} are not all texts or all numbers: {values[:5]}; "
            "make them texts, with NaN where there is none, and fit again"
        )
    check_no_empty_category(name, values)
    return values


def _classes(estimator: Any) -> dict[str, list[Any]]:
    if not hasattr(estimator, "classes_"):
        return {}
    values = estimator.classes_.tolist()
    if len(values) < 2:
        raise NotSaved("the classifier knows one class only; fit it with rows of two or more")
    if all(isinstance(value, str) for value in values):
        return {"classes": values}
    if all(isinstance(value, (bool, int, float)) and value == int(value) for value in values):
        return {"classes": [int(value) for value in values]}
    raise NotSaved(f"the classes are neither all whole numbers nor all texts: {values[:5]}")


def last_step(estimator: Any) -> str:
    """Returns the function that turns sums into predictions, as the format calls it.

    Raises:
        NotSaved: if it is not one of the format's.
    """
    link = type(estimator._loss.link).__name__
    if link not in _LAST_STEPS:
        raise NotSaved(f"the loss {estimator.loss!r} has the link {link}, which is not known")
    return _LAST_STEPS[link]


def _tree(predictor: Any, order: list[int]) -> dict[str, Any]:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    is_categorical = nodes["is_categorical"].astype(bool) & ~is_leaf

    def where(condition: Any, values: Any, otherwise: Any) -> list[Any]:
        rows = zip(condition.tolist(), values.tolist(), strict=True)
        return [value if holds else otherwise for holds, value in rows]

    features = where(~is_leaf, nodes["feature_idx"], -1)
    tree: dict[str, Any] = {
        "feature": _whole(order[index] if index >= 0 else -1 for index in features),
        "number": _numbers(
            leaf if ends else (0.0 if is_set else threshold)
            for leaf, threshold, ends, is_set in zip(
                nodes["value"].tolist(),
                nodes["num_threshold"].tolist(),
                is_leaf.tolist(),
                is_categorical.tolist(),
                strict=True,
            )
        ),
        "left": _whole(where(~is_leaf, nodes["left"], 0)),
        "right": _whole(where(~is_leaf, nodes["right"], 0)),
        "missing_left": _whole(where(~is_leaf, nodes["missing_go_to_left"], 0)),
    }
    if is_categorical.any():
        tree["set"] = _whole(where(is_categorical, nodes["bitset_idx"], -1))
        tree["sets"] = [_set(words.tolist()) for words in predictor.raw_left_cat_bitsets]
    return tree


def _set(words: list[int]) -> str:
    """Writes the words of a set, without the zeros at the end."""
    count = max((index for index, word in enumerate(words, 1) if word), default=0)
    return _whole(words[:count])


def _whole(values: Iterable[int]) -> str:
    return " ".join(str(int(value)) for value in values)


def _numbers(values: Iterable[float]) -> str:
    """Writes doubles with as many digits as tell them apart."""
    return " ".join(repr(float(value)) for value in values)
