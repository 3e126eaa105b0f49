"""Segments: connected pixels that are alike after mean shift, over any region.

The first pass looks at the seams of blocks and keeps a table of what meets there; with
it the second names every pixel, block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed

from areca.errors import BandError
from areca.features.components import (
    MISSING,
    Meetings,
    Rule,
    components,
    meetings_at,
    rim_of,
    unite,
)
from areca.objects.class_raster import sizes_between
from areca.tiles import Lattice, Window, cube_geobox, map_stage

if TYPE_CHECKING:
    from dask.delayed import Delayed
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from areca.features.components import Rim
    from areca.features.segment_options import SegmentOptions

BLOCK_PX = 1024
"""Edge of a block, on the lattice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What `areca.segment` must know of a region before it names a pixel."""

    options: SegmentOptions
    bands: tuple[str, ...]
    geobox: GeoBox
    """The pixels of the cube."""
    block_px: int
    """Edge of the blocks whose components the tables name."""
    whole: Meetings
    cut: Meetings
    """Of the same components cut along the lines of cells."""


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of a cube after mean shift."""

    lines: list[list[tuple[Delayed, Window]]]
    """Values, lazy, and absolute pixels, by row and column."""
    rule: Rule

    @classmethod
    def of(cls, cube: xr.DataArray, options: SegmentOptions, edge: int) -> _Blocks:
        geobox = cube_geobox(cube)
        whole = Lattice.of(geobox, core_px=edge).window(geobox)
        down = sizes_between(whole.row0, whole.row1, edge)
        across = sizes_between(whole.col0, whole.col1, edge)
        stage = options.stage(tuple(str(name) for name in cube.band.values))
        filtered = map_stage(stage, cube.chunk(y=down, x=across)).data
        rows = np.cumsum([whole.row0, *down]).tolist()
        cols = np.cumsum([whole.col0, *across]).tolist()
        lines = [
            [
                (values, Window(rows[row], cols[col], rows[row + 1], cols[col + 1]))
                for col, values in enumerate(line)
            ]
            for row, line in enumerate(filtered.to_delayed()[0])
        ]
        rule = Rule(within=options.joined_within, cell_px=options.cell_px, whole=whole)
        return cls(lines, rule)


def fit_segments(cube: xr.DataArray, options: SegmentOptions) -> Segments:
    """Find which segments go on from block to block: this reads the cube once.

    Args:
        cube: Dims (band, y, x) with a CRS; missing is NaN or `rio.nodata`. Bands
            should share a range of values.
        options: What is alike.

    Returns:
        What `areca.segment` needs; the same for any chunks or workers.

    Raises:
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by cube_geobox
    blocks = _Blocks.of(cube, options, BLOCK_PX)
    rim, meet = delayed(rim_of, pure=False), delayed(meetings_at, pure=False)
    rims = [
        [rim(values, window, blocks.rule) for values, window in line]
        for line in blocks.lines
    ]
    seams = []
    for row, line in enumerate(rims):
        for col, one in enumerate(line):
            window = blocks.lines[row][col][1]
            if col + 1 < len(line):
                other, at = line[col + 1], window.col1
                seams.append(meet(one, other, at, blocks.rule, beside=True))
            if row + 1 < len(rims):
                other, at = rims[row + 1][col], window.row1
                seams.append(meet(one, other, at, blocks.rule, beside=False))
    counts = [delayed(_counts, pure=False)(one) for line in rims for one in line]
    sizes, pairs = compute(counts, seams)
    return Segments(
        options=options,
        bands=tuple(str(name) for name in cube.band.values),
        geobox=cube_geobox(cube),
        block_px=BLOCK_PX,
        whole=unite([whole for whole, _ in pairs], sizes),
        cut=unite([cut for _, cut in pairs], ()),
    )


def segment(cube: xr.DataArray, segments: Segments) -> xr.DataArray:
    """Name the segment of each pixel; nothing is computed.

    Args:
        cube: The cube of `areca.fit_segments`, in any chunks.
        segments: What that returned.

    Returns:
        Dims (y, x), int64: the place of the first pixel of the segment in the cube,
        `row * width + column`, and -1 (`rio.nodata`) where a band is missing. Chunks
        are blocks of the lattice; the ids are the same for any chunks of the cube.

    Raises:
        BandError: The cube has other bands or other pixels than the segments.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from cube_geobox
    bands = tuple(str(name) for name in cube.band.values)
    geobox = cube_geobox(cube)
    if (bands, geobox) != (segments.bands, segments.geobox):
        raise BandError(
            f"these segments are of bands {', '.join(segments.bands)} on "
            f"{segments.geobox}, and the cube has {', '.join(bands)} on {geobox}; fit "
            "them on this cube"
        )
    blocks = _Blocks.of(cube, segments.options, segments.block_px)
    table = delayed(segments, traverse=False)
    run = delayed(_named, pure=False)
    lines = [
        [
            da.from_delayed(
                run(values, window, blocks.rule, table),
                shape=(window.height, window.width),
                dtype=np.int64,
            )
            for values, window in line
        ]
        for line in blocks.lines
    ]
    out = xr.DataArray(
        da.block(lines), dims=("y", "x"), coords={"y": cube.y, "x": cube.x},
        name="segment",
    )  # fmt: skip
    out = out.rio.write_crs(str(geobox.crs)).rio.write_transform(geobox.affine)
    return out.rio.write_nodata(MISSING, encoded=False)  # type: ignore[no-any-return]


def _counts(rim: Rim) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return rim.parts, rim.pixels


def _named(
    values: NDArray[np.float32], window: Window, rule: Rule, segments: Segments
) -> NDArray[np.int64]:
    """Return the segments of a block."""
    ids = components(values, window, rule)
    named = segments.whole.renamed(ids)
    most = segments.options.max_segment_size
    if most is None:
        return named
    known, number, count = np.unique(ids, return_inverse=True, return_counts=True)
    large = (segments.whole.sizes(known, count) > most) & (known != MISSING)
    cut = segments.cut.renamed(components(values, window, rule, cut=True))
    return np.where(large[number.reshape(ids.shape)], cut, named)
