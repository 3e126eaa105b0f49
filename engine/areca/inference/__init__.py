"""Tiles to candidates: `predict_block`, and the lazy `predict` around it."""

from areca.inference.area import Area, window_box
from areca.inference.block import BlockPrediction, Predictor, predict_block
from areca.inference.fit import check_fit, needed_bands
from areca.inference.lazy import Prediction, images_of, origin_of, predict
from areca.inference.options import PredictOptions

__all__ = [
    "Area",
    "BlockPrediction",
    "PredictOptions",
    "Prediction",
    "Predictor",
    "check_fit",
    "images_of",
    "needed_bands",
    "origin_of",
    "predict",
    "predict_block",
    "window_box",
]
