"""Blocks of a cube after a stage: what two-pass features look at, and their seams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import dask.array as da
import numpy as np
from dask.delayed import delayed

from areca.objects.class_raster import sizes_between
from areca.tiles import Lattice, Window, cube_geobox, map_stage

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from dask.delayed import Delayed
    from numpy.typing import DTypeLike

    from areca.tiles import Stage

    Lines: TypeAlias = list[list[Delayed]]

BLOCK_PX = 1024
"""Edge of a block, on the lattice."""


@dataclass(frozen=True, slots=True)
class StagedBlocks:
    """The blocks of a cube after a stage; anchored to the grid, not to chunks."""

    lines: list[list[tuple[Delayed, Window]]]
    """Values, lazy, and absolute pixels, by row and column."""
    whole: Window
    """Absolute pixels of the cube."""

    @classmethod
    def of(cls, cube: xr.DataArray, stage: Stage, edge: int) -> StagedBlocks:
        """Divide a cube; nothing is computed.

        Args:
            cube: Dims (band, y, x) with a CRS, in any chunks.
            stage: What each block goes through.
            edge: Edge of a block, pixels.

        Returns:
            The blocks.
        """
        geobox = cube_geobox(cube)
        whole = Lattice.of(geobox, core_px=edge).window(geobox)
        down = sizes_between(whole.row0, whole.row1, edge)
        across = sizes_between(whole.col0, whole.col1, edge)
        made = map_stage(stage, cube.chunk(y=down, x=across)).data
        rows = np.cumsum([whole.row0, *down]).tolist()
        cols = np.cumsum([whole.col0, *across]).tolist()
        lines = [
            [
                (values, Window(rows[row], cols[col], rows[row + 1], cols[col + 1]))
                for col, values in enumerate(line)
            ]
            for row, line in enumerate(made.to_delayed()[0])
        ]
        return cls(lines, whole)

    def each(self, function: Callable[..., Any], *arguments: object) -> Lines:
        """Return what a function makes of the values and the window of each block."""
        run = delayed(function, pure=False)
        return [
            [run(values, window, *arguments) for values, window in line]
            for line in self.lines
        ]

    def array(
        self, made: Lines, dtype: DTypeLike, *, bands: tuple[int, ...] = ()
    ) -> da.Array:
        """Return what was made of each block as one lazy array.

        Args:
            made: Of each block, its part, shape (*bands, height, width).
            dtype: Its number type.
            bands: The leading sizes of every part.
        """
        whole: da.Array = da.block(
            [
                [
                    da.from_delayed(
                        part, shape=(*bands, window.height, window.width), dtype=dtype
                    )
                    for part, (_, window) in zip(*row, strict=True)
                ]
                for row in zip(made, self.lines, strict=True)
            ]
        )
        return whole

    def seams(
        self, rims: Lines, function: Callable[..., Any], *arguments: object
    ) -> list[Delayed]:
        """Return what a function makes of each two blocks that meet along an edge.

        Args:
            rims: Of each block, what the function is given of it.
            function: Takes the upper or left one, the other, the first absolute row or
                column of that, the arguments, and `beside`: whether it lies to the
                right, and not below.
            arguments: The same for all.
        """
        run = delayed(function, pure=False)
        found = []
        for row, line in enumerate(rims):
            for col, one in enumerate(line):
                window = self.lines[row][col][1]
                if col + 1 < len(line):
                    at, other = window.col1, line[col + 1]
                    found.append(run(one, other, at, *arguments, beside=True))
                if row + 1 < len(rims):
                    at, other = window.row1, rims[row + 1][col]
                    found.append(run(one, other, at, *arguments, beside=False))
        return found

    def corners(self, rims: Lines, function: Callable[..., Any]) -> list[Delayed]:
        """Return what a function makes of each four blocks that meet at a corner.

        Args:
            rims: Of each block, what the function is given of it.
            function: Takes the upper left, upper right, lower left and lower right one.
        """
        run = delayed(function, pure=False)
        return [
            run(above[col], above[col + 1], below[col], below[col + 1])
            for above, below in pairwise(rims)
            for col in range(len(above) - 1)
        ]
