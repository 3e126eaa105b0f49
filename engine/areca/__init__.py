"""areca: from a STAC catalogue and a model to counted and measured objects.

The names below are the public interface; each is loaded when it is first used, so
importing `areca` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from areca.catalog import (
        CubeOptions,
        Mask,
        composite,
        open_cube,
        read_cube,
        search,
        write_cube,
        write_overviews,
    )
    from areca.exports import (
        Exported,
        ExportOptions,
        band_sheet,
        export_objects,
        export_raster,
    )
    from areca.features import (
        CannyEdges,
        ClusterOptions,
        SegmentOptions,
        Segments,
        Signature,
        Statistics,
        canny,
        classify,
        enhance,
        fit_canny,
        fit_clusters,
        fit_segments,
        fit_statistics,
        lineage,
        match_histograms,
        mean_shift,
        normalize,
        pansharpen,
        segment,
        stack_bands,
        stack_features,
        subtract_dark,
        terrain,
        texture,
    )
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
    from areca.models.card import ModelCard
    from areca.models.handle import list_models, load_model
    from areca.models.pack import pack_model
    from areca.objects import PolygonOptions, polygonize

_HOMES = {
    "CannyEdges": "areca.features",
    "ClusterOptions": "areca.features",
    "CountCalibration": "areca.measures",
    "CubeOptions": "areca.catalog",
    "ExportOptions": "areca.exports",
    "Exported": "areca.exports",
    "GapOptions": "areca.measures",
    "Mask": "areca.catalog",
    "MeasureOptions": "areca.measures",
    "ModelCard": "areca.models.card",
    "PolygonOptions": "areca.objects",
    "PredictOptions": "areca.inference",
    "Prediction": "areca.inference",
    "SegmentOptions": "areca.features",
    "Segments": "areca.features",
    "Signature": "areca.features",
    "Statistics": "areca.features",
    "SummaryOptions": "areca.measures",
    "band_sheet": "areca.exports",
    "bounding_geometry": "areca.measures",
    "canny": "areca.features",
    "circles": "areca.measures",
    "classify": "areca.features",
    "composite": "areca.catalog",
    "enhance": "areca.features",
    "export_objects": "areca.exports",
    "export_raster": "areca.exports",
    "find_gaps": "areca.measures",
    "fit_canny": "areca.features",
    "fit_clusters": "areca.features",
    "fit_segments": "areca.features",
    "fit_statistics": "areca.features",
    "lineage": "areca.features",
    "list_models": "areca.models.handle",
    "load_model": "areca.models.handle",
    "match_histograms": "areca.features",
    "mean_shift": "areca.features",
    "measure": "areca.measures",
    "normalize": "areca.features",
    "open_cube": "areca.catalog",
    "pack_model": "areca.models.pack",
    "pansharpen": "areca.features",
    "polygonize": "areca.objects",
    "predict": "areca.inference",
    "read_cube": "areca.catalog",
    "read_objects": "areca.measures",
    "search": "areca.catalog",
    "segment": "areca.features",
    "spacing": "areca.measures",
    "stack_bands": "areca.features",
    "stack_features": "areca.features",
    "subtract_dark": "areca.features",
    "summarize": "areca.measures",
    "summarize_cells": "areca.measures",
    "terrain": "areca.features",
    "texture": "areca.features",
    "write_cube": "areca.catalog",
    "write_objects": "areca.measures",
    "write_overviews": "areca.catalog",
}

__all__ = [
    "CannyEdges",
    "ClusterOptions",
    "CountCalibration",
    "CubeOptions",
    "ExportOptions",
    "Exported",
    "GapOptions",
    "Mask",
    "MeasureOptions",
    "ModelCard",
    "PolygonOptions",
    "PredictOptions",
    "Prediction",
    "SegmentOptions",
    "Segments",
    "Signature",
    "Statistics",
    "SummaryOptions",
    "band_sheet",
    "bounding_geometry",
    "canny",
    "circles",
    "classify",
    "composite",
    "enhance",
    "export_objects",
    "export_raster",
    "find_gaps",
    "fit_canny",
    "fit_clusters",
    "fit_segments",
    "fit_statistics",
    "lineage",
    "list_models",
    "load_model",
    "match_histograms",
    "mean_shift",
    "measure",
    "normalize",
    "open_cube",
    "pack_model",
    "pansharpen",
    "polygonize",
    "predict",
    "read_cube",
    "read_objects",
    "search",
    "segment",
    "spacing",
    "stack_bands",
    "stack_features",
    "subtract_dark",
    "summarize",
    "summarize_cells",
    "terrain",
    "texture",
    "write_cube",
    "write_objects",
    "write_overviews",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("areca")
    # The form that Python itself uses, so that hasattr and tools understand it.
    message = f"module 'areca' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return __all__
