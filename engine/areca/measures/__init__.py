"""Area, centre, radius and bounding geometry of objects, in true metres."""

from areca.measures.cells import summarize_cells
from areca.measures.discs import circles
from areca.measures.files import read_objects, write_objects
from areca.measures.gaps import GapOptions, find_gaps
from areca.measures.intervals import CountCalibration
from areca.measures.neighbours import spacing
from areca.measures.table import MEASURES, measure
from areca.measures.tally import SummaryOptions
from areca.measures.zones import summarize

__all__ = [
    "MEASURES",
    "CountCalibration",
    "GapOptions",
    "SummaryOptions",
    "circles",
    "find_gaps",
    "measure",
    "read_objects",
    "spacing",
    "summarize",
    "summarize_cells",
    "write_objects",
]
