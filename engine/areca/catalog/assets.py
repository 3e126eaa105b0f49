"""Bands of the assets of a STAC item, in the dialects that servers write."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from areca.catalog.classification import BITFIELDS, CLASSES, scheme_told
from areca.catalog.hrefs import ZARR_ARRAY, is_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pystac

    from areca.catalog.headers import Header
    from areca.catalog.quality import Scheme

_NOT_DATA = frozenset(
    {"thumbnail", "overview", "metadata", "visual-preview", "preview"}
)
_DISPLAY = frozenset({"visual", "tci", "true_color", "true-color"})
_RASTER_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2", "image/x.geotiff")
_RASTER_ENDS = (".tif", ".tiff", ".jp2")


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBand:
    """One band as its asset describes it."""

    asset: str
    """Key of the asset."""
    index: int
    """From 1."""
    own: str | None
    """Name of the band in its item, such as `B04`."""
    common: str | None
    """Common name, such as `red`."""
    alone: bool
    """Whether it is the only band of its asset."""
    display: bool
    """Whether the asset is a picture made for viewing."""
    dtype: str | None
    nodata: float | None
    nodata_known: bool
    described: int
    """Number of leading bands of the asset that its metadata describes as data."""
    scale: float
    offset: float
    categorical: bool = False
    """Whether the asset describes classes or bit fields."""
    scheme: Scheme | None = field(default=None, compare=False)
    """What it says of them."""


def data_assets(item: pystac.Item) -> dict[str, pystac.Asset]:
    """Return the assets that hold pixels to work with, by key.

    Thumbnails, overviews, metadata and other formats are left out.
    """
    return {key: asset for key, asset in item.assets.items() if _is_data(key, asset)}


def _is_data(key: str, asset: pystac.Asset) -> bool:
    roles = _roles(asset)
    marks = roles or {key.lower()}
    if marks & _NOT_DATA and "data" not in roles:
        return False
    media = (_text(asset.media_type) or "").lower()
    if media == ZARR_ARRAY:
        return is_array(asset.href)
    if media:
        return media.startswith(_RASTER_TYPES)
    return asset.href.split("?")[0].lower().endswith(_RASTER_ENDS)


def _roles(asset: pystac.Asset) -> set[str]:
    roles: object = asset.roles
    listed = roles if isinstance(roles, list) else []
    return {role.lower() for role in listed if isinstance(role, str)}


def asset_bands(
    key: str, asset: pystac.Asset, header: Header | None
) -> list[AssetBand]:
    """Return the bands of an asset from its metadata, and its header where read.

    Understands `bands` of STAC 1.1, and `eo:bands` and `raster:bands` before it. Where
    nothing tells how many bands there are, one is assumed.
    """
    extra = asset.extra_fields
    lists = [
        _entries(extra.get(name)) for name in ("bands", "eo:bands", "raster:bands")
    ]
    told = max(map(len, lists))
    count = max(1, told) if header is None else len(header.dtypes)
    common = {k: v for k, v in extra.items() if k in _COMMON_KEYS}
    display = bool({key.lower(), *_roles(asset)} & _DISPLAY)
    described = _described(lists)
    bands = []
    for index in range(1, count + 1):
        entry = dict(common)
        for given in lists:
            entry |= given[index - 1] if index <= len(given) else {}
        band = _band(key, index, entry, header, described)
        classes = any(entry.get(k) or extra.get(k) for k in (CLASSES, BITFIELDS))
        bands.append(
            replace(
                band,
                alone=count == 1,
                display=display,
                categorical=bool(classes),
                scheme=scheme_told(entry, extra) if classes else None,
            )
        )
    return bands


_COMMON_KEYS = frozenset(
    {"data_type", "nodata", "raster:scale", "raster:offset", "scale", "offset"}
)


def _entries(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        return []
    return [entry if isinstance(entry, dict) else {} for entry in value]


def _described(lists: Sequence[Sequence[Mapping[str, Any]]]) -> int:
    """Return the number of the last band that has a name, alpha bands aside."""
    last = 0
    for entries in lists:
        for index, entry in enumerate(entries, start=1):
            names = {_text(entry.get(key)) for key in ("name", "common_name")}
            names.add(_text(entry.get("eo:common_name")))
            is_named = bool(names - {None}) and "alpha" not in names
            last = max(last, index if is_named else 0)
    return last


def _band(
    key: str,
    index: int,
    entry: Mapping[str, Any],
    header: Header | None,
    described: int,
) -> AssetBand:
    own = _text(entry.get("name")) or (header.names[index - 1] if header else None)
    nodata = number(entry.get("nodata"))
    dtype = _text(entry.get("data_type"))
    known = nodata is not None
    if header is not None:
        dtype = header.dtypes[index - 1]
        nodata = header.nodata[index - 1] if nodata is None else nodata
        known = not header.is_masked(described)
    return AssetBand(
        asset=key,
        index=index,
        own=own,
        common=_text(entry.get("eo:common_name") or entry.get("common_name")),
        alone=False,
        display=False,
        dtype=dtype,
        nodata=nodata,
        nodata_known=known,
        described=described,
        scale=_or(number(entry.get("raster:scale", entry.get("scale"))), 1.0),
        offset=_or(number(entry.get("raster:offset", entry.get("offset"))), 0.0),
    )


def number(value: object) -> float | None:
    """Return a JSON number, also written as `"nan"` or `"-inf"`; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return math.nan if math.isnan(found) else found


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or not math.isfinite(value) else value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def name_bands(bands: Sequence[AssetBand]) -> dict[str, AssetBand]:
    """Return every name that means exactly one band of an item.

    In this order: the key of an asset of one band; a band's own name; its common name;
    `<asset>.<name>` and `<asset>.b<number>`. A name that two bands share (`rededge` of
    Sentinel-2) means none of them, unless one of the two is only a picture.
    """
    names = {band.asset: band for band in bands if band.alone}
    plain = [band for band in bands if not band.display]
    _add_unique(names, [(band.own, band) for band in plain])
    _add_unique(names, [(band.common, band) for band in plain])
    _add_unique(names, [(f"b{b.index}", b) for b in plain if not (b.own or b.alone)])
    _add_unique(names, [(f"{b.asset}.{b.own}", b) for b in bands if b.own])
    _add_unique(names, [(f"{b.asset}.b{b.index}", b) for b in bands])
    return names


def _add_unique(
    names: dict[str, AssetBand], pairs: Sequence[tuple[str | None, AssetBand]]
) -> None:
    counts: dict[str, int] = {}
    for name, _ in pairs:
        counts[name or ""] = counts.get(name or "", 0) + 1
    for name, band in pairs:
        if name and counts[name] == 1:
            names.setdefault(name, band)
