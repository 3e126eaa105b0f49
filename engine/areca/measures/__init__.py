"""Area, centre, radius and bounding geometry of objects, in true metres."""

from areca.measures.bounding import bounding_geometry
from areca.measures.columns import BOUNDING
from areca.measures.discs import circles
from areca.measures.files import read_objects, write_objects
from areca.measures.options import MeasureOptions
from areca.measures.stream import ObjectsWriter
from areca.measures.table import MEASURES, measure
from areca.measures.uncertainty import ERRORS

__all__ = [
    "BOUNDING",
    "ERRORS",
    "MEASURES",
    "MeasureOptions",
    "ObjectsWriter",
    "bounding_geometry",
    "circles",
    "measure",
    "read_objects",
    "write_objects",
]
