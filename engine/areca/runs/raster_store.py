"""The rasters of a run: one Zarr v3 group in which one block fills one shard."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from areca.catalog import write_place
from areca.inference import FILL, class_attributes
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from areca.inference import Predictor
    from areca.tiles import Block, BlockGrid


@dataclass(frozen=True, kw_only=True)
class RasterStore:
    """Where the blocks of a run write their rasters."""

    path: Path
    """The folder `rasters.zarr`."""
    window: Window
    """Ground of the arrays, absolute pixels: whole blocks from the first one on, so
    that no two blocks share a shard; what is not imagery stays nodata."""

    @classmethod
    def of(cls, path: Path, grid: BlockGrid) -> RasterStore:
        """Return the store of a grid of blocks; nothing is written.

        Args:
            path: The folder.
            grid: All blocks of the imagery.
        """
        core, region = grid.lattice.core_px, grid.region
        height, width = grid.tiles_down * core, grid.tiles_across * core
        row0, col0 = region.row0 // height * height, region.col0 // width * width
        return cls(path=path, window=Window(row0, col0, region.row1, region.col1))

    def create(self, grid: BlockGrid, predictor: Predictor) -> None:
        """Write the empty arrays, their grid and what their values mean.

        What is there already is kept: a run that resumes goes on filling it.

        Args:
            grid: All blocks of the imagery.
            predictor: Says which rasters there are.
        """
        if (self.path / "zarr.json").exists():
            return
        core = grid.lattice.core_px
        group = zarr.create_group(self.path, zarr_format=3, overwrite=True)
        for name, kind in predictor.rasters.items():
            array = group.create_array(
                name,
                shape=(self.window.height, self.window.width),
                dtype=kind,
                chunks=(core, core),
                shards=(grid.tiles_down * core, grid.tiles_across * core),
                fill_value=FILL[kind],
                dimension_names=("y", "x"),
            )
            array.attrs.update(_attributes(name, kind, predictor))
        _write_place(group, self.window, predictor)
        with warnings.catch_warnings():
            # zarr warns that other readers may ignore it; without it xarray warns.
            warnings.simplefilter("ignore", UserWarning)
            zarr.consolidate_metadata(self.path)

    def write(self, block: Block, rasters: Mapping[str, NDArray[np.generic]]) -> str:
        """Write what one block gave.

        Args:
            block: The block.
            rasters: By name, shape (height, width) of the block's window.

        Returns:
            SHA-256 over the values, hexadecimal.
        """
        digest = hashlib.sha256()
        inside = block.window.intersection(self.window) or block.window
        here, there = inside.slices_in(block.window), inside.slices_in(self.window)
        for name in sorted(rasters):
            values = np.ascontiguousarray(rasters[name][here])
            digest.update(values.tobytes())
            array = zarr.open_array(self.path / name, mode="r+")
            array[there] = values
        return digest.hexdigest()


def _attributes(name: str, kind: str, predictor: Predictor) -> dict[str, Any]:
    facts: dict[str, Any] = {"grid_mapping": "spatial_ref"}
    if name != "label":
        return facts
    # xarray reads the fill value of a v3 array; readers of CF want it by this name.
    return facts | {"_FillValue": int(FILL[kind]), **class_attributes(predictor)}


def _write_place(group: zarr.Group, window: Window, predictor: Predictor) -> None:
    """Write where the arrays lie."""
    lattice = predictor.lattice
    # From absolute pixels, so that a pixel has one coordinate in every run.
    cols = np.arange(window.col0, window.col1, dtype=np.float64) + 0.5
    rows = np.arange(window.row0, window.row1, dtype=np.float64) + 0.5
    x, _ = lattice.to_crs(cols, np.zeros(1))
    _, y = lattice.to_crs(np.zeros(1), rows)
    write_place(group, lattice.geobox(window), x, y)
