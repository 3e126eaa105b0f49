"""Drawn rasters and their items; a plain module, so that tests can import it."""

import datetime as dt

import numpy as np
import pystac
import rasterio
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds
from shapely.geometry import box, mapping


def draw(bands, height, width, *, dtype="uint8", seed=0):
    """Pixels that differ from place to place, never 0 and never the largest value."""
    top = 250 if dtype == "uint8" else 30_000
    rng = np.random.default_rng(seed)
    return rng.integers(1, top, (bands, height, width)).astype(dtype)


def make_item(
    path, *, href=None, item_id=None, when="2024-05-01", names=None, **fields
):
    """A STAC item of a raster file, with projection, bands and number types."""
    with rasterio.open(path) as file:
        bounds = array_bounds(file.height, file.width, file.transform)
        degrees = transform_bounds(file.crs, "EPSG:4326", *bounds)
        names = names or ["red", "green", "blue", "nir"][: file.count]
        properties = {
            "proj:code": file.crs.to_string(),
            "proj:shape": list(file.shape),
            "proj:transform": list(file.transform)[:6],
        }
        raster = [
            {"data_type": dtype}
            | ({} if file.nodata is None else {"nodata": file.nodata})
            for dtype in file.dtypes
        ]
    item = pystac.Item(
        id=item_id or path.stem,
        geometry=mapping(box(*degrees)),
        bbox=list(degrees),
        datetime=dt.datetime.fromisoformat(when).replace(tzinfo=dt.UTC),
        properties=properties,
        collection="drawn",
    )
    extra = {
        "eo:bands": [{"name": name, "common_name": name} for name in names],
        "raster:bands": raster,
        **fields,
    }
    asset = pystac.Asset(
        href or str(path),
        media_type=pystac.MediaType.COG,
        roles=["data"],
        extra_fields=extra,
    )
    item.add_asset("image", asset)
    return item
