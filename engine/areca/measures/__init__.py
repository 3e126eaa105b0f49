"""Area, centre, radius and bounding geometry of objects, in true metres."""

from areca.measures.bounding import bounding_geometry
from areca.measures.cells import summarize_cells
from areca.measures.columns import BOUNDING
from areca.measures.discs import circles
from areca.measures.files import read_objects, write_objects
from areca.measures.gaps import GapOptions, find_gaps
from areca.measures.intervals import CountCalibration
from areca.measures.neighbours import spacing
from areca.measures.options import MeasureOptions
from areca.measures.stream import ObjectsWriter
from areca.measures.table import MEASURES, measure
from areca.measures.tally import SummaryOptions
from areca.measures.uncertainty import ERRORS
from areca.measures.zones import summarize

__all__ = [
    "BOUNDING",
    "ERRORS",
    "MEASURES",
    "CountCalibration",
    "GapOptions",
    "MeasureOptions",
    "ObjectsWriter",
    "SummaryOptions",
    "bounding_geometry",
    "circles",
    "find_gaps",
    "measure",
    "read_objects",
    "spacing",
    "summarize",
    "summarize_cells",
    "write_objects",
]
