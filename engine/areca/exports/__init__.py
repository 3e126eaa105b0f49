"""Objects and rasters in the formats that other tools read."""

from areca.exports.coco import ImageGrid
from areca.exports.export import (
    Exported,
    ExportOptions,
    export_objects,
    export_raster,
)
from areca.exports.formats import FORMATS
from areca.exports.sheet import band_sheet

__all__ = [
    "FORMATS",
    "ExportOptions",
    "Exported",
    "ImageGrid",
    "band_sheet",
    "export_objects",
    "export_raster",
]
