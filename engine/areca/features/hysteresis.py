"""Canny edges over any region: lines stay that are strong anywhere.

The first pass looks at the seams of blocks and keeps a table of the lines that cross
them and are strong somewhere; with it the second keeps pixels, block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from scipy import ndimage

from areca.errors import BandError
from areca.features.blocks import BLOCK_PX, StagedBlocks
from areca.features.canny import NONE, STRONG, ThinEdges
from areca.features.components import MISSING, SIDES, Meetings, unite
from areca.features.lineage import traced_each
from areca.objects.groups import first_of_each
from areca.tiles import Lattice, cube_geobox, require_one_date

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

    from areca.features.components import Ids, Values
    from areca.tiles import Window

_AROUND = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class CannyEdges:
    """What `areca.canny` must know of a region before it keeps a line."""

    low: float
    high: float
    sigma: float
    bands: tuple[str, ...]
    geobox: GeoBox
    """The pixels of the cube."""
    block_px: int
    """Edge of the blocks whose lines the table names."""
    lines: Meetings
    """Lines that go on in another block; their `pixels` are the strong ones."""


@dataclass(frozen=True, slots=True)
class _Rim:
    """The lines at the edges of a block."""

    edges: tuple[Ids, ...]
    """Ids along each edge, shape (band, n), clockwise from the top."""
    parts: Ids
    """Each once, growing."""
    strong: Ids
    """How many strong pixels of the block each of them has."""


def fit_canny(
    cube: xr.DataArray, *, low: float, high: float, sigma: float = 1.0
) -> CannyEdges:
    """Find which lines go on from block to block: this reads the cube once.

    Args:
        cube: Dims (band, y, x) with a CRS; missing is NaN or `rio.nodata`. Each band
            has its own edges.
        low: Least strength of a pixel of a line, the length of Sobel's gradient
            (8 for a slope of one unit a pixel), in the unit of the bands.
        high: Strength that a line must reach somewhere to be kept.
        sigma: Deviation of the Gaussian that is taken before, pixels.

    Returns:
        What `areca.canny` needs; the same for any chunks or workers.

    Raises:
        BandError: A number cannot be.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - raised by the helpers
    require_one_date(cube)
    found = CannyEdges(
        low=low,
        high=high,
        sigma=sigma,
        bands=tuple(str(name) for name in cube.band.values),
        geobox=cube_geobox(cube),
        block_px=BLOCK_PX,
        lines=unite([], []),
    )
    blocks = _divided(cube, found)
    rims = blocks.each(_rim_of, blocks.whole)
    met = [*blocks.seams(rims, _meet), *blocks.corners(rims, _meet_at_corner)]
    parts = [delayed(_parts, pure=False)(rim) for line in rims for rim in line]
    pairs, known = compute(met, parts)
    return CannyEdges(
        low=low,
        high=high,
        sigma=sigma,
        bands=found.bands,
        geobox=found.geobox,
        block_px=BLOCK_PX,
        lines=unite(pairs, known),
    )


def canny(cube: xr.DataArray, edges: CannyEdges) -> xr.DataArray:
    """Keep the lines that are strong somewhere; nothing is computed.

    Equal to `skimage.feature.canny` of the whole band in float64, with its missing
    pixels as `mask`, for any chunks.

    Args:
        cube: The cube of `areca.fit_canny`, in any chunks.
        edges: What that returned.

    Returns:
        Dims (band, y, x), the bands of the cube, float32: 1 on a line, else 0, NaN
        where the band is missing. There is no line at the rim of the cube and beside a
        missing pixel. Chunks are blocks of the lattice.

    Raises:
        BandError: The cube has other bands or other pixels than the edges.
        GridError: The cube has no CRS or is not north-up.
    """  # noqa: DOC502 - GridError comes from cube_geobox
    require_one_date(cube)
    bands = tuple(str(name) for name in cube.band.values)
    geobox = cube_geobox(cube)
    if (bands, geobox) != (edges.bands, edges.geobox):
        raise BandError(
            f"these edges are of bands {', '.join(edges.bands)} on {edges.geobox}, and "
            f"the cube has {', '.join(bands)} on {geobox}; fit them on this cube"
        )
    blocks = _divided(cube, edges)
    kept = blocks.each(_kept, blocks.whole, delayed(edges.lines, traverse=False))
    attrs = {k: v for k, v in cube.attrs.items() if k not in {"nodata", "_FillValue"}}
    out = xr.DataArray(
        blocks.array(kept, np.float32, bands=(len(bands),)), attrs=attrs,
        name=cube.name, dims=("band", "y", "x"),
        coords={"band": list(bands), "y": cube.y, "x": cube.x},
    )  # fmt: skip
    out = out.rio.write_crs(str(geobox.crs)).rio.write_transform(geobox.affine)
    out = out.rio.write_nodata(np.nan, encoded=False)
    told = {"low": edges.low, "high": edges.high, "sigma": edges.sigma}
    return traced_each(out, cube, "canny", dict.fromkeys(bands, told))


def _divided(cube: xr.DataArray, edges: CannyEdges) -> StagedBlocks:
    """Return the blocks of a cube with strong and weak pixels."""
    place = cube_geobox(cube)
    stage = ThinEdges(
        bands=edges.bands,
        low=edges.low,
        high=edges.high,
        sigma=edges.sigma,
        whole=Lattice.of(place, core_px=1).window(place),
    )
    return StagedBlocks.of(cube, stage, edges.block_px)


def _lines_of(values: Values, window: Window, whole: Window) -> Ids:
    """Return the lines of a block, as it alone sees them.

    Args:
        values: Of `ThinEdges`, shape (band, height, width).
        window: Absolute pixels of the block.
        whole: Absolute pixels of the cube.

    Returns:
        Place of the first pixel of a line in the cube, counted band by band, and -1
        where there is none, the same shape.
    """
    bands, _, width = values.shape
    ids = np.full(values.shape, MISSING, np.int64)
    for band in range(bands):
        label, count = ndimage.label(values[band] > NONE, _AROUND)
        if not count:
            continue
        # Of all but the ground, whose label is 0.
        row, col = np.divmod(first_of_each(label.ravel().astype(np.int64)), width)
        at = (band * whole.height + row + window.row0 - whole.row0) * whole.width
        at += col + window.col0 - whole.col0
        ids[band] = np.where(label > 0, at[label], MISSING)
    return ids


def _counted(values: Values, ids: Ids) -> tuple[Ids, NDArray[np.intp], Ids]:
    """Return the lines of a block, which of them each pixel is, their strong pixels."""
    known, number = np.unique(ids, return_inverse=True)
    number = number.reshape(ids.shape)
    strong = np.bincount(number[values == STRONG], minlength=len(known))
    return known, number, strong.astype(np.int64)


def _rim_of(values: Values, window: Window, whole: Window) -> _Rim:
    """Return the lines at the edges of a block."""
    ids = _lines_of(values, window, whole)
    edges = tuple(ids[side].copy() for side in SIDES)
    known, _, strong = _counted(values, ids)
    seen = np.isin(known, np.concatenate([edge.ravel() for edge in edges]))
    seen &= known != MISSING
    return _Rim(edges, known[seen], strong[seen])


def _parts(rim: _Rim) -> tuple[Ids, Ids]:
    return rim.parts, rim.strong


def _meet(one: _Rim, other: _Rim, _line: int, *, beside: bool) -> Ids:
    """Return which lines of two blocks meet at their seam, also over corners."""
    side, facing = (1, 3) if beside else (2, 0)
    mine, theirs = one.edges[side], other.edges[facing]
    return _pairs(
        [
            (mine, theirs),
            (mine[:, 1:], theirs[:, :-1]),
            (mine[:, :-1], theirs[:, 1:]),
        ]
    )


def _meet_at_corner(first: _Rim, right: _Rim, below: _Rim, last: _Rim) -> Ids:
    """Return which lines meet where four blocks do, over the corner."""
    return _pairs(
        [
            (first.edges[2][:, -1:], last.edges[0][:, :1]),
            (right.edges[2][:, :1], below.edges[0][:, -1:]),
        ]
    )


def _pairs(beside: list[tuple[Ids, Ids]]) -> Ids:
    """Return the ids of pixels that lie beside each other, each pair once, (n, 2)."""
    every = [np.stack([one.ravel(), other.ravel()], axis=1) for one, other in beside]
    pairs = np.concatenate(every)
    return np.unique(pairs[(pairs != MISSING).all(axis=1)], axis=0)


def _kept(values: Values, window: Window, whole: Window, lines: Meetings) -> Values:
    """Return the lines of a block that are strong somewhere."""
    known, number, strong = _counted(values, _lines_of(values, window, whole))
    stays = (lines.sizes(known, strong) > 0) & (known != MISSING)
    out: Values = stays[number].astype(np.float32)
    out[np.isnan(values)] = np.nan
    return out
