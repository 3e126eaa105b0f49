"""Build the demonstration catalogue from its source image; run once, by hand.

    python -m areca_pipelines.demo_data OSBS_029.tif

The source is `deepforest/data/OSBS_029.tif` of the PyPI package deepforest 2.1.0.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pystac
import rasterio
import shapely
from rasterio.shutil import copy
from rasterio.warp import transform_bounds

DEMO = Path(__file__).parent / "demo"
"""Folder of the catalogue."""
BANDS = ("red", "green", "blue")
CREDIT = (
    "NEON (National Ecological Observatory Network), airborne observation platform, "
    "Ordway-Swisher Biological Station, Florida. Imagery CC0 1.0; file from the PyPI "
    "package deepforest 2.1.0 (MIT, Weecology)"
)


def build(source: Path) -> None:
    """Write the image as COG, and the catalogue around it.

    Args:
        source: The GeoTIFF of the package.
    """
    image = DEMO / "neon-demo" / "OSBS_029" / "OSBS_029.tif"
    image.parent.mkdir(parents=True, exist_ok=True)
    copy(
        source, image, driver="COG", compress="DEFLATE", predictor="YES", blocksize=256
    )
    catalog = pystac.Catalog("areca-demo", "Demonstration data of areca")
    collection = pystac.Collection(
        id="neon-demo",
        description="Airborne RGB of a pine stand in Florida, 0.1 m",
        license="CC0-1.0",
        extent=pystac.Extent(
            pystac.SpatialExtent([list(_footprint(image).bounds)]),
            pystac.TemporalExtent([[_day(1, 1), _day(12, 31)]]),
        ),
        providers=[pystac.Provider("NEON", roles=[pystac.ProviderRole.PRODUCER])],
        extra_fields={"attribution": CREDIT},
    )
    collection.add_item(_item(image))
    catalog.add_child(collection)
    catalog.normalize_and_save(str(DEMO), pystac.CatalogType.SELF_CONTAINED)


def _item(image: Path) -> pystac.Item:
    outline = _footprint(image)
    with rasterio.open(image) as file:
        fields = {
            "proj:code": f"EPSG:{file.crs.to_epsg()}",
            "proj:shape": list(file.shape),
            "proj:transform": list(file.transform)[:6],
            "bands": [
                {"name": b, "eo:common_name": b, "data_type": "uint8", "nodata": 255}
                for b in BANDS
            ],
        }
    item = pystac.Item(
        id="OSBS_029",
        geometry=shapely.geometry.mapping(outline),
        bbox=list(outline.bounds),
        datetime=None,
        start_datetime=_day(1, 1),
        end_datetime=_day(12, 31),
        properties={"gsd": 0.1, "attribution": CREDIT},
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
        ],
    )
    asset = pystac.Asset(
        href="./OSBS_029.tif",
        media_type=pystac.MediaType.COG,
        roles=["data"],
        extra_fields=fields,
    )
    item.add_asset("image", asset)
    return item


def _footprint(image: Path) -> shapely.Polygon:
    with rasterio.open(image) as file:
        bounds = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    outline: shapely.Polygon = shapely.box(*bounds)
    return outline


def _day(month: int, day: int) -> datetime:
    return datetime(2018, month, day, tzinfo=UTC)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
