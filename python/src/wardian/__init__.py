"""Saves, pushes and asks models that Wardian serves.

    wardian.save(model, "models/rent/1", sample=X)      # writes a version's folder
    wardian.push(model, "rent", sample=X, url=…)        # uploads it, and waits for the verdict
    wardian.Client(url).predict("rent", frame)          # asks it
"""

from .errors import Error, NotSaved, Unreachable
from .exported import Tolerance
from .saving import save

__all__ = ["Error", "NotSaved", "Tolerance", "Unreachable", "save"]
__version__ = "0.1.0"
