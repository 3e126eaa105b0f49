"""Boxes and discs from tiles to a table in which each object stands once."""

from areca.objects.candidates import (
    box_candidates,
    centred_in,
    disc_candidates,
    empty_candidates,
    larger_than,
)
from areca.objects.circles import circle_polygons
from areca.objects.corners import canonical
from areca.objects.duplicates import drop_duplicates
from areca.objects.identity import object_ids
from areca.objects.masks import mask_outlines
from areca.objects.nms import find_overlaps, suppress
from areca.objects.pieces import NODATA, SCORE_UNIT, empty_pieces, polygonise_block
from areca.objects.polygon_options import PolygonOptions
from areca.objects.polygonize import polygonize
from areca.objects.seams import settle_block, settle_seams
from areca.objects.stitch import stitch
from areca.objects.table import ImageSource, Origin, empty_objects, objects_table
from areca.objects.views import merge_views

__all__ = [
    "NODATA",
    "SCORE_UNIT",
    "ImageSource",
    "Origin",
    "PolygonOptions",
    "box_candidates",
    "canonical",
    "centred_in",
    "circle_polygons",
    "disc_candidates",
    "drop_duplicates",
    "empty_candidates",
    "empty_objects",
    "empty_pieces",
    "find_overlaps",
    "larger_than",
    "mask_outlines",
    "merge_views",
    "object_ids",
    "objects_table",
    "polygonise_block",
    "polygonize",
    "settle_block",
    "settle_seams",
    "stitch",
    "suppress",
]
