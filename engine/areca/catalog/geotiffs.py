"""GeoTIFFs without a catalogue: items made from their headers."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
import pystac
from pyproj import Transformer
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box, mapping

from areca.catalog.headers import Header, read_header
from areca.catalog.hrefs import (
    check_href,
    is_remote,
    is_zarr,
    local_path,
    reach_of,
    redact,
)
from areca.catalog.roles import COMMON_NAMES
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ENDS = (".tif", ".tiff")
"""Endings of the files that are looked for in a folder."""

DATED_BY = "areca:datetime_source"
"""Property of items that areca makes of files: where their datetime is from."""
UNDATED = {DATED_BY: "placeholder"}
"""Properties of an item whose datetime stands for one that is not known."""
BY_NAME = "name"
"""Source of a datetime that stood in the name of the file."""
_NAMED_BY = "areca:bands_named_by"
_EXAMPLE = ["red", "green", "blue", "nir"]
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""That datetime."""
_EDGE_POINTS = 16
"""Points along each side of a footprint, since sides bend between two CRSs."""


def is_bare(place: str) -> bool:
    """Return whether a place is imagery without a catalogue: a file, folder or cube.

    Args:
        place: What `areca.search` takes.
    """
    is_file = place.split("?", maxsplit=1)[0].lower().endswith(ENDS)
    if is_pattern(place) or is_file or is_zarr(place):
        return True
    path = Path(local_path(place)) if not is_remote(place) else None
    return path is not None and path.is_dir() and not (path / "catalog.json").is_file()


def is_of_files(place: str) -> bool:
    """Return whether a place is GeoTIFFs without a catalogue.

    Args:
        place: What `areca.search` takes.
    """
    return is_bare(place) and not is_zarr(place)


def is_undated(item: pystac.Item, origin: str) -> bool:
    """Return whether the datetime of an item is a placeholder that areca put there.

    A user may have set another one since.

    Args:
        item: A STAC item.
        origin: Where it was found; what the items of a catalogue say is not believed.
    """
    source = item.properties.get(DATED_BY)
    is_placeholder = source == UNDATED[DATED_BY] and item.datetime == NO_DATE
    return is_placeholder and is_bare(origin)


def assumed_names(items: Iterable[pystac.Item]) -> str:
    """Return a line about files whose bands are named by their colours alone.

    GDAL calls three bytes a pixel red, green and blue unless the file says otherwise;
    false colour written that way would go into a model in the wrong place.

    Args:
        items: Items, of which those of bare files may have such names.

    Returns:
        One line; empty where all bands have names of their own.
    """
    found = [item for item in items if item.properties.get(_NAMED_BY) == "colours"]
    if not found:
        return ""
    image = found[0].assets["image"]
    names = ", ".join(band["name"] for band in image.extra_fields["eo:bands"])
    others = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    return (
        f"{found[0].id}{others}: the file names no bands, so they are taken as "
        f"{names}, by its colours. If they are others, name them all: in Python "
        "areca.search(…, names=['nir', 'red', 'green']), of a run --set "
        "names=nir,red,green, in the file (rasterio: file.descriptions), or in a STAC "
        "item"
    )


def name_bands_of_files(items: Iterable[pystac.Item], names: Sequence[str]) -> None:
    """Call the bands of bare files as the user does.

    Args:
        items: As `item_of_file` makes them; changed in place.
        names: In the order of the bands.

    Raises:
        CatalogError: A file has more or fewer bands.
    """
    for item in items:
        fields = item.assets["image"].extra_fields
        count = len(fields["eo:bands"])
        if len(names) != count:
            raise CatalogError(
                f"names={list(names)} are {len(names)}, and {item.id!r} has {count} "
                "bands; give one name for each"
            )
        fields["eo:bands"] = _eo_bands(names)
        item.properties[_NAMED_BY] = "user"


def is_bare_file(item: pystac.Item, origin: str) -> bool:
    """Return whether areca made an item of a GeoTIFF without a catalogue.

    Args:
        item: A STAC item.
        origin: Where it was found.
    """
    is_made_here = item.properties.get(DATED_BY) in {UNDATED[DATED_BY], BY_NAME}
    return is_made_here and is_of_files(origin)


def naming_hint(item: pystac.Item, origin: str) -> str:
    """Return how a user names the bands of a file, as the end of a line.

    Args:
        item: A STAC item.
        origin: Where it was found.

    Returns:
        Empty where the user named them, or where something else tells their names.
    """
    if not is_bare_file(item, origin) or item.properties.get(_NAMED_BY) == "user":
        return ""
    image = item.assets.get("image")
    count = 0 if image is None else len(image.extra_fields.get("eo:bands", ()))
    if not count:
        return ""  # a user has made another item of it
    more = ["…"] if count > len(_EXAMPLE) else []
    example = [*_EXAMPLE[:count], *more]
    listed = ",".join(example)
    return (
        f"; if the file calls its bands wrongly or not at all, name all {count} in "
        f"their order: areca.search(…, names={example}), in commands --names {listed}, "
        f"of a run --set names={listed}"
    )


def is_pattern(place: str) -> bool:
    """Return whether a place is a pattern of local GeoTIFFs, with `*` or `[…]`."""
    return (
        not is_remote(place)
        and any(mark in place for mark in "*[")
        and not Path(local_path(place)).exists()
        and place.lower().endswith(ENDS)
    )


def files_of_pattern(place: str) -> tuple[list[Path], Path]:
    """Return the files of a pattern by path, and the folder that holds them all.

    Raises:
        CatalogError: There are none.
    """
    parts = Path(local_path(place)).parts
    fixed = next(i for i, part in enumerate(parts) if any(m in part for m in "*["))
    found = sorted(Path(*parts[:fixed]).glob("/".join(parts[fixed:])))
    if not found:
        raise CatalogError(f"no file is named {place!r}; check the pattern")
    return found, Path(os.path.commonpath([path.parent for path in found]))


def find_geotiffs(folder: Path) -> list[Path]:
    """Return the GeoTIFFs of a folder and its subfolders, by path.

    Raises:
        CatalogError: There are none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDS and path.is_file()
    )
    if not found:
        raise CatalogError(
            f"the folder {str(folder)!r} holds neither a catalog.json nor GeoTIFFs "
            "(*.tif, *.tiff); give a STAC catalogue or a folder of GeoTIFFs"
        )
    return found


def items_of_files(paths: list[Path], root: Path) -> Iterator[pystac.Item]:
    """Make one item a file; the id is the file's name, with its folders if needed.

    Files of one folder that differ in their ending only are told apart by it.

    Yields:
        Items as `item_of_file` makes them, in the order of the paths.
    """
    inner = [path.relative_to(root) for path in paths]
    names = [path.stem for path in inner]
    for longer in ([path.with_suffix("") for path in inner], inner):
        count = Counter(names)
        names = [
            name if count[name] == 1 else path.as_posix().replace("/", "__")
            for name, path in zip(names, longer, strict=True)
        ]
    for path, name in zip(paths, names, strict=True):
        yield item_of_file(str(path), name=name)


def item_of_file(href: str, *, name: str | None = None) -> pystac.Item:
    """Make a STAC item from the header of one raster file.

    STAC asks for a datetime, and a GeoTIFF does not tell when it was acquired: the tag
    DateTime and the time of the file say when software wrote it. So the datetime is a
    placeholder, 1970-01-01, and `areca:datetime_source` says that it is one.

    Args:
        href: A local path or a link, as the user gave it.
        name: Id of the item; the name of the file when left out.

    Returns:
        An item with one asset, `image`.

    Raises:
        CatalogError: The file cannot be opened or has no georeference.
    """
    checked = check_href(href, href)
    header = read_header(checked, allow_private=reach_of(href) != "public")
    if header.crs is None or header.transform is None:
        raise CatalogError(
            f"{redact(href)} has no georeference (CRS and transform), so nothing in it "
            "can be placed; write them, for example with gdal_edit"
        )
    footprint = footprint_of(header)
    item = pystac.Item(
        id=name or _stem(href),
        geometry=mapping(footprint),
        bbox=bbox_of(footprint),
        datetime=NO_DATE,
        properties={
            **UNDATED,
            **({_NAMED_BY: "colours"} if header.named_by_colours else {}),
        },
        href=checked,
    )
    fields = {
        # Of the asset, not of the item: a file that a user adds, such as a mask, may
        # have pixels of its own.
        **projection_fields(header),
        "eo:bands": _eo_bands(header.names),
        "raster:bands": _raster_bands(header),
    }
    item.add_asset(
        "image",
        pystac.Asset(
            checked,
            media_type=pystac.MediaType.GEOTIFF,
            roles=["data"],
            extra_fields=fields,
        ),
    )
    return item


def projection_fields(header: Header) -> dict[str, Any]:
    """Return the fields of STAC's projection extension for a file or an array.

    Args:
        header: Its header, with CRS and transform.
    """
    crs = header.crs or ""
    return {
        "proj:code": crs if len(crs) < 40 else None,
        **({} if len(crs) < 40 else {"proj:wkt2": crs}),
        "proj:transform": list(header.transform or ()),
        "proj:shape": list(header.shape),
    }


def _stem(href: str) -> str:
    if is_remote(href):
        return PurePosixPath(urlsplit(href).path).stem
    return Path(local_path(href)).stem


def _eo_bands(names: Iterable[str]) -> list[dict[str, str]]:
    return [
        {"name": name, **({"common_name": name} if name in COMMON_NAMES else {})}
        for name in names
    ]


def _raster_bands(header: Header) -> list[dict[str, object]]:
    scales = header.scales or ((1.0, 0.0),) * len(header.dtypes)
    return [
        {
            "data_type": dtype,
            **({} if nodata is None else {"nodata": nodata}),
            **({} if (s, o) == (1.0, 0.0) else {"scale": s, "offset": o}),
        }
        for dtype, nodata, (s, o) in zip(
            header.dtypes, header.nodata, scales, strict=True
        )
    ]


def footprint_of(header: Header) -> Polygon | MultiPolygon:
    """Return the outline of a raster in EPSG:4326.

    Args:
        header: Header of the raster, with CRS and transform.

    Returns:
        A polygon; two that meet where it crosses the 180th meridian (RFC 7946, section
        3.1.9).
    """
    height, width = header.shape
    a, b, c, d, e, f = header.transform or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    steps = [i / _EDGE_POINTS for i in range(_EDGE_POINTS)]
    ring = (
        [(t * width, 0.0) for t in steps]
        + [(float(width), t * height) for t in steps]
        + [((1 - t) * width, float(height)) for t in steps]
        + [(0.0, (1 - t) * height) for t in steps]
    )
    x = [a * col + b * row + c for col, row in ring]
    y = [d * col + e * row + f for col, row in ring]
    to_degrees = Transformer.from_crs(header.crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(x, y)
    # In one piece: a ring jumps at the meridian, by a turn.
    turned = np.unwrap(lon, period=360)
    if not np.isfinite(turned).all() or np.ptp(turned) >= 180:
        return Polygon(zip(lon, lat, strict=True))  # around a pole, or the whole Earth
    turned -= 360 * ((turned.min() + 180) // 360)
    whole = Polygon(zip(turned, lat, strict=True))
    if turned.max() <= 180:
        return whole
    before = whole.intersection(box(-180, -90, 180, 90))
    beyond = whole.intersection(box(180, -90, 540, 90))
    parts = cast("list[Polygon]", [before, translate(beyond, xoff=-360)])
    return MultiPolygon(parts)


def bbox_of(footprint: Polygon | MultiPolygon) -> list[float]:
    """Return the box of what `footprint_of` gave: west, south, east and north.

    West is more than east where it crosses the 180th meridian (RFC 7946, section 5.2).
    """
    west, south, east, north = footprint.bounds
    if isinstance(footprint, MultiPolygon):
        before, beyond = footprint.geoms
        west, east = before.bounds[0], beyond.bounds[2]
    return [west, south, east, north]
