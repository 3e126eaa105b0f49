"""What the header of a raster file says; no pixel is read."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyproj import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from areca.catalog.gdal import READ_FAULTS, fault_text, open_raster
from areca.catalog.grids import crs_name, crs_shift
from areca.catalog.hrefs import redact
from areca.catalog.roles import COMMON_NAMES
from areca.errors import CatalogError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from rasterio.io import DatasetReader

    from areca.catalog.scenes import Scene

PLACE_TOLERANCE = 0.5
"""An item and its file may differ by this many pixels before the read is refused.

Items round their transforms; more than that would put objects in the wrong place.
"""
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of one raster file."""

    crs: str | None
    """Authority string or WKT, None when the file has none."""
    transform: tuple[float, float, float, float, float, float] | None
    """Affine a to f, None when the file has no georeference."""
    shape: tuple[int, int]
    names: tuple[str, ...]
    """Band descriptions, else colours, else b1, b2, …"""
    named_by_colours: bool
    """Whether the file describes no bands, and `names` are the colours it has."""
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    has_mask: bool
    """Whether a mask, which is no band, tells which pixels are missing."""
    alpha: int | None
    """Number of the band marked as alpha, from 1; None when there is none."""
    scales: tuple[tuple[float, float], ...] = ()
    """Scale and offset of each band, value = stored * scale + offset; empty: none."""

    def is_masked(self, described: int) -> bool:
        """Return whether more than nodata tells which pixels are missing.

        Args:
            described: How many bands are known to be data, see `SceneBand.described`.
        """
        return self.has_mask or (self.alpha is not None and self.alpha > described)


def mask_of(file: DatasetReader) -> tuple[bool, int | None]:
    """Return whether a file has a mask that is no band, and its alpha band if any."""
    flags = {flag for some in file.mask_flag_enums for flag in some}
    if MaskFlags.alpha in flags:
        return False, file.colorinterp.index(ColorInterp.alpha) + 1
    return MaskFlags.per_dataset in flags, None


def read_header(href: str, *, allow_private: bool = False) -> Header:
    """Read the header of a raster file.

    Args:
        href: Link or path that `check_href` has passed.
        allow_private: Whether its host may be at a private address.

    Returns:
        What the header says.

    Raises:
        CatalogError: The file cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with open_raster(href, allow_private=allow_private) as file:
                has_mask, alpha = mask_of(file)
                placed = not file.transform.is_identity
                crs = CRS.from_wkt(file.crs.to_wkt()) if file.crs else None
                colours = [c.name for c in file.colorinterp]
                names, by_colours = _names(file.descriptions, colours)
                return Header(
                    crs=crs_name(crs) if crs else None,
                    transform=tuple(file.transform)[:6] if placed else None,
                    shape=(file.height, file.width),
                    names=names,
                    named_by_colours=by_colours,
                    dtypes=tuple(file.dtypes),
                    nodata=tuple(file.nodatavals),
                    has_mask=has_mask,
                    alpha=alpha,
                    scales=_scales(file),
                )
    except READ_FAULTS as err:
        raise CatalogError(
            f"cannot open {redact(href)}: {fault_text(err)}. Check that it is "
            "there and is a GeoTIFF"
        ) from None


class NumberTypeError(ReadError):
    """A file holds other numbers than its item says."""


_OWN = (
    "; correct proj:shape and proj:transform, which an asset on other pixels than its "
    "item needs for itself"
)


def check_file(file: DatasetReader, scene: Scene) -> None:
    """Refuse a file that is not what its item says: it would be read out of place.

    Args:
        file: The open file.
        scene: What its item says.

    Raises:
        ReadError: Shape or place differ.
    """
    if file.shape != scene.shape:
        raise ReadError(
            f"the file has {file.shape} pixels, its item says {scene.shape}{_OWN}"
        )
    here = file.transform
    if not here.is_identity:
        height, width = scene.shape
        a, b, c, d, e, f = scene.transform
        is_equal = tuple(here)[:6] == scene.transform
        for col, row in () if is_equal else ((0, 0), (width, height)):
            there = ~here * (a * col + b * row + c, d * col + e * row + f)
            off = max(abs(there[0] - col), abs(there[1] - row))
            if off > PLACE_TOLERANCE:
                raise ReadError(
                    f"the file lies {off:.3g} pixel from where its item says{_OWN}"
                    if (col, row) == (0, 0)
                    else f"the file has the transform {_listed(here)}, its item says "
                    f"{_listed(scene.transform)}{_OWN}"
                )
        pixel, _, x, _, _, y = scene.transform
        crs = file.crs.to_wkt() if file.crs else scene.crs
        if not crs_shift(crs, scene.crs, x, y) <= PLACE_TOLERANCE * pixel:
            raise ReadError(
                f"the file is in {file.crs.to_string()[:60]}, its item says {scene.crs}"
            )


def _listed(transform: Iterable[float]) -> str:
    return f"({', '.join(f'{value:.9g}' for value in [*transform][:6])})"


def numbers_fault(file: DatasetReader, dtype: np.dtype[Any]) -> str:
    """Return what is wrong with the number type of a file; empty where nothing is.

    Args:
        file: The open file.
        dtype: Number type in which its pixels are wanted; floats take any.
    """
    if dtype.kind == "f" or all(kind == dtype for kind in file.dtypes):
        return ""
    return f"the file holds {file.dtypes[0]}, its item says {dtype}"


def _names(
    descriptions: tuple[str | None, ...], colours: list[str]
) -> tuple[tuple[str, ...], bool]:
    """Return the names of the bands, and whether they are just their colours."""
    told = [_name((text or "").strip()) for text in descriptions]
    if all(told) and len(set(told)) == len(told):
        return tuple(told), False
    count = len(told)
    if tuple(colours[:3]) == _COLOURS:
        rest = [c if c in {"nir", "alpha"} else f"b{i}" for i, c in _from(3, colours)]
        return (*_COLOURS, *rest), True
    return tuple(f"b{index}" for index in range(1, count + 1)), False


def _name(text: str) -> str:
    """Return a description as a name: as it is, a common name (`Red`) in lower case."""
    return text.lower() if text.lower() in COMMON_NAMES else text


def _scales(file: DatasetReader) -> tuple[tuple[float, float], ...]:
    """Return scales and offsets; 1 and 0 where a scale is 0 or no number at all."""
    return tuple(
        (scale, offset)
        if scale and math.isfinite(scale) and math.isfinite(offset)
        else (1.0, 0.0)
        for scale, offset in zip(file.scales, file.offsets, strict=True)
    )


def _from(start: int, colours: list[str]) -> list[tuple[int, str]]:
    return list(enumerate(colours, start=1))[start:]
