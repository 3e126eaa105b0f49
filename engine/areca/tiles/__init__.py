"""Pixel grids, the model-tile lattice, blocks, and the padded-block wrapper."""

from areca.tiles.blocks import Block, BlockGrid
from areca.tiles.grid import PIXEL_TOLERANCE, cube_geobox, pixel_offset
from areca.tiles.ground import ground_axes_m, ground_pixel_m, pixel_sizes_m
from areca.tiles.lattice import Lattice, Tile
from areca.tiles.padded import (
    Stage,
    chunks_of,
    join_chunks,
    map_stage,
    pad_block,
    require_one_date,
    slice_padded,
)
from areca.tiles.place import Place, place_of, placed
from areca.tiles.validity import as_floats, block_array, valid_where, validity, with_nan
from areca.tiles.window import Window

__all__ = [
    "PIXEL_TOLERANCE",
    "Block",
    "BlockGrid",
    "Lattice",
    "Place",
    "Stage",
    "Tile",
    "Window",
    "as_floats",
    "block_array",
    "chunks_of",
    "cube_geobox",
    "ground_axes_m",
    "ground_pixel_m",
    "join_chunks",
    "map_stage",
    "pad_block",
    "pixel_offset",
    "pixel_sizes_m",
    "place_of",
    "placed",
    "require_one_date",
    "slice_padded",
    "valid_where",
    "validity",
    "with_nan",
]
