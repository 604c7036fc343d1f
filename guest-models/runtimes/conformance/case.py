"""A model whose served answers are compared with its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A model of a library.

    Attributes:
        name: The name of its folder.
        fit: Trains the model; returns it with rows of the kind that it was trained on.
        options: Options of ``wardian.save``.
        float32: The reason why the converted file is not within 1e-5 of the library, if it is not:
            then ONNX Runtime's answers to it are expected. The reason is always that the converter
            computes in 32-bit floats.
        refused: A part of the text with which ``wardian.save`` refuses the model, if it does.
    """

    name: str
    fit: Callable[[], tuple[Any, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    float32: str | None = None
    refused: str | None = None


_CASES: list[Case] = []


def case(
    name: str, float32: str | None = None, refused: str | None = None, **options: Any
) -> Callable[[Callable[[], tuple[Any, Any]]], Callable[[], tuple[Any, Any]]]:
    """Adds the function that it decorates to the cases."""

    def add(fit: Callable[[], tuple[Any, Any]]) -> Callable[[], tuple[Any, Any]]:
        assert all(known.name != name for known in _CASES), name
        _CASES.append(Case(name, fit, options, float32, refused))
        return fit

    return add


def all_cases() -> list[Case]:
    """Returns the cases of every module that was imported."""
    return list(_CASES)
