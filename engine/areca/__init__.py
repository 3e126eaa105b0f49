"""areca: from a STAC catalogue and a model to counted and measured objects.

The names below are the public interface; each is loaded when it is first used, so
importing `areca` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from areca.catalog import CubeOptions, Mask, composite, open_cube, search
    from areca.exports import Exported, ExportOptions, export_objects, export_raster
    from areca.features import stack_features
    from areca.inference import Prediction, PredictOptions, predict
    from areca.measures import (
        CountCalibration,
        GapOptions,
        MeasureOptions,
        SummaryOptions,
        bounding_geometry,
        circles,
        find_gaps,
        measure,
        read_objects,
        spacing,
        summarize,
        summarize_cells,
        write_objects,
    )
    from areca.models.handle import list_models, load_model
    from areca.objects import PolygonOptions, polygonize

_HOMES = {
    "CountCalibration": "areca.measures",
    "CubeOptions": "areca.catalog",
    "ExportOptions": "areca.exports",
    "Exported": "areca.exports",
    "GapOptions": "areca.measures",
    "Mask": "areca.catalog",
    "MeasureOptions": "areca.measures",
    "PolygonOptions": "areca.objects",
    "PredictOptions": "areca.inference",
    "Prediction": "areca.inference",
    "SummaryOptions": "areca.measures",
    "bounding_geometry": "areca.measures",
    "circles": "areca.measures",
    "composite": "areca.catalog",
    "export_objects": "areca.exports",
    "export_raster": "areca.exports",
    "find_gaps": "areca.measures",
    "list_models": "areca.models.handle",
    "load_model": "areca.models.handle",
    "measure": "areca.measures",
    "open_cube": "areca.catalog",
    "polygonize": "areca.objects",
    "predict": "areca.inference",
    "read_objects": "areca.measures",
    "search": "areca.catalog",
    "spacing": "areca.measures",
    "stack_features": "areca.features",
    "summarize": "areca.measures",
    "summarize_cells": "areca.measures",
    "write_objects": "areca.measures",
}

__all__ = [
    "CountCalibration",
    "CubeOptions",
    "ExportOptions",
    "Exported",
    "GapOptions",
    "Mask",
    "MeasureOptions",
    "PolygonOptions",
    "PredictOptions",
    "Prediction",
    "SummaryOptions",
    "bounding_geometry",
    "circles",
    "composite",
    "export_objects",
    "export_raster",
    "find_gaps",
    "list_models",
    "load_model",
    "measure",
    "open_cube",
    "polygonize",
    "predict",
    "read_objects",
    "search",
    "spacing",
    "stack_features",
    "summarize",
    "summarize_cells",
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
