"""What a search asks for, and whether an item answers it.

Servers ignore filters that they do not know, so every filter is applied here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from areca.catalog.dates import item_interval, parse_interval
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pystac
    from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True, kw_only=True)
class Query:
    """The filters of one search."""

    collections: tuple[str, ...] | None = None
    aoi: BaseGeometry | None = None
    """In EPSG:4326."""
    datetime: str | None = None
    """As `dates.parse_interval` takes it."""
    max_cloud: float | None = None
    """Largest share of clouds (`eo:cloud_cover`), percent."""

    def __post_init__(self) -> None:
        if self.datetime is not None:
            parse_interval(self.datetime)
        if self.max_cloud is not None and not 0 <= self.max_cloud <= 100:
            raise CatalogError(f"max_cloud is in percent, got {self.max_cloud}")

    def wants_collection(self, name: str | None) -> bool:
        """Return whether items of a collection can answer."""
        return self.collections is None or name in self.collections

    def wants_time(self, item: pystac.Item) -> bool:
        """Return whether an item's time touches the interval; yes when it has none."""
        if self.datetime is None:
            return True
        interval = item_interval(item)
        start, end = parse_interval(self.datetime)
        return interval is None or (interval[0] <= end and interval[1] >= start)

    def wants_place(self, item: pystac.Item) -> bool:
        """Return whether an item's geometry touches the area."""
        return self.aoi is None or self.aoi.intersects(geometry_of(item))

    def wants_sky(self, item: pystac.Item) -> bool:
        """Return whether an item is clear enough; yes when it does not tell."""
        share = item.properties.get("eo:cloud_cover")
        if self.max_cloud is None or not isinstance(share, (int, float)):
            return True
        return share <= self.max_cloud

    def describe(self) -> str:
        """Return the filters in words."""
        asked = []
        if self.collections is not None:
            asked.append(f"collections={list(self.collections)}")
        if self.aoi is not None:
            bounds = ", ".join(f"{value:.6g}" for value in self.aoi.bounds)
            asked.append(f"aoi within ({bounds})")
        if self.datetime is not None:
            asked.append(f"datetime={self.datetime!r}")
        if self.max_cloud is not None:
            asked.append(f"max_cloud={self.max_cloud:g}")
        return ", ".join(asked) or "no filter"


def geometry_of(item: pystac.Item) -> BaseGeometry:
    """Return the footprint of an item in EPSG:4326.

    Raises:
        CatalogError: The item has none, or it cannot be read.
    """
    try:
        if item.geometry is not None:
            return shape(item.geometry)
        if item.bbox is not None:
            half = len(item.bbox) // 2
            west, south, east, north = (*item.bbox[:2], *item.bbox[half : half + 2])
            return box(west, south, east, north)
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError) as err:
        raise CatalogError(
            f"item {item.id!r} has a geometry that cannot be read ({err}); correct it"
        ) from err
    raise CatalogError(f"item {item.id!r} has neither geometry nor bbox; complete it")


def newest_first(items: Iterable[pystac.Item]) -> list[pystac.Item]:
    """Return items by last moment, newest first, then by id; each once."""
    unique = {(item.collection_id or "", item.id): item for item in items}
    by_id = [unique[key] for key in sorted(unique, key=lambda key: (key[1], key[0]))]
    return sorted(by_id, key=_last_moment, reverse=True)


def _last_moment(item: pystac.Item) -> float:
    interval = item_interval(item)
    return interval[1].timestamp() if interval else float("-inf")
