"""Pixel grids, the model-tile lattice, blocks, and the padded-block wrapper."""

from areca.tiles.blocks import Block, BlockGrid
from areca.tiles.grid import PIXEL_TOLERANCE, cube_geobox, pixel_offset
from areca.tiles.ground import ground_axes_m, ground_pixel_m
from areca.tiles.lattice import Lattice, Tile
from areca.tiles.padded import Stage, map_stage, pad_block, slice_padded
from areca.tiles.validity import as_floats, block_array, valid_where, validity
from areca.tiles.window import Window

__all__ = [
    "PIXEL_TOLERANCE",
    "Block",
    "BlockGrid",
    "Lattice",
    "Stage",
    "Tile",
    "Window",
    "as_floats",
    "block_array",
    "cube_geobox",
    "ground_axes_m",
    "ground_pixel_m",
    "map_stage",
    "pad_block",
    "pixel_offset",
    "slice_padded",
    "valid_where",
    "validity",
]
