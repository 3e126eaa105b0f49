"""Objects and rasters in the formats that other tools read."""

from areca.exports.coco import ImageGrid
from areca.exports.export import (
    Exported,
    ExportOptions,
    export_objects,
    export_raster,
)
from areca.exports.formats import FORMATS

__all__ = [
    "FORMATS",
    "ExportOptions",
    "Exported",
    "ImageGrid",
    "export_objects",
    "export_raster",
]
