"""Scenes: what areca needs to know of a STAC item, as plain data.

A scene travels to workers in place of its item: it is small, it can be pickled, it can
be written as JSON, and everything in it has been checked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from areca.catalog.grids import scene_box
from areca.errors import BandError, CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from odc.geo.geobox import GeoBox

    from areca.catalog.quality import Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBand:
    """One band of one file."""

    name: str
    """Common name (`red`) where the item gives one, else the band's own name."""
    aliases: tuple[str, ...] = ()
    """Other names that mean this band in its item, such as `B04`."""
    href: str
    """Where the file is; checked, with any query string it needs."""
    index: int
    """Number of the band in its file, from 1."""
    dtype: str | None = None
    """Number type of the stored pixels, None when neither item nor header told."""
    nodata: float | None = None
    """Stored value that means "nothing seen here"; None when there is none."""
    nodata_known: bool = False
    """Whether `nodata` alone tells which pixels are missing.

    False when nobody looked: the file may still have its own nodata value or mask,
    which the reader honours, but then only as NaN in float32.
    """
    described: int = 0
    """How many bands of the file the item describes as data.

    Writers mark the fourth of four 8-bit bands as alpha by default. An alpha band
    among those described, such as near infrared, is data; one beyond is a mask.
    """
    scale: float = 1.0
    """Value = stored * scale + offset."""
    offset: float = 0.0
    """See `scale`."""
    categorical: bool = False
    """Whether the item says that the band holds classes or bit fields."""
    scheme: Scheme | None = field(default=None, compare=False)
    """What the item tells of its classes or bit fields; not in `to_dict`."""

    @property
    def is_scaled(self) -> bool:
        """Whether stored numbers are not yet values."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def asset(self) -> str:
        """Its asset and its number there, such as `image.b4`; empty if not known.

        Every band of an item has this name too, if no other band is called so.
        """
        end = f".b{self.index}"
        return next((n for n in (self.name, *self.aliases) if n.endswith(end)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One normalised item: its bands on one north-up pixel grid."""

    id: str
    collection: str
    start: str
    """First moment of the acquisition, ISO 8601 in UTC; empty when it is not known.

    Only STAC metadata tells it: a GeoTIFF without an item is never dated.
    """
    end: str
    """Last moment; the same as `start` when the item has one datetime, or none."""
    crs: str
    """Authority string such as `EPSG:32648`, or WKT."""
    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f from pixels to CRS units."""
    shape: tuple[int, int]
    """Height and width, pixels."""
    bands: tuple[SceneBand, ...]
    elsewhere: tuple[str, ...] = ()
    """Bands of the item that lie on another pixel grid and are left out."""
    footprint: str
    """The item's geometry in EPSG:4326, WKT."""
    allow_private: bool = False
    """Whether the reader may connect to a private address for this item."""

    @classmethod
    def of_dict(cls, data: Mapping[str, Any]) -> Scene:
        """Return the scene that `to_dict` made plain data of, also by way of JSON."""
        bands = [b | {"aliases": tuple(b["aliases"])} for b in data["bands"]]
        lists = {key: tuple(data[key]) for key in ("transform", "shape", "elsewhere")}
        found = tuple(SceneBand(**band) for band in bands)
        return cls(**{**data, **lists, "bands": found})

    def find(self, name: str) -> SceneBand | None:
        """Return the band of this name or alias, None when there is none."""
        for band in self.bands:
            if name == band.name or name in band.aliases:
                return band
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the scene as plain JSON data.

        Links keep their query strings, which may hold a signature: pass them through
        `redact` before they are shown or stored.
        """
        data = asdict(self)
        for band in data["bands"]:
            del band["scheme"]
            if not band["categorical"]:
                del band["categorical"]  # as before there was such a field
        return data


def canonical_order(scenes: Iterable[Scene]) -> list[Scene]:
    """Return scenes newest first, then by id; the order of a mosaic.

    The last moment of a scene counts, since year-only items span a year. Scenes whose
    date is not known come after all others.
    """
    # An empty text sorts before every date, so reversed it comes last.
    by_name = sorted(scenes, key=lambda scene: (scene.id, scene.collection))
    return sorted(by_name, key=lambda scene: scene.end, reverse=True)


def select(scenes: Iterable[Scene], geobox: GeoBox) -> list[Scene]:
    """Return the scenes that share at least one pixel with a geobox, in given order.

    Raises:
        GridError: A scene lies on another grid than the geobox.
    """  # noqa: DOC502 - raised by scene_box
    height, width = geobox.shape
    touching = []
    for scene in scenes:
        row0, col0, row1, col1 = scene_box(scene, geobox)
        if row0 < height and col0 < width and row1 > 0 and col1 > 0:
            touching.append(scene)
    return touching


def choose_bands(
    scenes: Sequence[Scene], bands: Sequence[str]
) -> list[tuple[SceneBand, ...]]:
    """Return for each scene the bands wanted, in the order wanted.

    Raises:
        BandError: A scene has no such band, or a band is wanted twice or none is.
        CatalogError: There are no scenes.
    """  # noqa: DOC502 - BandError is raised by the helpers
    if not scenes:
        raise CatalogError("no scenes to read bands from; widen the search")
    check_names(bands)
    return [_bands_of(scene, bands) for scene in scenes]


def check_names(bands: Sequence[str]) -> None:
    """Refuse bands that are no list of different names.

    Raises:
        BandError: They are a text, none, or one of them comes twice.
    """
    if isinstance(bands, str) or not bands or len(set(bands)) != len(bands):
        raise BandError(
            f"bands must be a list of different names, got {bands!r}; for example "
            "bands=['red', 'green', 'blue']"
        )


def _bands_of(scene: Scene, bands: Sequence[str]) -> tuple[SceneBand, ...]:
    found = [scene.find(name) for name in bands]
    missing = [n for n, band in zip(bands, found, strict=True) if band is None]
    if missing:
        other = [name for name in missing if name in scene.elsewhere]
        hint = f"; {other} lie on another pixel grid of the item" if other else ""
        raise BandError(
            f"item {scene.id} has no band {missing}: it has "
            f"{[band.name for band in scene.bands]}{hint}. Choose among these, or "
            "items that have the band"
        )
    return tuple(band for band in found if band is not None)
