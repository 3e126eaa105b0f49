"""Labels: read them, check them, split the ground they lie on."""

from areca.labels.circles import CircleLabels, circles_of
from areca.labels.ground import GroundSplit, area_mask, erode, split_ground
from areca.labels.read import pixel_size_m, read_area, read_labels

__all__ = [
    "CircleLabels",
    "GroundSplit",
    "area_mask",
    "circles_of",
    "erode",
    "pixel_size_m",
    "read_area",
    "read_labels",
    "split_ground",
]
