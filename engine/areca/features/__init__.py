"""Features: what a model sees of a cube."""

from areca.features.indices import INDICES, BandIndex, normalized_difference
from areca.features.normalize import standardize
from areca.features.stack import FeatureStack, inputs_of, stack_features

__all__ = [
    "INDICES",
    "BandIndex",
    "FeatureStack",
    "inputs_of",
    "normalized_difference",
    "stack_features",
    "standardize",
]
