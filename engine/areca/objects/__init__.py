"""Boxes and discs from tiles to a table in which each object stands once."""

from areca.objects.candidates import (
    centred_in,
    disc_candidates,
    empty_candidates,
    larger_than,
)
from areca.objects.circles import circle_polygons
from areca.objects.identity import object_ids
from areca.objects.nms import find_overlaps, suppress
from areca.objects.seams import settle_block, settle_seams
from areca.objects.table import ImageSource, Origin, empty_objects, objects_table

__all__ = [
    "ImageSource",
    "Origin",
    "centred_in",
    "circle_polygons",
    "disc_candidates",
    "empty_candidates",
    "empty_objects",
    "find_overlaps",
    "larger_than",
    "object_ids",
    "objects_table",
    "settle_block",
    "settle_seams",
    "suppress",
]
