"""Area, centre, radius and bounding geometry of objects, in true metres."""

from areca.measures.discs import circles
from areca.measures.files import read_objects, write_objects
from areca.measures.table import MEASURES, measure

__all__ = ["MEASURES", "circles", "measure", "read_objects", "write_objects"]
