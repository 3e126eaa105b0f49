"""The common pixel grid of scenes, or why they have none."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from areca.errors import CatalogError, GridError
from areca.tiles import PIXEL_TOLERANCE, ground_pixel_m

if TYPE_CHECKING:
    from collections.abc import Sequence

SQUARE_TOLERANCE = 0.02
"""Pixels are square when height and width on the ground differ by less than this."""

_NO_WARP = (
    "It would need a warp: areca.open_cube and areca run do that; or choose items of "
    "one grid, for example by collection or datetime"
)


class Placed(Protocol):
    """What has a pixel grid."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def crs(self) -> str: ...  # noqa: D102
    @property
    def transform(self) -> tuple[float, float, float, float, float, float]: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102


def grid_of(scenes: Sequence[Placed]) -> GeoBox:
    """Return the geobox that holds all scenes on their common grid, in whole pixels.

    The answer does not depend on the order of the scenes.

    Raises:
        GridError: CRS, pixel or phase differ, pixels are rotated, or they are not
            square on the ground within 2 %.
        CatalogError: There are no scenes.
    """  # noqa: DOC502 - GridError is raised by the helpers
    if not scenes:
        raise CatalogError("no scenes, so there is no grid; widen the search")
    first = min(scenes, key=lambda scene: (scene.id, scene.transform, scene.shape))
    _check_upright(first)
    boxes = [_box(scene, first.crs, first.transform) for scene in scenes]
    row0, col0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    row1, col1 = max(box[2] for box in boxes), max(box[3] for box in boxes)
    affine = Affine(*first.transform) * Affine.translation(col0, row0)
    geobox = GeoBox((row1 - row0, col1 - col0), affine, first.crs)
    _check_square(geobox, first.id)
    return geobox


def scene_box(scene: Placed, geobox: GeoBox) -> tuple[int, int, int, int]:
    """Return where a scene lies in a geobox: first row and column, one past the last.

    Counted from the first pixel of the geobox; may be negative or beyond it.

    Raises:
        GridError: Pixels of the scene would have to be resampled to the geobox.
    """  # noqa: DOC502 - raised by _box
    return _box(scene, str(geobox.crs), tuple(geobox.affine)[:6])


def same_crs(one: str, other: str) -> bool:
    """Return whether two CRS texts mean the same; equal texts cost nothing."""
    return one == other or _parsed(one) == _parsed(other)


@functools.lru_cache(maxsize=1024)
def crs_shift(one: str, other: str, x: float, y: float) -> float:
    """Return how far a point moves when it is taken to be in another CRS.

    Two CRSs of different names may mean the same place (datum revisions, WKT with and
    without codes), so places are compared and not names.

    Args:
        one: CRS of the point.
        other: CRS that it may be in as well.
        x: CRS units.
        y: CRS units.

    Returns:
        The larger of the shifts in x and y, CRS units; infinite where undefined.
    """
    if same_crs(one, other):
        return 0.0
    moved_x, moved_y = transformer(one, other).transform(x, y)
    return float(max(abs(moved_x - x), abs(moved_y - y)))


@functools.lru_cache(maxsize=256)
def transformer(one: str, other: str) -> Transformer:
    """Return the way from one CRS to another, x before y; threads may share it."""
    return Transformer.from_crs(_parsed(one), _parsed(other), always_xy=True)


def is_geographic(crs: str) -> bool:
    """Return whether a CRS is in degrees."""
    return bool(_parsed(crs).is_geographic)


def crs_name(crs: CRS) -> str:
    """Return the authority string of a CRS where it has one, else its WKT."""
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.to_wkt()


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError as err:
        raise GridError(f"unknown CRS {text[:80]!r}; check the item") from err


def _box(
    scene: Placed, crs: str, transform: Sequence[float]
) -> tuple[int, int, int, int]:
    if not same_crs(scene.crs, crs):
        raise GridError(
            f"item {scene.id} is in {_short(scene.crs)}, others in {_short(crs)}. "
            f"{_NO_WARP}"
        )
    _check_upright(scene)
    a, _, c, _, e, f = transform
    height, width = scene.shape
    own_a, _, own_c, _, own_e, own_f = scene.transform
    col0, row0 = (own_c - c) / a, (own_f - f) / e
    col1 = (own_c + width * own_a - c) / a
    row1 = (own_f + height * own_e - f) / e
    left, top = round(col0), round(row0)
    drift = max(
        abs(col0 - left),
        abs(row0 - top),
        abs(col1 - left - width),
        abs(row1 - top - height),
    )
    if not drift <= PIXEL_TOLERANCE:
        raise GridError(
            f"item {scene.id} has pixels of {own_a:.10g} x {own_e:.10g} from "
            f"({own_c:.10g}, {own_f:.10g}), others {a:.10g} x {e:.10g} from "
            f"({c:.10g}, {f:.10g}): {drift:.3g} pixel apart. {_NO_WARP}"
        )
    return top, left, top + height, left + width


def _check_upright(scene: Placed) -> None:
    a, b, _, d, e, _ = scene.transform
    if b or d or not (a > 0 > e):
        raise GridError(
            f"item {scene.id} has the transform {scene.transform}: rotated or not "
            f"north-up. {_NO_WARP}"
        )


def _check_square(geobox: GeoBox, name: str) -> None:
    across, down = ground_pixel_m(geobox)
    if not abs(across / down - 1) <= SQUARE_TOLERANCE:
        raise GridError(
            f"item {name} has pixels of {across:.4g} m x {down:.4g} m on the ground, "
            f"not square within {SQUARE_TOLERANCE:.0%}. {_NO_WARP}"
        )


def _short(crs: str) -> str:
    return crs if len(crs) <= 40 else f"{_parsed(crs).name} (WKT)"
