"""From a catalogue of any kind to the items that answer a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from areca.catalog.aoi import distance_km, read_aoi
from areca.catalog.api import is_api, search_api
from areca.catalog.documents import Fetcher, walk
from areca.catalog.file_dates import DateForm
from areca.catalog.filters import Query, geometry_of, newest_first
from areca.catalog.geotiffs import (
    ENDS,
    files_of_pattern,
    find_geotiffs,
    is_bare,
    is_of_files,
    is_pattern,
    item_of_file,
    items_of_files,
    name_bands_of_files,
)
from areca.catalog.hrefs import is_remote, is_zarr, local_path, redact
from areca.catalog.origins import set_found
from areca.catalog.scenes import check_names
from areca.catalog.tables import TABLES, items_of_table
from areca.catalog.zarr_items import items_of_zarr
from areca.errors import AoiError, CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pystac

    from areca.catalog.aoi import Aoi


def search(
    catalog: str | Path,
    *,
    collections: Sequence[str] | None = None,
    aoi: Aoi | None = None,
    datetime: str | None = None,
    max_cloud: float | None = None,
    limit: int | None = None,
    names: Sequence[str] | None = None,
    dates: str | None = None,
) -> list[pystac.Item]:
    """Find items in a STAC API, a static catalogue, a folder of GeoTIFFs or one file.

    Every filter is applied here too, whatever a server does with it. An item is in
    when its footprint touches the area and its time touches the interval.

    Args:
        catalog: Link of a STAC API; link or path of a catalog.json, collection, item or
            item list; a folder with a catalog.json or with GeoTIFFs; a GeoTIFF, or a
            pattern of such (`scenes/*_2024.tif`); a stac-geoparquet file; the folder
            of a Zarr cube (`farm.zarr`), whose dates are items.
        collections: Ids of collections; all when left out.
        aoi: Area of interest, see `areca.catalog.aoi.read_aoi`.
        datetime: `2024`, `2024-05`, a date, or an interval `2024-05-01/2024-08-31`.
            Of GeoTIFFs without a catalogue the date is known with `dates` only.
        max_cloud: Leave out items with more clouds, percent (`eo:cloud_cover`); items
            that do not tell stay.
        limit: Keep only the newest so many; of files without dates the first by id.
        names: Names of all bands of GeoTIFFs without a catalogue, in their order, in
            place of those that the files tell.
        dates: How a date stands in the names of GeoTIFFs without a catalogue, in the
            letters of strptime: `%Y%m%d` in farm_20240601.tif; UTC. None: their
            `datetime` is 1970-01-01, and stands for none.

    Returns:
        Items, newest first, then by id; at least one.

    Raises:
        CatalogError: The catalogue cannot be read, nothing answers the query, or names
            or dates do not fit.
        BandError: A name comes twice.
        AoiError: The area is unusable, or all items lie outside it.
    """  # noqa: DOC501, DOC502 - _nothing makes one of the two
    place = str(catalog)
    if isinstance(collections, str):
        raise CatalogError(f"collections must be a list; write [{collections!r}]")
    if limit is not None and limit < 1:
        raise CatalogError(f"limit must be at least 1, got {limit}")
    _check_bare(place, names=names, dates=dates)
    query = Query(
        collections=None if collections is None else tuple(collections),
        aoi=None if aoi is None else read_aoi(aoi),
        datetime=datetime,
        max_cloud=max_cloud,
    )
    if datetime is not None and dates is None and is_of_files(place):
        raise CatalogError(
            f"cannot filter {redact(place)} by datetime={datetime!r}: GeoTIFFs do not "
            "tell when they were acquired. Leave datetime out, tell how dates stand in "
            "their names (dates='%Y%m%d'), or describe the files in a STAC catalogue"
        )
    date = None if dates is None else DateForm(dates).date
    items = _find(place, query) if date is None else map(date, _find(place, query))
    in_time = [
        item
        for item in items
        if query.wants_collection(item.collection_id)
        and query.wants_time(item)
        and query.wants_sky(item)
    ]
    found = [item for item in in_time if query.wants_place(item)]
    if not found:
        raise _nothing(place, query, in_time)
    if names is not None:
        check_names(names)
        name_bands_of_files(found, names)
    return set_found(newest_first(found)[:limit], place)


def _check_bare(place: str, **given: object) -> None:
    """Refuse what is for GeoTIFFs without a catalogue, where there is another source.

    Raises:
        CatalogError: Names what was given.
    """
    for name, value in given.items():
        if value is None or is_of_files(place):
            continue
        if not is_remote(place) and not Path(local_path(place)).exists():
            raise CatalogError(f"{redact(place)} is not there; check the path")
        raise CatalogError(
            f"{name} are for GeoTIFFs without a catalogue, and {redact(place)} is "
            f"something else, with {name} of its own; leave {name} out"
        )


def has_collections(catalog: str | Path) -> bool:
    """Return whether a catalogue can tell collections apart; bare imagery cannot.

    Args:
        catalog: What `search` takes.
    """
    return not is_bare(str(catalog))


def _find(place: str, query: Query) -> Iterable[pystac.Item]:
    """Return candidates; those of unwanted collections are left out already."""
    is_one = not is_pattern(place)
    if is_one and place.split("?", maxsplit=1)[0].lower().endswith(ENDS):
        return [item_of_file(place)] if query.collections is None else []
    if is_zarr(place):
        return items_of_zarr(place, query) if query.collections is None else []
    root = place
    if not is_remote(place):
        path = Path(local_path(place))
        if is_pattern(place):
            found = files_of_pattern(place)
            return items_of_files(*found) if query.collections is None else []
        if path.suffix.lower() in TABLES and path.is_file():
            return items_of_table(path)
        if path.is_dir() and not (path / "catalog.json").is_file():
            files = find_geotiffs(path)
            return items_of_files(files, path) if query.collections is None else []
        root = str(path / "catalog.json" if path.is_dir() else path)
    fetch = Fetcher(place)
    if is_api(fetch(root)):
        return search_api(root, fetch, query)
    return walk(root, fetch, query)


def _nothing(
    place: str, query: Query, elsewhere: list[pystac.Item]
) -> CatalogError | AoiError:
    asked = f"no items in {redact(place)} for {query.describe()}"
    if query.aoi is not None and elsewhere:
        away = distance_km(query.aoi, [geometry_of(item) for item in elsewhere])
        return AoiError(
            f"{asked}: the nearest of {len(elsewhere)} items is {away:,.1f} km away. "
            "Check the order W,S,E,N and the CRS of the area"
        )
    return CatalogError(
        f"{asked}. Check the names of collections, the dates and the order W,S,E,N"
    )
