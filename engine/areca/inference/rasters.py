"""The rasters of a prediction as lazy arrays on the cube's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
from dask.delayed import delayed

from areca.objects import NODATA
from areca.tiles import cube_geobox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask.delayed import Delayed
    from numpy.typing import NDArray

    from areca.inference.block import BlockPrediction
    from areca.inference.predictor import Predictor
    from areca.tiles import Block, BlockGrid, Window

FILL: dict[str, float] = {"uint8": NODATA, "float32": np.nan}
"""What stands where nothing was seen, by NumPy type."""


def lazy_rasters(
    cube: xr.DataArray,
    parts: Mapping[Block, Delayed],
    grid: BlockGrid,
    predictor: Predictor,
) -> xr.Dataset:
    """Return the rasters of a prediction; nothing is computed.

    Args:
        cube: What is predicted.
        parts: The lazy prediction of each block that is wanted; the others stay empty.
        grid: All blocks of the cube.
        predictor: The model on its lattice.

    Returns:
        Dims (y, x) on the cube's grid, one chunk a block.
    """
    empty = xr.Dataset(
        coords={"y": cube.y, "x": cube.x, "spatial_ref": cube.spatial_ref}
    )
    rows, cols = grid.shape
    for name, kind in predictor.rasters.items():
        lines = [
            [_lazy_chunk(grid, (row, col), parts, (name, kind)) for col in range(cols)]
            for row in range(rows)
        ]
        layer = xr.DataArray(da.block(lines), dims=("y", "x"))
        layer = layer.rio.write_nodata(FILL[kind], encoded=False)
        if name == "label":
            layer.attrs |= class_attributes(predictor)
        empty[name] = layer
    geobox = cube_geobox(cube)
    placed: xr.Dataset = empty.rio.write_crs(str(geobox.crs))
    return placed.rio.write_transform(geobox.affine)  # type: ignore[no-any-return]


def class_attributes(predictor: Predictor) -> dict[str, object]:
    """Return the CF flag attributes that name the classes of a raster.

    Args:
        predictor: The model on its lattice.
    """
    labels = predictor.model.card.labels
    return {
        "flag_values": list(range(len(labels))),
        "flag_meanings": " ".join(label.replace(" ", "_") for label in labels),
    }


def _lazy_chunk(
    grid: BlockGrid,
    place: tuple[int, int],
    parts: Mapping[Block, Delayed],
    layer: tuple[str, str],
) -> da.Array:
    name, kind = layer
    block = grid.block(*place)
    inside = block.window.intersection(grid.region) or block.window
    shape = (inside.height, inside.width)
    part = parts.get(block)
    chunk: da.Array = da.full(shape, FILL[kind], dtype=kind, chunks=shape)
    if part is not None:
        values = delayed(_chunk)(part, name, (inside, block.window))
        chunk = da.from_delayed(values, shape=shape, dtype=kind)
    return chunk


def _chunk(
    part: BlockPrediction, name: str, windows: tuple[Window, Window]
) -> NDArray[np.generic]:
    inside, window = windows
    return part.rasters[name][inside.slices_in(window)]
