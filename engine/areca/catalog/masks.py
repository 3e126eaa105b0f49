"""Masks of a cube: which pixels count, by a quality band or by an area."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
from rasterio.features import geometry_mask
from shapely import box, segmentize, transform
from shapely.geometry.base import BaseGeometry

from areca.catalog.aoi import read_aoi
from areca.catalog.classification import plain_name
from areca.catalog.grids import transformer
from areca.catalog.quality import SCHEMES, UNSURE, Scheme
from areca.errors import GridError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from areca.catalog.acquisitions import Acquisition
    from areca.tiles import Lattice, Window


@dataclass(frozen=True, slots=True)
class Mask:
    """What a quality band must not show: pixels where it does are missing.

    Pixels of which the band itself says nothing (its nodata) are missing too.

    Attributes:
        band: Name of the quality band, any that its item knows.
        drop: Names of its scheme, such as `cloud`, `shadow`, `cirrus`, `snow`; or
            values.
        scheme: What the numbers mean: `scl`, `qa60` (Sentinel-2), `qa_pixel` (Landsat
            Collection 2), `bqa` (Landsat Collection 1), `bqa_pre` (Landsat 8 before
            the collections), `fmask` (HLS), `cfmask` (classes 0 to 4), `oa_fmask`
            (Geoscience Australia); or an `areca.catalog.quality.Scheme`. Left out: what
            the items tell, in `classification:bitfields` and `classification:classes`,
            for BQA in the number of their collection or the name of their product;
            for names that they do not tell, the scheme of the name of the band.

    Example:
        >>> Mask("scl", drop=["cloud", "shadow"]).drop
        ('cloud', 'shadow')
    """

    band: str
    drop: Sequence[str | int]
    scheme: str | Scheme | None = None

    def __post_init__(self) -> None:
        """Refuse what the band cannot show, where that is known already.

        Raises:
            InputError: `drop` is empty, or a name is not known.
        """
        if isinstance(self.drop, (str, int)) or not self.drop:
            raise InputError(
                f"drop must be a list of names or values, got {self.drop!r}; for "
                "example drop=['cloud', 'shadow']"
            )
        drop = (
            int(one) if isinstance(one, str) and one.isdecimal() else one
            for one in self.drop
        )
        object.__setattr__(self, "drop", tuple(drop))
        scheme = self.known_scheme()
        if scheme is not None:
            self.check_names(scheme)

    @property
    def words(self) -> str:
        """The band and what it must not show, for people."""
        return f"{self.band}: {', '.join(map(str, self.drop))}"

    @property
    def names(self) -> list[str]:
        """What of `drop` are names."""
        return [name for name in self.drop if isinstance(name, str)]

    def check_names(self, scheme: Scheme) -> None:
        """Refuse names that a scheme does not have.

        Raises:
            InputError: Says which names it has.
        """
        known = scheme.names
        for name in self.names:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else "."
                raise InputError(
                    f"{self.band!r} does not tell {name!r}{hint} It tells "
                    f"{', '.join(sorted(known))}"
                )

    def known_scheme(self) -> Scheme | None:
        """Return what the numbers mean, None where only the items can tell.

        Raises:
            InputError: There is no scheme of this key.
        """
        if isinstance(self.scheme, Scheme):
            return self.scheme
        key = _last_name(self.scheme or self.band)
        if self.scheme is None and key in UNSURE:
            return None
        if key not in SCHEMES and self.scheme is not None:
            raise InputError(
                f"there is no scheme {self.scheme!r} of quality bands; choose "
                f"{', '.join(SCHEMES)}, or give drop as values"
            )
        return SCHEMES.get(key)

    def keeps(
        self, values: NDArray[np.floating[Any]], seen: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Return where pixels count.

        Args:
            values: Numbers of the band, any shape.
            seen: Where the band is not missing, the same shape.
        """
        whole = np.where(seen, values, 0).astype(np.int64)
        scheme = self.known_scheme() or Scheme()
        keeps = seen.copy()
        for what in self.drop:
            if isinstance(what, str):
                keeps &= ~scheme.shows(what, whole)
            else:
                keeps &= whole != what
        return keeps


def _last_name(band: str) -> str:
    """Return `bqa` of `image.BQA`."""
    return band.lower().rpartition(".")[2]


def with_schemes(
    masks: Iterable[Mask], found: Sequence[Acquisition]
) -> tuple[Mask, ...]:
    """Return masks whose names all have a meaning.

    Args:
        masks: As the user gave them.
        found: The items, which may tell what the numbers of their bands mean.

    Raises:
        InputError: Nothing tells of a band or of a name, or an item tells another
            meaning of it than the first item.
    """  # noqa: DOC502 - raised by _with_scheme
    return tuple(
        mask if mask.scheme or not mask.names else _with_scheme(mask, found)
        for mask in masks
    )


def _with_scheme(mask: Mask, found: Sequence[Acquisition]) -> Mask:
    schemes: list[tuple[str, Scheme]] = []
    # The name of a band is a guess, `fmask` even one among two: what an item tells of
    # its own band comes first.
    named = mask.known_scheme()
    if named and not any(one.band(mask.band).scheme for one in found):
        return mask
    for one in found:
        told = one.band(mask.band).scheme
        scheme = told.completed(named) if told and named else told or named
        if scheme is None and _last_name(mask.band) in UNSURE:
            raise InputError(
                f"{mask.band!r} is of Landsat Collection 1 or of before, and item "
                f"{one.id!r} does not tell which (landsat:collection_number, or the id "
                "of a product or scene); give scheme='bqa' (Collection 1) or "
                "scheme='bqa_pre' (before), in a command --mask "
                f"{mask.band}@bqa_pre:cloud"
            )
        if scheme is None:
            raise InputError(
                f"nothing is known of the quality band {mask.band!r}, and item "
                f"{one.id!r} does not tell (classification:bitfields, "
                "classification:classes); name its scheme, one of "
                f"{', '.join(SCHEMES)}, or give drop as values"
            )
        schemes.append((one.id, scheme))
    # A name may be written as the items have it, `Cloud shadow`.
    drop = [plain_name(one) if isinstance(one, str) else one for one in mask.drop]
    meant = replace(mask, drop=drop, scheme=schemes[0][1])
    for item, scheme in schemes[1:]:
        differs = [
            name
            for name in meant.names
            if scheme.meaning(name) != schemes[0][1].meaning(name)
        ]
        if differs:
            raise InputError(
                f"items {schemes[0][0]!r} and {item!r} tell different things of "
                f"{', '.join(differs)} in {mask.band!r}; open a cube for each kind of "
                "items, or give drop as values"
            )
    return meant


_AREAS = (str, Path, tuple, BaseGeometry, gpd.GeoSeries, gpd.GeoDataFrame)


def split_masks(spec: object) -> tuple[tuple[Mask, ...], BaseGeometry | None]:
    """Tell quality masks from areas.

    Args:
        spec: A `Mask`, an area as `areca.catalog.aoi.read_aoi` takes it, or a list of
            these; None for no mask.

    Returns:
        The quality masks, and what all areas share, in EPSG:4326; None without areas.

    Raises:
        InputError: It is something else.
        AoiError: An area cannot be read, or the areas share nothing.
    """  # noqa: DOC502 - AoiError is raised by read_aoi
    listed = spec if isinstance(spec, list) else [] if spec is None else [spec]
    areas: list[BaseGeometry] = []
    for one in listed:
        if isinstance(one, _AREAS):
            areas.append(read_aoi(one))
        elif not isinstance(one, Mask):
            raise InputError(
                f"a mask cannot be {one!r}; give areca.Mask('scl', drop=['cloud']), a "
                "vector file or a geometry"
            )
    quality = tuple(one for one in listed if isinstance(one, Mask))
    if not areas:
        return quality, None
    shared = areas[0]
    for area in areas[1:]:
        shared = shared.intersection(area)
    return quality, read_aoi(shared)


def densified(area: BaseGeometry) -> BaseGeometry:
    """Return an area with points along its borders, which bend in another CRS.

    Each part by its own size: two parts that meet at the 180th meridian span the globe
    in degrees, and a share of that is no fine step.
    """
    parts = []
    for part in getattr(area, "geoms", [area]):
        west, south, east, north = part.bounds
        parts.append(segmentize(part, max(east - west, north - south) / 64))
    kind: Any = type(area)
    whole: BaseGeometry = parts[0] if len(parts) == 1 else kind(parts)
    return whole


def polygons_on(area: BaseGeometry, crs: str) -> tuple[BaseGeometry, ...]:
    """Return an area in EPSG:4326 as the polygons of another CRS.

    Raises:
        GridError: It reaches beyond where the CRS is defined.
    """
    placed = transform(
        densified(area),
        lambda xy: np.column_stack(
            transformer("EPSG:4326", crs).transform(xy[:, 0], xy[:, 1])
        ),
    )
    if not np.isfinite(placed.bounds).all():
        raise GridError(
            f"the area of the mask reaches beyond where {crs[:60]} is defined"
        )
    return tuple(getattr(placed, "geoms", [placed]))


def touching(
    polygons: Iterable[BaseGeometry], lattice: Lattice, window: Window
) -> tuple[BaseGeometry, ...]:
    """Return the polygons that touch a window of a grid."""
    ground = box(*lattice.geobox(window).boundingbox)
    return tuple(one for one in polygons if one.intersects(ground))


def inside(
    polygons: Sequence[BaseGeometry], lattice: Lattice, window: Window
) -> NDArray[np.bool_]:
    """Return which pixels have their centre in some polygon, shape (height, width).

    Drawn in the fixed cells of the grid, so that every window has the same answer.

    Args:
        polygons: In the CRS of the grid.
        lattice: The grid; its tiles are the cells.
        window: The pixels.
    """
    found = np.zeros((window.height, window.width), bool)
    for tile in lattice.tiles(window):
        core = lattice.core(tile)
        part = core.intersection(window)
        here = touching(polygons, lattice, core)
        if part is not None and here:
            place = lattice.geobox(core)
            drawn = geometry_mask(here, place.shape, place.affine, invert=True)
            found[part.slices_in(window)] = drawn[part.slices_in(core)]
    return found
