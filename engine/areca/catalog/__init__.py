"""STAC catalogues to scenes, exact windows and lazy cubes."""

from areca.catalog.acquisitions import Acquisition
from areca.catalog.aoi import read_aoi
from areca.catalog.composite import composite
from areca.catalog.cropping import bounds_on, window_of
from areca.catalog.cube import open_cube
from areca.catalog.geotiffs import assumed_names
from areca.catalog.grids import grid_of
from areca.catalog.handles import close_idle
from areca.catalog.hrefs import redact
from areca.catalog.imagery import Imagery, acquisitions_of
from areca.catalog.masks import Mask
from areca.catalog.normalise import normalise_acquisitions, normalise_items
from areca.catalog.options import CubeOptions
from areca.catalog.origins import origin_of, set_origin
from areca.catalog.pixels import ByteEstimate, estimate_bytes
from areca.catalog.reader import (
    configure_gdal,
    read_mosaic,
    read_scenes,
    read_scenes_native,
)
from areca.catalog.scenes import (
    Scene,
    SceneBand,
    canonical_order,
    choose_bands,
    select,
)
from areca.catalog.search import has_collections, search
from areca.catalog.target import target_grid
from areca.catalog.zarr_cube import read_cube, write_cube
from areca.catalog.zarr_layout import stored_geobox
from areca.catalog.zarr_overviews import write_overviews
from areca.catalog.zarr_place import write_place

__all__ = [
    "Acquisition",
    "ByteEstimate",
    "CubeOptions",
    "Imagery",
    "Mask",
    "Scene",
    "SceneBand",
    "acquisitions_of",
    "assumed_names",
    "bounds_on",
    "canonical_order",
    "choose_bands",
    "close_idle",
    "composite",
    "configure_gdal",
    "estimate_bytes",
    "grid_of",
    "has_collections",
    "normalise_acquisitions",
    "normalise_items",
    "open_cube",
    "origin_of",
    "read_aoi",
    "read_cube",
    "read_mosaic",
    "read_scenes",
    "read_scenes_native",
    "redact",
    "search",
    "select",
    "set_origin",
    "stored_geobox",
    "target_grid",
    "window_of",
    "write_cube",
    "write_overviews",
    "write_place",
]
