"""Tiles to objects and rasters: `predict_block`, and the lazy `predict` around it."""

from areca.inference.area import Area, window_box
from areca.inference.block import BlockPrediction, predict_block
from areca.inference.fit import check_fit, check_options, needed_bands, with_tile
from areca.inference.lazy import Prediction, images_of, origin_of, predict
from areca.inference.options import PredictOptions
from areca.inference.predictor import Predictor
from areca.inference.rasters import FILL, class_attributes
from areca.inference.rows import block_rows, finish_rows, settle_rows

__all__ = [
    "FILL",
    "Area",
    "BlockPrediction",
    "PredictOptions",
    "Prediction",
    "Predictor",
    "block_rows",
    "check_fit",
    "check_options",
    "class_attributes",
    "finish_rows",
    "images_of",
    "needed_bands",
    "origin_of",
    "predict",
    "predict_block",
    "settle_rows",
    "window_box",
    "with_tile",
]
