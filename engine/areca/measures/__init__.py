"""Area, centre, radius and bounding geometry of objects, in true metres."""

from areca.measures.columns import BOUNDING
from areca.measures.discs import circles
from areca.measures.files import read_objects, write_objects
from areca.measures.options import MeasureOptions
from areca.measures.table import MEASURES, measure
from areca.measures.uncertainty import ERRORS

__all__ = [
    "BOUNDING",
    "ERRORS",
    "MEASURES",
    "MeasureOptions",
    "circles",
    "measure",
    "read_objects",
    "write_objects",
]
