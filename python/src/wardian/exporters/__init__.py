"""From a trained model to a model file, by the library's own exporter.

Each module does this for one library. It is chosen by the modules of the model's classes, so that
no library is imported that the model does not come from. Nothing here reads a pickle.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..errors import NotSaved
from ..exported import Exported
from ..sample import Sample

# The first of a class's packages, from the most derived on, that is listed here decides.
_MODULES = {
    "xgboost": "xgboost_file",
    "lightgbm": "lightgbm_file",
    "sklearn": "scikit_learn",
    "torch": "torch_module",
}


def export(model: Any, sample: Sample, options: dict[str, Any]) -> Exported:
    """Exports a model.

    Args:
        model: A model of XGBoost, LightGBM, scikit-learn or PyTorch.
        sample: Rows of the kind that the model was trained on.
        options: Options of the exporter of that library.

    Raises:
        NotSaved: if there is no exporter for the model, or it refuses the model.
    """
    model = _best_of_search(model)
    try:
        return _exporter(model)(model, sample, **options)
    except Exception as error:
        # Each library has an exception of its own for it.
        if "NotFitted" in type(error).__name__:
            raise NotSaved("the model is not fitted; call fit(X, y) first") from error
        raise


def _best_of_search(model: Any) -> Any:
    """Returns the best estimator of a search over parameters, by which it answers."""
    if hasattr(model, "best_estimator_"):
        return model.best_estimator_
    if type(model).__name__.endswith("SearchCV"):
        raise NotSaved(
            "the search is not fitted, or was told not to fit its best model again (refit=False); "
            "call fit(X, y) first"
        )
    return model


def _exporter(model: Any) -> Callable[..., Exported]:
    for ancestor in type(model).__mro__:
        module = ancestor.__module__
        if "_hist_gradient_boosting" in module and ancestor.__name__.startswith("HistGradient"):
            return import_module(".wardian_trees_file", __name__).export
        name = _MODULES.get(module.partition(".")[0])
        if name is not None:
            return import_module(f".{name}", __name__).export

    raise NotSaved(
        f"there is no exporter for {type(model).__module__}.{type(model).__qualname__}; models of "
        "scikit-learn, XGBoost, LightGBM and PyTorch can be saved, and any other one by writing "
        "model.onnx into the folder yourself"
    )
