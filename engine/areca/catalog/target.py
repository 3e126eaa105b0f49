"""The one pixel grid of a cube: that of its items, or one that they are warped to."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from areca.catalog.grids import (
    SQUARE_TOLERANCE,
    crs_name,
    grid_of,
    same_crs,
    transformer,
)
from areca.errors import GridError, InputError
from areca.tiles import Lattice, Window, ground_pixel_m, pixel_offset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.catalog.scenes import Scene

CELL_PX = 512
"""Edge of the fixed cells that a warp is done in, pixels of the target grid."""

_EDGE_POINTS = 21
_ZONE_REACH_DEG = 6.0
"""How far from the middle of its zone a UTM grid may reach."""


def target_grid(
    scenes: Sequence[Scene],
    *,
    crs: Any = None,  # noqa: ANN401 - whatever pyproj understands
    resolution: float | None = None,
    geobox: GeoBox | None = None,
) -> GeoBox:
    """Return the grid of a cube, as the geobox that holds all scenes, or as asked.

    The scenes' own grid, when they share one, its pixels are square on the ground
    within 2 %, and nothing else is asked for. Otherwise a grid whose origin is a whole
    multiple of the pixel from the origin of the CRS: the scenes' common projected CRS,
    else the UTM zone in which their middle lies.

    A geobox is a window of the scenes' own grid where it lies on that, else a grid of
    its own.

    Args:
        scenes: For each item the part of the finest pixels.
        crs: The CRS that is wanted.
        resolution: Edge of a pixel that is wanted, CRS units.
        geobox: The exact window that is wanted.

    Raises:
        GridError: The scenes reach too far for one UTM zone, or no such grid can be.
            With a geobox: it is no north-up window.
        InputError: `geobox` is given together with `crs` or `resolution`.
    """
    if geobox is not None:
        if crs is not None or resolution is not None:
            raise InputError("geobox says CRS and resolution already; leave them out")
        return _around(geobox, scenes)
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise GridError(
            f"resolution must be a positive number, got {resolution}; give the edge of "
            "a pixel in the units of the CRS"
        )
    wanted = None if crs is None else _named(crs)
    own = _own_grid(scenes, wanted, resolution)
    if own is not None:
        return own
    name = wanted or _default_crs(scenes)
    pixel = resolution if resolution is not None else _default_pixel(scenes, name)
    return _snapped(scenes, name, pixel)


def _around(geobox: GeoBox, scenes: Sequence[Scene]) -> GeoBox:
    Lattice.of(geobox, core_px=CELL_PX)
    try:
        own = grid_of(scenes)
        pixel_offset(own, geobox)
    except GridError:
        return geobox
    return own


@functools.lru_cache(maxsize=4096)
def is_aligned(scene: Scene, lattice: Lattice) -> bool:
    """Return whether the pixels of a scene are pixels of a grid."""
    if not same_crs(scene.crs, lattice.crs):
        return False
    a, b, c, d, e, f = scene.transform
    if b or d or not (a > 0 > e):
        return False
    try:
        lattice.window(GeoBox(scene.shape, Affine(a, b, c, d, e, f), lattice.crs))
    except GridError:
        return False
    return True


@functools.lru_cache(maxsize=4096)
def ground_window(scene: Scene, lattice: Lattice) -> Window | None:
    """Return the pixels of a grid around a scene; None where its CRS cannot say.

    Exact for a scene that is aligned to the grid, else a little too large rather than
    too small.
    """
    left, bottom, right, top = _bounds(scene, lattice.crs)
    if not all(map(math.isfinite, (left, bottom, right, top))):
        return None
    col0, row0 = lattice.to_pixels(left, top)
    col1, row1 = lattice.to_pixels(right, bottom)
    slack = 0.0 if is_aligned(scene, lattice) else 0.5
    return Window(
        math.floor(row0 - slack + 1e-2),
        math.floor(col0 - slack + 1e-2),
        math.ceil(row1 + slack - 1e-2),
        math.ceil(col1 + slack - 1e-2),
    )


def _own_grid(
    scenes: Sequence[Scene], crs: str | None, resolution: float | None
) -> GeoBox | None:
    """Return the scenes' own grid where it is what is asked for."""
    try:
        grid = grid_of(scenes)
    except GridError:
        return None
    if crs is not None and not same_crs(crs, str(grid.crs)):
        return None
    across = grid.shape[1] * grid.affine.a
    if CRS.from_user_input(str(grid.crs)).is_geographic and across > 180:
        return None  # both sides of the 180th meridian, and nothing between
    pixel = (grid.affine.a, -grid.affine.e)
    if resolution is not None and any(
        not math.isclose(resolution, size, rel_tol=1e-6) for size in pixel
    ):
        return None
    return grid


def _named(crs: object) -> str:
    text = str(crs)
    try:
        return crs_name(CRS.from_user_input(int(text) if text.isdigit() else text))
    except CRSError as err:
        raise GridError(
            f"unknown CRS {str(crs)[:80]!r}; write for example 'EPSG:32633'"
        ) from err


def _default_crs(scenes: Sequence[Scene]) -> str:
    names = list(dict.fromkeys(scene.crs for scene in scenes))
    if all(same_crs(name, names[0]) for name in names) and _is_metric(names[0], scenes):
        return names[0]
    known = [CRS.from_user_input(name) for name in names]
    west, south, east, north = _degrees(scenes)
    lon, lat = (west + east) / 2, (south + north) / 2
    zone = int((lon + 180) % 360 // 6) + 1
    middle = zone * 6 - 183 + 360 * round((lon - (zone * 6 - 183)) / 360)
    if not max(middle - west, east - middle) <= _ZONE_REACH_DEG or abs(lat) > 84:
        raise GridError(
            f"the items are in {', '.join(sorted(_short(crs) for crs in known))} and "
            f"reach from {west:.4g} to {east:.4g} degrees east at {lat:.4g} degrees "
            "north, too far for one UTM zone. Take the items of one zone at a time, or "
            "one CRS for all: crs='EPSG:…' and resolution (areca run: "
            "--set crs=EPSG:… --set resolution=…)"
        )
    label = f"{zone}{'N' if lat >= 0 else 'S'}"
    mine = [
        name for name, crs in zip(names, known, strict=True) if crs.utm_zone == label
    ]
    return mine[0] if mine else f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def _is_metric(crs: str, scenes: Sequence[Scene]) -> bool:
    """Return whether units of a CRS are metres on the ground within 2 %, there."""
    bounds = np.array([_bounds(scene, crs) for scene in scenes])
    if CRS.from_user_input(crs).is_geographic or not np.isfinite(bounds).all():
        return False
    x, y = bounds[:, [0, 2]].mean(), bounds[:, [1, 3]].mean()
    unit = GeoBox((2, 2), Affine(1, 0, x - 1, 0, -1, y + 1), crs)
    return all(abs(size - 1) <= SQUARE_TOLERANCE for size in ground_pixel_m(unit))


def _short(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.name)


def _degrees(scenes: Sequence[Scene]) -> tuple[float, float, float, float]:
    """Return the bounds of scenes in degrees; east may exceed 180, never a turn."""
    boxes = np.array([_bounds(scene, "EPSG:4326") for scene in scenes])
    middle = boxes[0, [0, 2]].mean()
    turns = 360 * np.round((boxes[:, [0, 2]].mean(axis=1) - middle) / 360)
    boxes[:, [0, 2]] -= turns[:, None]
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def _default_pixel(scenes: Sequence[Scene], crs: str) -> float:
    """Return the edge of the finest pixel, CRS units.

    Pixels of metric grids keep their size. Those in degrees or Mercator metres get the
    mean of their sides on the ground, to three digits.

    Raises:
        GridError: The CRS is not in true metres, so that no size follows.
    """
    if not _is_metric(crs, scenes):
        metres = min(_ground_pixel(scene) for scene in scenes)
        raise GridError(
            f"{_short(CRS.from_user_input(crs))} is not in true metres there; give "
            f"resolution in its units (the finest pixel of the items is {metres:.3g} m)"
        )
    firsts = {scene.crs: scene for scene in sorted(scenes, key=_pixel, reverse=True)}
    return min(
        _pixel(scene) if _is_metric(name, [scene]) else _ground_pixel(scene)
        for name, scene in firsts.items()
    )


def _pixel(scene: Scene) -> float:
    a, b, _, d, e, _ = scene.transform
    return math.sqrt(abs(a * e - b * d))


def _ground_pixel(scene: Scene) -> float:
    grid = GeoBox(scene.shape, Affine(*scene.transform), scene.crs)
    return float(f"{math.sqrt(math.prod(ground_pixel_m(grid))):.3g}")


def _snapped(scenes: Sequence[Scene], crs: str, pixel: float) -> GeoBox:
    """Return the whole pixels around scenes, counted from the origin of the CRS.

    Raises:
        GridError: The scenes reach beyond where the CRS is defined.
    """
    bounds = np.array([_bounds(scene, crs) for scene in scenes])
    if not np.isfinite(bounds).all():
        raise GridError(
            f"the items reach beyond where {crs[:60]} is defined; give another crs"
        )
    left, bottom = (bounds[:, :2].min(axis=0) / pixel + 1e-2).tolist()
    right, top = (bounds[:, 2:].max(axis=0) / pixel - 1e-2).tolist()
    row0, col0 = -math.ceil(top), math.floor(left)
    lattice = Lattice(
        crs=crs, pixel_x=pixel, pixel_y=pixel, origin_x=0.0, origin_y=0.0,
        core_px=CELL_PX,
    )  # fmt: skip
    window = Window(
        row0, col0, max(row0 + 1, -math.floor(bottom)), max(col0 + 1, math.ceil(right))
    )
    return lattice.geobox(window)


def _bounds(scene: Scene, crs: str) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of a scene in a CRS; infinite where undefined."""
    height, width = scene.shape
    steps = np.linspace(0.0, 1.0, _EDGE_POINTS)
    ones = np.ones_like(steps)
    col = np.concatenate([steps, ones, steps, 0 * ones]) * width
    row = np.concatenate([0 * ones, steps, ones, steps]) * height
    a, b, c, d, e, f = scene.transform
    x, y = a * col + b * row + c, d * col + e * row + f
    if not same_crs(scene.crs, crs):
        x, y = transformer(scene.crs, crs).transform(x, y)
        if CRS.from_user_input(crs).is_geographic and np.ptp(x) > 180:
            x = np.where(x < 0, x + 360, x)  # across the 180th meridian
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())
