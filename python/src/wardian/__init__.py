"""Saves, pushes and asks models that Wardian serves.

wardian.save(model, "models/rent/1", sample=X)      # writes a version's folder
wardian.push(model, "rent", sample=X, url=…)        # uploads it, and waits for the verdict
wardian.Client(url).predict("rent", frame)          # asks it
"""

from .client import Client
from .errors import Error, NotSaved, Unreachable
from .exported import Tolerance
from .model_info import ModelInfo
from .pushing import Version, push
from .saving import save
from .tensors import Tensor, TensorSpec

__all__ = [
    "Client",
    "Error",
    "ModelInfo",
    "NotSaved",
    "Tensor",
    "TensorSpec",
    "Tolerance",
    "Unreachable",
    "Version",
    "push",
    "save",
]
__version__ = "0.1.0"
