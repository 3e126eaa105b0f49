"""Scale and offset where the metadata of public collections is wrong or silent.

Sources: ESA, Sentinel-2 processing baseline 04.00 (an offset of -1000 from 2022-01-25
on); the Planetary Computer's items keep that offset and do not tell; Earth Search lists
it although its pixels have it applied, and says so in `earthsearch:boa_offset_applied`
(earth-search#66, #71); USGS, Landsat Collection 2 level-2 science product guide.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pystac

    from areca.catalog.assets import AssetBand

_S2_REFLECTANCE = re.compile(r"B(0\d|1[0-2]|8A)")
_LANDSAT_REFLECTANCE = frozenset(
    {"coastal", "blue", "green", "red", "nir08", "swir16", "swir22"}
)
_S2_OFFSET_SINCE = (4, 0)
_LANDSAT_SCALE, _LANDSAT_OFFSET = 2.75e-05, -0.2


def corrected(band: AssetBand, item: pystac.Item) -> AssetBand:
    """Return a band with the scale, offset and nodata that its pixels really have.

    What an item tells holds, apart from the collections named above.

    Args:
        band: As its asset describes it.
        item: Its item.
    """
    fields = item.properties
    if fields.get("earthsearch:boa_offset_applied") is True and band.offset:
        return replace(band, offset=0.0)
    if band.scale != 1.0 or band.offset != 0.0:
        return band
    collection = item.collection_id or ""
    if collection == "sentinel-2-l2a" and _S2_REFLECTANCE.fullmatch(band.asset):
        baseline = _baseline(fields.get("s2:processing_baseline"))
        if baseline is None:
            return band
        offset = -0.1 if baseline >= _S2_OFFSET_SINCE else 0.0
        nodata = 0.0 if band.nodata is None else band.nodata
        return replace(band, scale=1e-4, offset=offset, nodata=nodata)
    if collection == "landsat-c2l2-sr" and band.asset in _LANDSAT_REFLECTANCE:
        nodata = 0.0 if band.nodata is None else band.nodata
        return replace(
            band, scale=_LANDSAT_SCALE, offset=_LANDSAT_OFFSET, nodata=nodata
        )
    return band


def _baseline(text: object) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+)\.(\d+)", str(text))
    return (int(match[1]), int(match[2])) if match else None
