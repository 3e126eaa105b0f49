"""Segments: connected pixels that are alike after mean shift, over any region.

The first pass looks at the seams of blocks and keeps a table of what meets there; with
it the second names every pixel, block by block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed

from areca.errors import BandError
from areca.features.blocks import BLOCK_PX, StagedBlocks
from areca.features.components import (
    MISSING,
    Meetings,
    Names,
    Rule,
    components,
    meetings_at,
    rim_of,
    unite,
)
from areca.features.lineage import traced_all
from areca.features.open_segments import OpenSegments, merge_open
from areca.features.settled_segments import settle
from areca.features.small_segments import (
    BlockSegments,
    SmallRim,
    borders_at,
    inner_sides,
)
from areca.tiles import cube_geobox, require_one_date

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

    from areca.features.components import Ids, Rim, Values
    from areca.features.segment_options import SegmentOptions
    from areca.tiles import Window


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
    merged: Names
    """Of what small segments become, where a block alone cannot know it: these lie
    near the edges of blocks."""


def _divided(
    cube: xr.DataArray, options: SegmentOptions, edge: int
) -> tuple[StagedBlocks, Rule]:
    """Return the blocks of a cube after mean shift, and what belongs together."""
    stage = options.stage(tuple(str(name) for name in cube.band.values))
    blocks = StagedBlocks.of(cube, stage, edge)
    rule = Rule(
        within=options.joined_within, cell_px=options.cell_px, whole=blocks.whole
    )
    return blocks, rule


def fit_segments(cube: xr.DataArray, options: SegmentOptions) -> Segments:
    """Find which segments go on from block to block: this reads the cube once.

    Twice where small segments are to be merged.

    Args:
        cube: Dims (band, y, x) with a CRS; missing is NaN or `rio.nodata`. Bands
            should share a range of values.
        options: What is alike.

    Returns:
        What `areca.segment` needs; the same for any chunks or workers.

    Raises:
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by cube_geobox
    require_one_date(cube)
    blocks, rule = _divided(cube, options, BLOCK_PX)
    rims = blocks.each(rim_of, rule)
    seams = blocks.seams(rims, meetings_at, rule)
    at_edges = [delayed(_at_edges, pure=False)(rim) for line in rims for rim in line]
    edges, pairs = compute(at_edges, seams)
    none = np.empty(0, np.int64)
    found = Segments(
        options=options,
        bands=tuple(str(name) for name in cube.band.values),
        geobox=cube_geobox(cube),
        block_px=BLOCK_PX,
        whole=unite([whole for whole, _ in pairs], [whole for whole, _ in edges]),
        cut=unite([cut for _, cut in pairs], [cut for _, cut in edges]),
        merged=Names(part=none, segment=none),
    )
    least = options.min_segment_size
    if least == 1:
        return found
    looks: list[list[Any]] = blocks.each(_look, rule, delayed(found, traverse=False))
    left = [look[0] for line in looks for look in line]
    left += blocks.seams([[look[1] for look in line] for line in looks], _seam)
    return replace(found, merged=merge_open(compute(*left), least))


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
    require_one_date(cube)
    bands = tuple(str(name) for name in cube.band.values)
    geobox = cube_geobox(cube)
    if (bands, geobox) != (segments.bands, segments.geobox):
        raise BandError(
            f"these segments are of bands {', '.join(segments.bands)} on "
            f"{segments.geobox}, and the cube has {', '.join(bands)} on {geobox}; fit "
            "them on this cube"
        )
    blocks, rule = _divided(cube, segments.options, segments.block_px)
    named = blocks.each(_named, rule, delayed(segments, traverse=False))
    out = xr.DataArray(
        blocks.array(named, np.int64), dims=("y", "x"), name="segment",
        coords={"y": cube.y, "x": cube.x},
    )  # fmt: skip
    out = out.rio.write_crs(str(geobox.crs)).rio.write_transform(geobox.affine)
    out = out.rio.write_nodata(MISSING, encoded=False)
    return traced_all(out, cube, "segment")


def _at_edges(rim: Rim) -> tuple[tuple[Ids, Ids], tuple[Ids, Ids]]:
    """Return components at the edges of a block and their pixels, whole and cut."""
    whole, cut = rim.whole, rim.cut
    return (whole.parts, whole.pixels), (cut.parts, cut.pixels)


def _look(
    values: Values, window: Window, rule: Rule, segments: Segments
) -> tuple[OpenSegments, SmallRim]:
    """Return what a block leaves open of its small segments, and its edges."""
    least = segments.options.min_segment_size
    ids, pixels = _settled(values, window, rule, segments)
    inside = inner_sides(window, rule.whole)
    block = BlockSegments.of(values, ids, pixels, least, inside)
    return OpenSegments.in_block(block, least), SmallRim.of(values, ids, pixels, least)


def _seam(one: SmallRim, other: SmallRim, _line: int, *, beside: bool) -> OpenSegments:
    return OpenSegments.at_seam(borders_at(one, other, beside=beside))


def _named(values: Values, window: Window, rule: Rule, segments: Segments) -> Ids:
    """Return the segments of a block."""
    ids, pixels = _settled(values, window, rule, segments)
    least = segments.options.min_segment_size
    if least == 1:
        return ids
    inside = inner_sides(window, rule.whole)
    block = BlockSegments.of(values, ids, pixels, least, inside)
    names = segments.merged.renamed(block.part[settle(block, least).group])
    return np.append(names, MISSING)[block.number]


def _settled(
    values: Values, window: Window, rule: Rule, segments: Segments
) -> tuple[Ids, Ids]:
    """Return the segments of a block before small ones are merged, and their pixels."""
    ids, pixels = _sized(components(values, window, rule), segments.whole)
    most = segments.options.max_segment_size
    if most is None:
        return ids, pixels
    cut = components(values, window, rule, cut=True)
    cut_ids, cut_pixels = _sized(cut, segments.cut)
    large = (pixels > most) & (ids != MISSING)
    return np.where(large, cut_ids, ids), np.where(large, cut_pixels, pixels)


def _sized(ids: Ids, meetings: Meetings) -> tuple[Ids, Ids]:
    """Return the wholes that components belong to, and the pixels of those."""
    known, number, count = np.unique(ids, return_inverse=True, return_counts=True)
    number = number.reshape(ids.shape)
    return meetings.renamed(known)[number], meetings.sizes(known, count)[number]
