"""Where the pixels of an asset lie: projection fields of every version."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from areca.catalog.grids import crs_name
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pystac

    from areca.catalog.headers import Header

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """CRS, transform and shape of the pixels of an asset."""

    crs: str
    transform: Transform
    shape: tuple[int, int]

    @property
    def pixel(self) -> float:
        """Area of a pixel in CRS units, absolute; the smallest is the finest grid."""
        a, b, _, d, e, _ = self.transform
        return abs(a * e - b * d)


def projection_of(
    item: pystac.Item, asset: pystac.Asset, header: Header | None
) -> Projection | None:
    """Return the projection of an asset, None when something of it is not known.

    Fields of the asset win over fields of the item, and both over the header.

    Raises:
        CatalogError: A field is there but makes no sense.
    """  # noqa: DOC502 - raised by the helpers
    crs = _crs(asset.extra_fields) or _crs(item.properties)
    shape = _shape(asset.extra_fields) or _shape(item.properties)
    transform = (
        _transform(asset.extra_fields)
        or _transform(item.properties)
        or _from_bbox(asset.extra_fields, shape)
        or _from_bbox(item.properties, shape)
    )
    if header is not None:
        crs = crs or header.crs
        if transform is None or shape is None:
            transform, shape = header.transform, header.shape
    if crs is None or transform is None or shape is None:
        return None
    return Projection(crs=crs, transform=transform, shape=shape)


def _crs(fields: Mapping[str, Any]) -> str | None:
    """Return the CRS of projection fields of version 1 (epsg) or 2 (code).

    Raises:
        CatalogError: It is no CRS that PROJ knows.
    """
    epsg = fields.get("proj:epsg")
    given = (
        fields.get("proj:code")
        or (f"EPSG:{epsg}" if epsg else None)
        or fields.get("proj:wkt2")
        or fields.get("proj:projjson")
    )
    if given is None:
        return None
    try:
        return _name(given)
    except (CRSError, TypeError) as err:
        text = str(given)[:80]
        raise CatalogError(
            f"unknown CRS {text!r}; correct proj:code, proj:wkt2 or proj:projjson"
        ) from err


_names: dict[str, str] = {}


def _name(given: object) -> str:
    """Return the canonical text of a CRS; the same one is parsed once."""
    key = str(given)
    if key not in _names:
        found = CRS.from_json_dict(given) if isinstance(given, dict) else CRS(given)
        _names[key] = crs_name(found)
    return _names[key]


def _shape(fields: Mapping[str, Any]) -> tuple[int, int] | None:
    given = fields.get("proj:shape")
    if given is None:
        return None
    numbers = _numbers(given, (2,), "proj:shape")
    height, width = int(numbers[0]), int(numbers[1])
    if min(height, width) < 1 or (height, width) != tuple(numbers):
        raise CatalogError(f"proj:shape {given!r} is no height and width; correct it")
    return height, width


def _transform(fields: Mapping[str, Any]) -> Transform | None:
    given = fields.get("proj:transform")
    if given is None:
        return None
    a, b, c, d, e, f = _numbers(given, (6, 9), "proj:transform")[:6]
    if a * e - b * d == 0:
        raise CatalogError(
            f"proj:transform {given!r} has pixels of no size; correct it"
        )
    return a, b, c, d, e, f


def _from_bbox(
    fields: Mapping[str, Any], shape: tuple[int, int] | None
) -> Transform | None:
    given = fields.get("proj:bbox")
    if given is None or shape is None:
        return None
    box = _numbers(given, (4, 6), "proj:bbox")
    west, south = box[:2]
    east, north = box[len(box) // 2 :][:2]
    height, width = shape
    if not (west < east and south < north):
        raise CatalogError(f"proj:bbox {given!r} is empty or swapped; correct it")
    return (east - west) / width, 0.0, west, 0.0, (south - north) / height, north


def _numbers(given: object, lengths: tuple[int, ...], name: str) -> list[float]:
    values = given if isinstance(given, (list, tuple)) else []
    numbers = [
        float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)
    ]
    if len(numbers) != len(values) or len(numbers) not in lengths:
        raise CatalogError(
            f"{name} is {str(given)[:80]!r}, not {' or '.join(map(str, lengths))} "
            "finite numbers; correct it"
        )
    return numbers
