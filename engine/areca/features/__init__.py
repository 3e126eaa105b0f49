"""Features: what a model sees of a cube."""

from areca.features.bands import stack_bands
from areca.features.clusters import ClusterOptions, fit_clusters
from areca.features.families import enhance, terrain, texture
from areca.features.functions import NEIGHBOURHOODS, Neighbourhood
from areca.features.hysteresis import CannyEdges, canny, fit_canny
from areca.features.indices import INDICES, BandIndex, find_index, spectral_indices
from areca.features.likelihood import classify
from areca.features.lineage import lineage
from areca.features.mean_shift import mean_shift
from areca.features.normalize import standardize
from areca.features.pansharpen import pansharpen
from areca.features.scaling import match_histograms, normalize, subtract_dark
from areca.features.segment_options import SegmentOptions
from areca.features.segments import Segments, fit_segments, segment
from areca.features.signature import Signature, SignatureClass
from areca.features.stack import FeatureStack, inputs_of, stack_features
from areca.features.statistics import BandStatistics, Statistics, fit_statistics

__all__ = [
    "INDICES",
    "NEIGHBOURHOODS",
    "BandIndex",
    "BandStatistics",
    "CannyEdges",
    "ClusterOptions",
    "FeatureStack",
    "Neighbourhood",
    "SegmentOptions",
    "Segments",
    "Signature",
    "SignatureClass",
    "Statistics",
    "canny",
    "classify",
    "enhance",
    "find_index",
    "fit_canny",
    "fit_clusters",
    "fit_segments",
    "fit_statistics",
    "inputs_of",
    "lineage",
    "match_histograms",
    "mean_shift",
    "normalize",
    "pansharpen",
    "segment",
    "spectral_indices",
    "stack_bands",
    "stack_features",
    "standardize",
    "subtract_dark",
    "terrain",
    "texture",
]
