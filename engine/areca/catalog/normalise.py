"""STAC items of any dialect to scenes, strictly, before any reader sees them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from shapely import wkt

from areca.catalog.acquisitions import Acquisition, in_canonical_order
from areca.catalog.assets import asset_bands, data_assets, name_bands
from areca.catalog.dates import format_moment, item_interval
from areca.catalog.filters import geometry_of
from areca.catalog.geotiffs import is_bare_file, is_undated, naming_hint
from areca.catalog.headers import read_header
from areca.catalog.hrefs import (
    check_href,
    is_array,
    is_remote,
    reach_of,
    redact,
)
from areca.catalog.landsat import bqa_scheme
from areca.catalog.origins import trusted_for
from areca.catalog.projection import Projection, projection_of
from areca.catalog.scales import corrected
from areca.catalog.scenes import Scene, SceneBand, canonical_order, check_names
from areca.errors import ArecaError, BandError, CatalogError, GridError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pystac

    from areca.catalog.assets import AssetBand
    from areca.catalog.headers import Header

T = TypeVar("T")


def normalise_items(
    items: Iterable[pystac.Item],
    *,
    catalog_href: str | Path,
    bands: Sequence[str] | None = None,
    read_headers: bool = True,
) -> list[Scene]:
    """Turn STAC items into scenes; what cannot be used is refused with its reason.

    Projection, bands, nodata, scale and offset are taken from the item, in STAC 0.9 to
    1.1. Where the projection is missing, the file's header is opened, once; also for
    local files that do not tell their number type and nodata, since that is cheap. No
    pixel is read.

    Args:
        items: STAC items, for example from `search`.
        catalog_href: Where the catalogue was found; decides what items may name.
        bands: The bands that will be used, by any of their names. The scene then lies
            on their grid, and only their files are looked at. Left out: all bands on
            the item's finest grid.
        read_headers: Whether headers may be opened.

    Returns:
        One scene an item, newest first, then by id; those without a date last.

    Raises:
        CatalogError: An item has no usable asset, projection, date or link.
        BandError: An item has not all of `bands`.
        GridError: The bands of an item lie on different grids.
    """  # noqa: DOC502 - raised by the helpers, named here
    readers = _readers(items, catalog_href, bands, read_headers=read_headers)
    wanted = None if bands is None else tuple(bands)
    return canonical_order(_each(readers, lambda reader: reader.scene(wanted)))


def normalise_acquisitions(
    items: Iterable[pystac.Item],
    *,
    catalog_href: str | Path,
    bands: Sequence[str],
) -> list[Acquisition]:
    """Turn STAC items into acquisitions; bands may lie on several pixel grids.

    Args:
        items: STAC items.
        catalog_href: As for `normalise_items`.
        bands: The bands that will be used, by any of their names.

    Returns:
        One an item, newest first, then by id; those without a date last.

    Raises:
        CatalogError: An item has no usable asset, projection, date or link.
        BandError: An item has not all of `bands`.
    """  # noqa: DOC502 - raised by the helpers
    readers = _readers(items, catalog_href, bands, read_headers=True)
    wanted = tuple(bands)
    return in_canonical_order(_each(readers, lambda reader: reader.parts(wanted)))


def _readers(
    items: Iterable[pystac.Item],
    catalog_href: str | Path,
    bands: Sequence[str] | None,
    *,
    read_headers: bool,
) -> Iterator[tuple[pystac.Item, Callable[[], _ItemReader]]]:
    origin = str(catalog_href)
    if bands is not None:
        check_names(bands)
    for item in items:
        yield (
            item,
            partial(
                _ItemReader, item, trusted_for(item, origin), read_headers=read_headers
            ),
        )


def _each(
    readers: Iterable[tuple[pystac.Item, Callable[[], _ItemReader]]],
    make: Callable[[_ItemReader], T],
) -> list[T]:
    """Return what is made of each item; the errors of `make` then name the item."""
    made = []
    for item, reader in readers:
        try:
            made.append(make(reader()))
        except ArecaError as err:
            named = (
                str(err) if repr(item.id) in str(err) else f"item {item.id!r}: {err}"
            )
            raise type(err)(named) from None
    return made


class _ItemReader:
    """One item on its way to a scene; keeps what was looked up."""

    def __init__(self, item: pystac.Item, origin: str, *, read_headers: bool) -> None:
        self.item, self.origin, self.read_headers = item, origin, read_headers
        self.assets = data_assets(item)
        self.hrefs: dict[str, str] = {}
        self.headers: dict[str, Header] = {}
        if not self.assets:
            raise CatalogError(
                f"none of its assets {sorted(item.assets)} is a GeoTIFF or JPEG 2000 "
                "with data; leave it out or correct its media types and roles"
            )

    def scene(self, wanted: tuple[str, ...] | None) -> Scene:
        """Return the scene of the wanted bands, or of all on the finest grid.

        Raises:
            GridError: The wanted bands lie on different grids.
        """
        used, names, grids = self._used(wanted)
        grid = min(grids.values(), key=lambda grid: grid.pixel)
        here = [band for band in used if grids[band.asset] == grid]
        if wanted and len(here) < len(used):
            raise GridError(_mixed(used, grids))
        return self._scene(grid, here, names)

    def parts(self, wanted: tuple[str, ...]) -> Acquisition:
        """Return a scene for each pixel grid of the wanted bands, the finest first."""
        used, names, grids = self._used(wanted)
        ordered = sorted(dict.fromkeys(grids.values()), key=lambda grid: grid.pixel)
        return Acquisition(
            tuple(
                self._scene(grid, [b for b in used if grids[b.asset] == grid], names)
                for grid in ordered
            )
        )

    def _used(
        self, wanted: tuple[str, ...] | None
    ) -> tuple[list[AssetBand], dict[str, AssetBand], dict[str, Projection]]:
        """Return the bands that are wanted, all bands by name, the grids by asset."""
        names = self._names(wanted)
        used = [names[name] for name in wanted] if wanted else list(names.values())
        used = list(dict.fromkeys(used))
        grids = {
            key: self._projection(key) for key in dict.fromkeys(b.asset for b in used)
        }
        return used, names, grids

    def _scene(
        self, grid: Projection, here: list[AssetBand], names: dict[str, AssetBand]
    ) -> Scene:
        start, end = _moments(self.item, self.origin)
        return Scene(
            id=self.item.id,
            collection=self.item.collection_id or "",
            start=start,
            end=end,
            crs=grid.crs,
            transform=grid.transform,
            shape=grid.shape,
            bands=tuple(self._scene_band(band, names) for band in here),
            elsewhere=tuple(name for name, band in names.items() if band not in here),
            footprint=wkt.dumps(geometry_of(self.item), trim=True),
            allow_private=reach_of(self.origin) != "public",
        )

    def _names(self, wanted: tuple[str, ...] | None) -> dict[str, AssetBand]:
        """Name the bands; open headers only when metadata does not tell enough.

        Returns:
            Bands by each of their names.

        Raises:
            BandError: A wanted band is not there.
        """  # noqa: DOC502 - raised by _check
        names = self._named()
        if wanted is None or not set(wanted) <= set(names):
            for key in self.assets:
                self._look(key, only_local=True)
            names = self._named()
        self._check(wanted, names, naming_hint(self.item, self.origin))
        names = self._with_headers(names, wanted)
        # A header may tell that an asset has several bands, with names of their own.
        self._check(wanted, names, "; an asset of several bands is called by theirs")
        return names

    def _check(
        self, wanted: tuple[str, ...] | None, names: dict[str, AssetBand], hint: str
    ) -> None:
        """Refuse bands that are not there; the hint is the end of the line.

        Raises:
            BandError: A wanted band is not there.
        """
        missing = [name for name in wanted or () if name not in names]
        if missing:
            raise BandError(
                f"item {self.item.id!r} has no band {missing}: it has "
                f"{_shown(names)}. Choose among these, or items that have the band"
                + hint
            )

    def _with_headers(
        self, names: dict[str, AssetBand], wanted: tuple[str, ...] | None
    ) -> dict[str, AssetBand]:
        used = {names[name].asset for name in wanted} if wanted else set(self.assets)
        before = len(self.headers)
        for key in sorted(used):
            placed = projection_of(self.item, self.assets[key], None) is not None
            self._look(key, only_local=placed)
        return names if len(self.headers) == before else self._named()

    def _named(self) -> dict[str, AssetBand]:
        names = name_bands(
            [
                band
                for key, asset in self.assets.items()
                for band in asset_bands(key, asset, self.headers.get(key))
            ]
        )
        is_bare = is_bare_file(self.item, self.origin)
        # Descriptions in files are written in any way: `ndvi` finds `NDVI` too.
        for name, band in [*names.items()]:
            if is_bare or band.asset in self.headers:
                names.setdefault(name.lower(), band)
        return names

    def _look(self, key: str, *, only_local: bool) -> None:
        """Open the header of an asset, unless that costs a request for little.

        Raises:
            CatalogError: It must be opened, and that is not allowed.
        """
        if key in self.headers or is_array(self.assets[key].href):
            return
        told = asset_bands(key, self.assets[key], None)
        complete = all(band.dtype and band.nodata_known for band in told)
        if only_local and (complete or is_remote(self._href(key))):
            return
        if not self.read_headers:
            if only_local:
                return
            raise CatalogError(
                f"asset {key!r} has no projection (proj:code, proj:transform, "
                "proj:shape), and headers are not to be opened; allow that, or "
                "complete the item"
            )
        private = reach_of(self.origin) != "public"
        self.headers[key] = read_header(self._href(key), allow_private=private)

    def _href(self, key: str) -> str:
        if key not in self.hrefs:
            asset = self.assets[key]
            href = asset.get_absolute_href() or asset.href
            self.hrefs[key] = check_href(href, self.origin)
        return self.hrefs[key]

    def _projection(self, key: str) -> Projection:
        found = projection_of(self.item, self.assets[key], self.headers.get(key))
        if found is None:
            raise CatalogError(
                f"asset {key!r} ({redact(self.assets[key].href)}) has no projection, "
                "neither in the item nor in its header; complete proj:code, "
                "proj:transform and proj:shape, or write CRS and transform to the file"
            )
        return found

    def _scene_band(self, band: AssetBand, names: dict[str, AssetBand]) -> SceneBand:
        mine = [name for name, other in names.items() if other == band]
        band = corrected(band, self.item)
        common = band.common if band.common in mine else None
        own = band.own if band.own in mine else None
        name = common or own or mine[0]
        href = self._href(band.asset)
        known, told = bqa_scheme(self.item, mine, href), band.scheme
        return SceneBand(
            name=name,
            aliases=tuple(other for other in mine if other != name),
            href=href,
            index=band.index,
            dtype=band.dtype,
            nodata=band.nodata,
            nodata_known=band.nodata_known,
            described=band.described,
            scale=band.scale,
            offset=band.offset,
            categorical=band.categorical,
            scheme=told.completed(known) if told and known else told or known,
        )


def _mixed(used: Sequence[AssetBand], grids: dict[str, Projection]) -> str:
    sizes = {band.common or band.own or band.asset: grids[band.asset] for band in used}
    told = ", ".join(
        f"{name} {grid.transform[0]:g} x {-grid.transform[4]:g} from "
        f"({grid.transform[2]:g}, {grid.transform[5]:g})"
        for name, grid in sizes.items()
    )
    return (
        f"its bands lie on different pixel grids: {told}. It would need a warp: "
        "areca.open_cube does that; or choose bands of one grid"
    )


def _shown(names: dict[str, AssetBand]) -> list[str]:
    """Return one name a band, the one a user would choose."""
    best: dict[AssetBand, str] = {}
    for name, band in names.items():
        if band not in best or name == band.common:
            best[band] = name
    return list(best.values())


def _moments(item: pystac.Item, origin: str) -> tuple[str, str]:
    if is_undated(item, origin):
        return "", ""
    interval = item_interval(item)
    if interval is None:
        raise CatalogError(
            "it has neither datetime nor start_datetime and end_datetime; complete it"
        )
    return format_moment(interval[0]), format_moment(interval[1])
