"""areca: from a STAC catalogue and a model to counted and measured objects.

The names below are the public interface; each is loaded when it is first used, so
importing `areca` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from areca.catalog import open_cube, search
    from areca.features import stack_features
    from areca.inference import Prediction, PredictOptions, predict
    from areca.measures import (
        MeasureOptions,
        bounding_geometry,
        circles,
        measure,
        read_objects,
        write_objects,
    )
    from areca.models.handle import list_models, load_model

_HOMES = {
    "MeasureOptions": "areca.measures",
    "PredictOptions": "areca.inference",
    "Prediction": "areca.inference",
    "bounding_geometry": "areca.measures",
    "circles": "areca.measures",
    "list_models": "areca.models.handle",
    "load_model": "areca.models.handle",
    "measure": "areca.measures",
    "open_cube": "areca.catalog",
    "predict": "areca.inference",
    "read_objects": "areca.measures",
    "search": "areca.catalog",
    "stack_features": "areca.features",
    "write_objects": "areca.measures",
}

__all__ = [
    "MeasureOptions",
    "PredictOptions",
    "Prediction",
    "bounding_geometry",
    "circles",
    "list_models",
    "load_model",
    "measure",
    "open_cube",
    "predict",
    "read_objects",
    "search",
    "stack_features",
    "write_objects",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    # The form that Python itself uses, so that hasattr and tools understand it.
    message = f"module 'areca' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return __all__
